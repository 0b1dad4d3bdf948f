"""``ckan versioning …``"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.tests import factories
from click.testing import CliRunner

from ckanext.versioning import catching_up, dictized, recording
from ckanext.versioning import model as tables
from tests.portal import classic_path, classic_resource, oid_of
from tests.versioning import recorded
from tests.versioning.recorded import call
from tests.versioning.test_baseline import make_before

pytestmark = pytest.mark.usefixtures("with_plugins")


@dataclass(frozen=True)
class Said:
    """What a command wrote."""

    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture
def run(with_plugins: None) -> Callable[..., Said]:
    """``ckan versioning`` with these arguments."""
    plugin: Any = plugins.get_plugin("versioning")
    (versioning,) = plugin.get_commands()
    # Before 8.2, click put both into one unless told otherwise.
    apart: Any = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}

    def invoke(*arguments: str, code: int = 0) -> Said:
        result = CliRunner(**apart).invoke(versioning, arguments)
        assert result.exit_code == code, (result.stdout, result.stderr, result.exception)
        return Said(result.stdout, result.stderr)

    return invoke


def execute(statement: str, **values: Any) -> None:
    engine: Any = model.meta.engine
    with engine.begin() as connection:
        connection.execute(sa.text(statement), values)


def test_backfill_records_what_has_no_history(run, monkeypatch: pytest.MonkeyPatch):
    """In batches that are committed; again begun it does the rest; and it says what it could not do."""
    run("backfill")
    old = [make_before(title=f"T {number}")["id"] for number in range(3)]
    deleted = make_before()["id"]
    plugins.unload("versioning")
    call("package_delete", id=deleted)
    plugins.load("versioning")
    assert run("backfill", "--dry-run", "--json").json["without_history"] == 4
    assert recorded.revisions(old[0]) == []

    broken, read = sorted(old)[1], dictized.read
    monkeypatch.setattr(catching_up, "BATCH_SECONDS", 0)
    monkeypatch.setattr(dictized, "read", lambda session, id: 1 / (id != broken) and read(session, id))
    result = run("backfill", "--json", code=1)
    assert "run the command again" in result.stderr
    assert result.json["recorded"] == 3
    assert result.json["failed"] == [{"id": broken, "reason": "ZeroDivisionError: division by zero"}]
    monkeypatch.undo()
    assert "Recorded 1 dataset." in run("backfill").stdout
    assert "Recorded 0 datasets." in run("backfill").stdout
    for id in (*old, deleted):
        (baseline,) = recorded.revisions(id)
        assert (baseline.origin, baseline.author_id) == ("baseline", None)
        recorded.assert_chain_holds(id)
    call("package_patch", id=old[0], title="New")
    assert recorded.newest(old[0]).summary["fields"] == ["title"]


def test_backfill_waits_for_nobody(run):
    mine, theirs = (make_before()["id"] for _ in range(2))
    engine: Any = model.meta.engine
    with engine.begin() as somebody:
        somebody.execute(sa.text("SELECT 1 FROM package WHERE id = :id FOR UPDATE"), {"id": theirs})
        result = run("backfill", "--json", code=1)
        assert "Run the command again" in result.stderr
        assert result.json["without_history"] == 1
        assert [len(recorded.revisions(id)) for id in (mine, theirs)] == [1, 0]
    assert run("backfill", "--json").json["recorded"] == 1


def test_reconcile_records_what_sql_did(run):
    changed, same, gone = ids = [factories.Dataset()["id"] for _ in range(3)]
    execute("UPDATE package SET title = 'By SQL' WHERE id = :id", id=changed)
    plugins.unload("versioning")
    call("dataset_purge", id=gone)
    plugins.load("versioning")

    found = run("reconcile", "--dry-run", "--json", *ids).json
    assert found["changed"] == [{"id": changed, "seq": None, "reason": None}]
    assert found["gone"] == [{"id": gone, "seq": None, "reason": None}]
    assert len(recorded.revisions(changed)) == 1

    output = run("reconcile", *ids).stdout
    assert output.startswith(f"1 dataset recorded.\n{changed}  r2\n{gone}  gone\n")
    row = recorded.newest(changed)
    assert (row.origin, row.author_id, row.message) == ("cli", None, catching_up.RECONCILED)
    assert row.summary["fields"] == ["title"]
    assert len(recorded.revisions(same)) == len(recorded.revisions(gone)) == 1

    assert f"{gone}  gone, history removed\n" in run("reconcile", gone, "--remove-gone").stdout
    assert not any(recorded.row_counts(gone))
    found = run("reconcile", changed, "--json").json
    assert found["changed"] == []


def test_verify_says_what_is_wrong_and_fails(run, monkeypatch: pytest.MonkeyPatch):
    sound, spoilt = factories.Dataset(), factories.Dataset()
    assert run("verify", sound["name"], sound["id"]).stdout == "Checked 2 datasets: well.\n"
    execute("UPDATE versioning_revision SET message = 'Nicer' WHERE package_id = :id", id=spoilt["id"])
    result = run("verify", sound["id"], spoilt["name"], code=1)
    assert f"{spoilt['id']}  message: The message of revision 1" in result.stdout
    assert "Checked 2 datasets: 1 finding." in result.stdout

    execute("DELETE FROM versioning_revision WHERE package_id = :id", id=spoilt["id"])
    site = list(catching_up.ids_with_history())
    assert site == sorted(set(site))
    assert {sound["id"], spoilt["id"]} <= set(site)
    # All datasets that other tests have made take too long.
    mine = sorted([sound["id"], spoilt["id"]])
    monkeypatch.setattr(catching_up, "ids_with_history", lambda: iter(mine))
    found = run("verify", "--site", "--json", code=1).json
    assert found["datasets"] == 2
    assert {(each["id"], each["code"]) for each in found["findings"]} == {(spoilt["id"], "no-revision")}
    for table in tables.TABLES[1:]:
        execute(f"DELETE FROM {table.name} WHERE package_id = :id", id=spoilt["id"])


def test_log_show_and_release(run):
    user = factories.Sysadmin(fullname="Žofie")
    dataset = factories.Dataset(title="One")
    call("package_patch", user, id=dataset["id"], title="Two", version_message="Second title\nand more")
    made = run("release", dataset["name"], "v1", "--ref", "r1", "--title", "First", "--user", user["name"])
    assert made.stdout == f"Released r1 of {dataset['name']} as v1.\n"
    (release,) = call("dataset_release_list", dataset=dataset["id"])
    assert (release["title"], release["author"]["id"]) == ("First", user["id"])
    assert run("release", dataset["id"], "v2", "--notes", "N", "--json").json["description"] == "N"

    newest, first = run("log", dataset["name"], "--all").stdout.splitlines()
    assert newest.startswith("r2  2")
    assert newest.endswith("Z  cli  Žofie  [v2]  Second title")
    assert first.endswith("[v1]")
    assert [each["seq"] for each in run("log", dataset["id"], "--before", "2", "--json").json] == [1]
    shown = run("show", dataset["name"], "v1").json
    assert (shown["title"], shown["revision"]["seq"]) == ("One", 1)


def test_what_cannot_be_done_says_why(run):
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])["name"]
    user = factories.User()["name"]
    cases = [
        ("verify", 2, "or --site"),
        ("verify --site x", 2, "or --site"),
        ("verify no-such-dataset", 1, "no dataset 'no-such-dataset'"),
        ("log no-such-dataset", 1, "no such dataset"),
        (f"show {dataset} r9", 1, "no revision 'r9'"),
        (f"show {dataset} rü", 1, "cannot name a revision"),
        (f"release {dataset} latest", 1, "Try 'vlatest'"),
        (f"release {dataset} v1 --user no-such-user", 1, "no active user 'no-such-user'"),
        (f"release {dataset} v1 --user {user}", 1, "runs as the site itself"),
    ]
    for line, code, says in cases:
        assert says in run(*line.split(), code=code).stderr


def test_stats(run):
    dataset = factories.Dataset()
    for number in range(3):
        call("package_patch", id=dataset["id"], title=str(number))
    found = run("stats", "--json", "--limit", "1000").json
    assert found["bytes_per_revision"] == round(found["bytes"] / found["revisions"])
    (mine,) = [each for each in found["largest"] if each["id"] == dataset["id"]]
    assert (mine["name"], mine["revisions"]) == (dataset["name"], 4)
    assert 1000 < mine["bytes"] < found["bytes"]
    text = run("stats").stdout
    assert f"revisions:{found['revisions']:>28}\n" in text


def test_without_tables_every_command_says_what_to_run(run, app):
    admin, user = factories.SysadminWithToken(), factories.UserWithToken()
    execute("ALTER TABLE versioning_release RENAME TO hidden_release")
    try:
        recording.start()
        for command in ("backfill", "reconcile", "verify", "log", "show", "release", "stats"):
            arguments = {"verify": ["--site"], "log": ["x"], "show": ["x", "y"], "release": ["x", "y"]}
            result = run(command, *arguments.get(command, []), code=1)
            assert "Run: ckan versioning init" in result.stderr
        assert "Usage" in run("log", "--help").stdout

        def told(reader: Any) -> bool:
            page = app.get("/", headers={"Authorization": reader["token"]} if reader else {})
            return "ckan versioning init" in page.body

        assert [told(reader) for reader in (None, user, admin)] == [False, False, True]
    finally:
        execute("ALTER TABLE hidden_release RENAME TO versioning_release")
    assert not told(admin)


def test_take_in(run: Callable[..., Said]):
    dataset: Any = factories.Dataset()
    resource = classic_resource(dataset, b"id\n1\n", "classic.csv")
    file = tables.classic_file
    of_dataset = file.c.package_id == dataset["id"]

    def oid() -> str | None:
        with model.meta.engine.connect() as connection:
            return connection.execute(sa.select(file.c.oid).where(of_dataset)).scalar_one()

    assert run("take-in", "--dry-run", "--json").json["waiting"] >= 1
    assert oid() is None
    assert run("take-in", "--json").json["taken"] >= 1
    assert oid() == oid_of(b"id\n1\n")
    with model.meta.engine.begin() as connection:  # as if that had not been, and the file were gone
        connection.execute(sa.update(file).where(of_dataset).values(oid=None))
    classic_path(resource).unlink()
    said = run("take-in")
    assert f"Not taken in: {resource['id']} of dataset {dataset['id']}" in said.stderr
    assert "Took in 0 files." in said.stdout
