"""What was changed, lost or slipped in after it was recorded is found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.tests import factories

from ckanext.versioning import history, verifying
from ckanext.versioning import model as tables
from tests.statements import statements
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

R, S, B = tables.revision, tables.resource_state, tables.metadata_blob


@pytest.fixture
def dataset() -> dict[str, Any]:
    """Five revisions: a resource changed, two swapped, one removed; the fourth is released."""
    user = factories.Sysadmin()
    links = [{"url": f"http://x/{name}.csv", "name": name} for name in "abc"]
    made: Any = factories.Dataset(resources=links, owner_org=factories.Organization()["id"])
    ids = [resource["id"] for resource in made["resources"]]
    call("resource_patch", user, id=ids[0], name="other", version_message="a message")
    call("package_resource_reorder", user, id=made["id"], order=[ids[1], ids[0]])
    call("resource_delete", user, id=ids[2])
    call("dataset_release_create", user, dataset=made["id"], name="one")
    call("package_patch", user, id=made["id"], title="The end")
    return made


def found(dataset: dict[str, Any], *changes: Any) -> list[tuple[str, int | None]]:
    """Codes and revisions of what is found after *changes* of one row each, which are taken back."""
    engine: Any = model.meta.engine
    with engine.connect() as connection:
        transaction = connection.begin()
        for change in changes:
            assert connection.execute(change(dataset)).rowcount == 1
        findings = list(verifying.history_findings(connection, dataset["id"]))
        transaction.rollback()
    assert all(finding.package_id == dataset["id"] and finding.text for finding in findings)
    return [(finding.code, finding.seq) for finding in findings]


def update(table: Any, *where: Any, **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda dataset: (
        sa.update(table).where(table.c.package_id == dataset["id"], *where).values(**values)
    )


def delete(table: Any, *where: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda dataset: sa.delete(table).where(table.c.package_id == dataset["id"], *where)


def in_body(seq: int) -> Any:
    """The dataset's text in a revision."""
    of = sa.select(R.c.meta_sha).where(R.c.package_id == B.c.package_id, R.c.seq == seq)
    return of.scalar_subquery() == B.c.sha


OTHER = "0" * 64
LAST_STATE_OF_A = sa.and_(S.c.from_seq == 3, S.c.position == 1)
FIRST_OF_A = sa.and_(S.c.from_seq == 1, S.c.position == 0)

CASES: dict[str, tuple[Callable[[dict[str, Any]], Any], list[tuple[str, int | None]]]] = {
    "time": (update(R, R.c.seq == 3, created=sa.func.now()), [("id", 3)]),
    "id": (update(R, R.c.seq == 3, id=OTHER), [("id", 3), ("parent", 4)]),
    "hash of the message": (update(R, R.c.seq == 3, message_sha=OTHER), [("id", 3), ("message", 3)]),
    "parent": (update(R, R.c.seq == 3, parent_id=OTHER), [("parent", 3), ("id", 3)]),
    "author's id": (update(R, R.c.seq == 3, author_id="somebody"), [("author", 3)]),
    "author's name": (update(R, R.c.seq == 3, author_name="Somebody"), [("author", 3)]),
    "no author, but the salt": (update(R, R.c.seq == 3, author_id=None, author_name=None), [("author", 3)]),
    "an author without salt": (update(R, R.c.seq == 3, author_salt=None), [("author", 3)]),
    "message": (update(R, R.c.seq == 2, message="another"), [("message", 2)]),
    "a message where there was none": (update(R, R.c.seq == 3, message="new"), [("message", 3)]),
    "salt": (update(R, R.c.seq == 3, body_salt=b"x" * 16), [("body", 3)]),
    "text of another revision": (
        update(R, R.c.seq == 3, meta_sha=OTHER),
        [("no-text", 3), ("body", 3), ("no-revision", None)],
    ),
    "a revision is gone": (delete(R, R.c.seq == 3), [("gap", 3), ("no-revision", None)]),
    "the first is gone": (delete(R, R.c.seq == 1), [("gap", 1), ("no-revision", None)]),
    "the last is gone": (delete(R, R.c.seq == 5), [("no-revision", None)]),
    "a text": (update(B, in_body(3), body='{"title":"Nicer"}'), [("text", 3)]),
    "a text without salt": (update(B, in_body(3), salt=None), [("text", 3)]),
    "a text that is gone": (update(B, in_body(3), body=None), [("text", 3)]),
    "the hash for comparing": (update(B, in_body(3), projection_sha=OTHER), [("projection", 3)]),
    "a text's row is gone": (delete(B, in_body(3)), [("no-text", 3)]),
    "place": (update(S, LAST_STATE_OF_A, position=7), [("position", 3), ("body", 3)]),
    "order": (update(S, LAST_STATE_OF_A, position=-1), [("position", 3), ("body", 3)]),
    "file": (update(S, FIRST_OF_A, oid=OTHER, size=1), [("body", 1)]),
    "an impossible size": (update(S, FIRST_OF_A, size=2**60), [("body", 1)]),
    "a state that ends late": (update(S, FIRST_OF_A, to_seq=3), [("range", 2), ("position", 2), ("body", 2)]),
    "a state that ends in the future": (update(S, LAST_STATE_OF_A, to_seq=9), [("range", 5)]),
    "a state's row is gone": (
        delete(S, S.c.from_seq == 2),
        [("position", 2), ("body", 2)],
    ),
    "a state of no revision": (
        lambda dataset: sa.insert(S).values(
            package_id=dataset["id"], resource_id="new", position=2, meta_sha=OTHER, from_seq=9
        ),
        [("no-revision", 9)],
    ),
    "a file of no state": (
        lambda dataset: sa.insert(tables.classic_file).values(
            package_id=dataset["id"], resource_id="new", from_seq=2, size=1, mtime_ns=1
        ),
        [("no-revision", 2)],
    ),
    "a release of no revision": (update(tables.release, seq=9), [("no-revision", 9)]),
}


def test_what_was_recorded_is_found_as_it_was_and_anything_else_is_a_finding(dataset: dict[str, Any]):
    with statements() as short:
        assert found(dataset) == []
    assert {name: found(dataset, change) for name, (change, _) in CASES.items()} == {
        name: expected for name, (_, expected) in CASES.items()
    }
    # Erased is not changed.
    gone = {
        "author_id": None,
        "author_name": None,
        "author_salt": None,
        "message": None,
        "message_salt": None,
    }
    erased = update(R, R.c.seq == 2, body_salt=None, **gone)
    assert found(dataset, erased, update(B, in_body(2), body=None, salt=None, projection_sha=None)) == []

    for number in range(5):
        call("package_patch", id=dataset["id"], title=f"Title {number}")
    with statements() as long:
        assert found(dataset) == []
    assert len(long) == len(short)


def test_a_head_that_is_not_the_dataset_is_told_apart(dataset: dict[str, Any]):
    def codes() -> list[str]:
        return [finding.code for finding in verifying.findings(dataset["id"])]

    assert codes() == []
    engine: Any = model.meta.engine
    id = dataset["id"]
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE package SET title = 'T' WHERE id = :id"), {"id": id})
    assert codes() == ["head"]
    plugins.unload("versioning")
    try:
        call("dataset_purge", id=id)
    finally:
        plugins.load("versioning")
    assert codes() == ["gone"]


def test_the_body_is_hashed_as_it_was_sealed():
    rows = [{"resource_id": '"ä', "meta_sha": "1", "oid": None, "size": 7}, {"resource_id": "b"}]
    rows[1].update(meta_sha="2", oid=OTHER, size=2**53 - 1)
    for some in ([], rows[:1], rows):
        sealed = history.seal(history.body_record("d", some))
        assert history.body_sha(sealed.salt, "d", map(history.resource_json, some)) == sealed.sha
