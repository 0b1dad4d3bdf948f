"""``ckan external-storage``: check, stats, verify, cleanup, quota, as an administrator runs them."""

from __future__ import annotations

import json
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from inspect import signature
from pathlib import Path
from typing import Any

import ckan.i18n
import pytest
import sqlalchemy as sa
from ckan import plugins
from ckan.lib.i18n import build_js_translations
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from ckanext.external_storage import checks, config, model
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import links, uploads
from tests.portal import Portal, editor_and_dataset, oid_of

Run = Callable[..., Result]


@pytest.fixture
def run(with_plugins) -> Run:
    """``ckan external-storage`` with these arguments."""
    plugin: Any = plugins.get_plugin("external_storage")
    (group,) = plugin.get_commands()
    # Older click mixes the two unless told, newer click cannot be told.
    apart: Any = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return lambda *arguments: CliRunner(**apart).invoke(group, [str(a) for a in arguments])


@pytest.fixture
def own_store(tmp_path: Path, ckan_config, monkeypatch: pytest.MonkeyPatch) -> LocalStore:
    """A store with nothing in it, in a database where no other object is."""
    root = tmp_path / "objects"
    root.mkdir(mode=0o700)
    monkeypatch.setitem(ckan_config, "ckanext.external_storage.local.path", str(root))
    with config.engine().begin() as connection:
        for table in (model.link, model.object, model.upload):
            connection.execute(table.delete())
    return LocalStore(root)


@pytest.fixture
def files(own_store, portal: Portal) -> dict[str, Path]:
    """oid → path of the stored files of a dataset called "rain-<…>"."""
    editor, dataset = editor_and_dataset(name=f"rain-{uuid.uuid4()}")
    oids = [portal.push(editor, dataset, f"{uuid.uuid4()}".encode()) for _ in range(4)]
    with config.engine().begin() as connection:
        stored = links.linked(connection, dataset["id"], oids)
    return {oid: own_store.root / stored[oid].key for oid in sorted(oids)}


def age() -> None:
    with config.engine().begin() as connection:
        month_ago = datetime.now(timezone.utc) - timedelta(days=30)
        connection.execute(model.link.update().values(used_at=month_ago))


# verify


def test_verify_finds_what_is_missing_and_what_is_not_what_it_was(run: Run, files):
    assert run("verify").stdout == "Read 4 files, 144 bytes: well.\n"
    first, second, third, fourth = files
    files[first].unlink()
    files[second].write_bytes(b"?" * 36)
    files[third].write_bytes(b"short")
    result = run("verify", "--json")
    assert result.exit_code == 1
    findings = json.loads(result.stdout)["findings"]
    assert [(f["oid"], f["what"]) for f in findings] == [
        (first, "missing"),
        (second, "corrupt"),
        (third, "corrupt"),
    ]
    assert all(name.startswith("rain-") for f in findings for name in f["datasets"])
    assert fourth not in result.stdout


def test_verify_of_a_dataset_and_of_what_came_since(run: Run, files, portal: Portal):
    age()
    editor, other = editor_and_dataset()
    portal.push(editor, other, b"new")
    assert run("verify", "--dataset", other["name"]).stdout == "Read 1 file, 3 bytes: well.\n"
    assert run("verify", "--since", datetime.now(timezone.utc).date()).stdout.startswith("Read 1 file")
    assert run("verify").stdout.startswith("Read 5 files")
    assert "no dataset 'nowhere'" in run("verify", "--dataset", "nowhere").stderr


def test_verify_goes_on_where_it_stopped(run: Run, files, tmp_path, monkeypatch):
    """Its disk is taken away in the middle, and comes back."""
    first, _second, third, _fourth = files
    files[first].unlink()
    point = tmp_path / "point.json"
    read = LocalStore.stat

    def until_third(self: LocalStore, key: str) -> Any:
        if third in key:
            raise KeyboardInterrupt
        return read(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(LocalStore, "stat", until_third)
        assert run("verify", "--checkpoint", point).exit_code == 1
    monkeypatch.setattr(LocalStore, "open", _noted(opened := []))
    result = run("verify", "--checkpoint", point, "--json")
    assert len(opened) == 2, "the second file is not read again"
    answer = json.loads(result.stdout)
    assert (answer["files"], [f["oid"] for f in answer["findings"]]) == (4, [first])
    assert result.exit_code == 1
    assert not point.exists()
    point.write_text("{}")
    assert "Use another one" in run("verify", "--checkpoint", point).stderr


def _noted(keys: list[str]) -> Any:
    opens = LocalStore.open

    def noting(self: LocalStore, key: str) -> Any:
        keys.append(key)
        return opens(self, key)

    return noting


# cleanup, stats


def test_cleanup_says_what_would_go_and_then_it_goes(run: Run, files, portal: Portal):
    editor, dataset = editor_and_dataset()
    kept = b"a file that a resource has"
    portal.publish(editor, dataset, kept)
    assert run("cleanup", "--dry-run").stdout == "Would remove 0 links and 0 objects (0 bytes).\n"
    age()
    assert run("cleanup", "--dry-run", "--grace", 60).stdout.startswith("Would remove 0 links")
    assert run("cleanup", "--dry-run").stdout == "Would remove 4 links and 4 objects (144 bytes).\n"
    assert all(path.exists() for path in files.values())
    shown = json.loads(run("stats", "--json").stdout)
    assert shown["objects"] == {"count": 5, "bytes": 144 + len(kept)}
    assert shown["garbage"]["objects"] == shown["unreferenced"]["objects"] == 4
    assert {each["objects"] for each in shown["organizations"]} == {1, 4}
    assert "verified" in run("stats").stdout

    result = json.loads(run("cleanup", "--json").stdout)
    assert (result["links"], result["objects"], result["bytes"]) == (4, 4, 144)
    assert not any(path.exists() for path in files.values())
    assert run("verify").stdout == f"Read 1 file, {len(kept)} bytes: well.\n"


def test_what_is_at_a_server_that_the_site_had_before_ends_no_command(run: Run, files):
    id, oid = str(uuid.uuid4()), next(iter(files))
    key = f"server/{id}/{oid}.36.{id}"
    with config.engine().begin() as connection:
        now = datetime.now(timezone.utc)
        connection.execute(model.dead_key.insert().values(key=key, not_before=now))
        connection.execute(model.object.update().values(key=key).where(model.object.c.oid == oid))
        open_one = {"state": "open", "transfer": "put", "declared_size": 1, "expires_at": now}
        connection.execute(model.upload.insert().values(id=id, user_id=id, key=f"{key}x", **open_one))
    assert run("cleanup").exit_code == 0
    with config.engine().connect() as connection:
        assert uploads.get(connection, id).state == "expired"
        assert connection.execute(sa.select(model.dead_key.c.key).where(model.dead_key.c.key == key)).scalar()
    findings = json.loads(run("verify", "--json").stdout)["findings"]
    assert [(finding["oid"], finding["what"]) for finding in findings] == [(oid, "unreadable")]


@pytest.mark.ckan_config("ckan.plugins", "authz_service external_storage")
def test_cleanup_leaves_all_files_while_history_cannot_be_asked(run: Run, files):
    age()
    result = run("cleanup")
    assert result.exit_code == 1
    assert "versioning is switched off" in result.stderr
    assert all(path.exists() for path in files.values())


# quota


def test_a_quota_is_set_and_shown(run: Run, files):
    with config.engine().connect() as connection:
        query = sa.text("SELECT owner_org FROM package JOIN external_storage_link ON package_id = package.id")
        organization = connection.execute(query).scalar()
    assert run("quota", "set", organization, "10GB").stdout == f"{organization} may keep 10.0 GB.\n"
    shown = json.loads(run("quota", "show", organization, "--json").stdout)
    assert shown == {"used": 144, "reserved": 0, "limit": 10**10}
    assert "uploads are refused" in run("quota", "set", organization, "100").stdout
    assert run("quota", "set", organization, "none").stdout == f"{organization} may keep anything.\n"
    assert "is not a size" in run("quota", "set", organization, "much").stderr
    assert "no organisation" in run("quota", "show", "nobody").stderr


# check


@pytest.fixture
def site(app, own_store, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The running site, where ``ckan.site_url`` says."""
    server = make_server("127.0.0.1", 0, app.flask_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(ckan_config, "ckan.site_url", url)
    yield url
    server.shutdown()


@pytest.fixture
def own_translations(tmp_path: Path, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where CKAN keeps translations for scripts: German alone, in a second instead of a minute."""
    core = Path(ckan.i18n.__file__).parent
    (tmp_path / "i18n").mkdir()
    (tmp_path / "i18n" / "de").symlink_to(core / "de")
    (tmp_path / "i18n" / "ckan.pot").symlink_to(core / "ckan.pot")
    monkeypatch.setitem(ckan_config, "ckan.i18n_directory", str(tmp_path))
    monkeypatch.setitem(ckan_config, "ckan.storage_path", str(tmp_path))
    return tmp_path / "i18n" / "js"


def problems(name: str) -> str:
    return "\n".join({**checks.CHECKS, **checks.SLOW_CHECKS}[name]())


def test_a_good_set_up_but_for_the_worker(run: Run, site):
    result = run("check")
    assert [line for line in result.stdout.splitlines() if not line.endswith(": well")] == [
        "background jobs: not well",
        "  - No worker does the background jobs: large uploads are not checked, so nobody can save them."
        " Run it as a service: ckan jobs worker",
    ]
    assert result.exit_code == 1


def test_a_slow_body_arrives_while_it_is_sent(site, monkeypatch):
    monkeypatch.setattr(checks, "SLOW", 2)
    assert problems("slow upload") == ""


def test_check_names_the_repair(run: Run, site, own_store, ckan_config, monkeypatch, tmp_path):
    own_store.root.chmod(0o755)
    assert f"chmod o-rwx {own_store.root}" in problems("directory")
    own_store.root.chmod(0o500)
    assert "could not be stored" in problems("store") or Path("/proc/self").stat().st_uid == 0
    own_store.root.chmod(0o700)

    secret = tmp_path / "secret"
    capability.generate(secret)
    secret.chmod(0o644)
    with monkeypatch.context() as patch:
        patch.setitem(ckan_config, "ckanext.external_storage.capability_secret_file", str(secret))
        assert f"chmod 600 {secret}" in problems("capability secret")
        patch.setitem(ckan_config, "ckanext.external_storage.capability_secret_file", str(tmp_path / "none"))
        assert "ckan external-storage keygen" in problems("capability secret")
    with monkeypatch.context() as patch:
        patch.setitem(ckan_config, "ckanext.external_storage.qouta", "1GB")
        assert "Did you mean ckanext.external_storage.quota?" in problems("options")
        patch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path / "no-keys"))
        assert "ckan authz keygen" in problems("tokens")
        patch.setattr(checks.plugins, "plugin_loaded", lambda name: False)
        assert "authz_service is not on" in problems("tokens")
    with monkeypatch.context() as patch:
        patch.setitem(ckan_config, "ckan.site_url", f"{site}/elsewhere")
        assert "another server answers there" in problems("site address")
        patch.setitem(ckan_config, "ckan.site_url", "http://127.0.0.1:9")
        assert "ConnectionError" in problems("site address")
    with monkeypatch.context() as patch:
        patch.setitem(ckan_config, "ckanext.external_storage.cors_origins", ["https://Maps.example.org/a"])
        assert "no browser sends" in problems("origins")
    with monkeypatch.context() as patch:
        answering = checks.views.application().view_functions
        for endpoint in [name for name in answering if name.endswith("resource.download")]:
            patch.setitem(answering, endpoint, lambda **parts: "")
        assert "Remove that plugin" in problems("download address")


def test_translations_for_scripts(own_translations: Path, with_plugins, ckan_config, monkeypatch):
    """CKAN makes no file again that is newer than all catalogs, even if a plugin has come since."""
    assert problems("translations") == "", "a site that speaks English"
    monkeypatch.setitem(ckan_config, "ckan.locales_offered", ["de", "sv"])
    german = own_translations / "de.js"
    german.parent.mkdir(parents=True)
    german.write_text("{}")
    build_js_translations()
    (problem,) = problems("translations").splitlines()
    assert problem.endswith(f"Run: rm -f {own_translations}/*.js && ckan translation js")
    german.unlink()
    build_js_translations()
    assert problems("translations") == ""
    assert json.loads(german.read_text())["Pause"] == [None, "Anhalten"]


def test_a_wrong_set_up_is_in_the_log_and_does_not_prevent_the_start(
    make_app, ckan_config, monkeypatch, caplog, tmp_path
):
    monkeypatch.setitem(ckan_config, "ckanext.external_storage.local.path", str(tmp_path / "unmounted"))
    with caplog.at_level(logging.WARNING, logger="ckanext.external_storage.plugin"):
        app = make_app()
    assert "unmounted: No such file or directory" in caplog.text
    assert app.get("/about").status_code == 200


def test_the_echo_is_for_the_command_only(portal: Portal, own_store):
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(
        dataset, portal.write_token(editor, dataset), "upload", {"oid": oid_of(b"a"), "size": 1}
    )
    header = answer["actions"]["upload"]["header"]
    assert portal.client.put("/lfs/check", data=b"a", headers=header).status_code == 403
    assert portal.client.put("/lfs/check", data=b"a").status_code == 401
