"""Lists of revisions, refs, releases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timezone
from threading import Barrier
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories, helpers

from ckanext.versioning import model as tables
from tests.portal import Portal
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def dataset() -> dict[str, Any]:
    """Revisions 1 to 3 and 5 to 6 by one author, 4 by another; 2 is released as v1."""
    one, other = factories.Sysadmin(fullname="One"), factories.Sysadmin()
    dataset = factories.Dataset(user=one, title="1")
    for seq in range(2, 7):
        user = other if seq == 4 else one
        helpers.call_action("package_patch", {"user": user["name"]}, id=dataset["id"], title=str(seq))
    call("dataset_release_create", dataset=dataset["id"], name="v1", revision_ref="r2")
    return {**dataset, "author": one}


def seqs(dataset: dict[str, Any], **options: Any) -> list[int]:
    return [line["seq"] for line in call("dataset_revision_list", id=dataset["id"], **options)]


def test_the_list_has_a_line_for_each_changeset_and_each_release(dataset: dict[str, Any]):
    assert seqs(dataset) == [6, 4, 3, 2]
    assert seqs(dataset, all=True) == [6, 5, 4, 3, 2, 1]


def test_pages(dataset: dict[str, Any]):
    assert seqs(dataset, limit=2) == [6, 4]
    assert seqs(dataset, limit=2, before_seq=4) == [3, 2]
    assert seqs(dataset, before_seq=6) == [4, 3, 2]  # r5 is in the changeset whose line was r6
    assert seqs(dataset, all=True, limit=1, before_seq=6) == [5]
    assert seqs(dataset, before_seq=1) == []


def test_what_a_line_says(dataset: dict[str, Any]):
    line = call("dataset_revision_list", id=dataset["name"], all="true", limit="1", before_seq="3")[0]
    row = recorded.revisions(dataset["id"])[1]
    assert line == {
        "seq": 2,
        "id": row.id,
        "created": row.created.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "author": {"id": dataset["author"]["id"], "name": "One"},
        "message": None,
        "origin": "cli",
        "changeset": row.changeset,
        "summary": row.summary,
        "releases": ["v1"],
    }
    shown = call("dataset_revision_show", id=dataset["id"], ref="r2")
    assert shown == {**line, "parent": recorded.revisions(dataset["id"])[0].id, "resources": []}


def test_a_dataset_without_history_has_an_empty_list():
    dataset = factories.Dataset()
    for table in tables.TABLES:
        model.Session.execute(sa.delete(table).where(table.c.package_id == dataset["id"]))
    model.Session.commit()
    assert seqs(dataset) == []
    with pytest.raises(tk.ObjectNotFound):
        call("dataset_release_create", dataset=dataset["id"], name="v1")


def test_options_out_of_range():
    for options in (
        *({"limit": limit} for limit in (0, 1001, "x", "  ", True)),
        *({"before_seq": seq} for seq in (-1, 0, 1.5, "r1")),
        *({"id": id} for id in (None, ["x"], "a\0b")),
    ):
        with pytest.raises(tk.ValidationError) as caught:
            call("dataset_revision_list", **{"id": "any", **options})
        assert list(caught.value.error_dict) == list(options), options


def test_refs(dataset: dict[str, Any]):
    def number(ref: str) -> int:
        return call("dataset_revision_show", id=dataset["id"], ref=ref)["seq"]

    rows = recorded.revisions(dataset["id"])
    assert [number(f"head~{back}") for back in range(6)] == [6, 5, 4, 3, 2, 1]
    for row in rows:
        created = call("dataset_revision_show", id=dataset["id"], ref=row.id)["created"]
        assert number(created) == number(row.id[:16]) == number(f"r{row.seq}") == row.seq
    assert number("v1") == number("latest") == 2
    call("dataset_release_create", dataset=dataset["id"], name="v0-late", revision_ref="r1")
    assert number("latest") == 1  # the newest release, whichever revision it names


def test_a_short_id_that_fits_two_revisions(dataset: dict[str, Any]):
    r = tables.revision
    for seq in (1, 2):
        same = sa.update(r).where(r.c.package_id == dataset["id"], r.c.seq == seq)
        model.Session.execute(same.values(id=f"abcdef0{seq}" + dataset["id"].replace("-", "") + "0" * 24))
    model.Session.commit()
    with pytest.raises(tk.ValidationError, match="More than one"):
        call("dataset_revision_show", id=dataset["id"], ref="abcdef0")
    assert call("dataset_revision_show", id=dataset["id"], ref="abcdef02")["seq"] == 2


def test_a_release_named_like_another_ref_goes_first(dataset: dict[str, Any]):
    # Not allowed today, but what is in the table (from a migration, say) is still found by its exact name.
    release = {"package_id": dataset["id"], "name": "abcdef01", "seq": 3, "notes": ""}
    model.Session.execute(sa.insert(tables.release).values(**release, created=sa.func.now()))
    model.Session.commit()
    assert call("dataset_revision_show", id=dataset["id"], ref="abcdef01")["seq"] == 3


def test_a_release_says_what_it_is(portal: Portal):
    user = factories.SysadminWithToken(fullname="Rel Easer")
    dataset = factories.Dataset()
    made = portal.action(
        "dataset_release_create",
        user,
        dataset=dataset["name"],
        name="v1.0",
        title="Version 1, for everyone",
        description="été",
    )
    row = recorded.newest(dataset["id"])
    assert made == {
        "package_id": dataset["id"],
        "name": "v1.0",
        "title": "Version 1, for everyone",
        "description": "été",
        "doi": None,
        "seq": 1,
        "revision_ref": row.id,
        "author": {"id": user["id"], "name": "Rel Easer"},
        "created": made["created"],
    }
    assert portal.action("dataset_release_list", dataset=dataset["id"]) == [made]


def test_releases_are_listed_newest_first(dataset: dict[str, Any]):
    for name in ("v2", "v3"):
        call("dataset_release_create", dataset=dataset["id"], name=name)
    assert [r["name"] for r in call("dataset_release_list", dataset=dataset["id"])] == ["v3", "v2", "v1"]
    assert call("dataset_revision_show", id=dataset["id"], ref="head")["releases"] == ["v2", "v3"]


def test_release_names_are_unique_in_a_dataset(dataset: dict[str, Any]):
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_release_create", dataset=dataset["id"], name="v1")
    assert "unique" in str(caught.value.error_dict["name"])
    call("dataset_release_create", dataset=factories.Dataset()["id"], name="v1")


def test_bad_release_names():
    dataset = factories.Dataset()
    for name in ("", None, "latest", "Version 1.2", "r1", "a/b", "x\0", "\ud800", 7):
        with pytest.raises(tk.ValidationError) as caught:
            call("dataset_release_create", dataset=dataset["id"], name=name)
        assert list(caught.value.error_dict) == ["name"], name


def test_text_that_the_database_cannot_hold():
    for field in ("title", "description"):
        with pytest.raises(tk.ValidationError) as caught:
            call("dataset_release_create", dataset="any", name="v2", **{field: "a\0b"})
        assert list(caught.value.error_dict) == [field]


def test_a_release_is_committed_with_the_callers_transaction_if_that_is_wanted(dataset: dict[str, Any]):
    context = {"defer_commit": True}
    helpers.call_action("dataset_release_create", context, dataset=dataset["id"], name="never")
    model.Session.rollback()
    assert [r["name"] for r in call("dataset_release_list", dataset=dataset["id"])] == ["v1"]


def test_one_name_given_by_many_at_once(app, dataset: dict[str, Any]):
    barrier = Barrier(4)

    def create(turn: int) -> str:
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                return call("dataset_release_create", dataset=dataset["id"], name="race")["name"]
            except tk.ValidationError as error:
                return str(error.error_dict)
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(create, range(4)))
    assert answers.count("race") == 1
    assert sum("unique" in answer for answer in answers) == 3


def test_reading_actions_may_be_called_over_get_and_writing_ones_not(portal: Portal, dataset: dict[str, Any]):
    for action in (
        f"dataset_revision_list?id={dataset['id']}",
        f"dataset_revision_show?id={dataset['id']}&ref=r1",
        f"dataset_release_list?dataset={dataset['id']}",
    ):
        assert portal.get(f"/api/3/action/{action}", status=200).json["success"]
    portal.get(f"/api/3/action/dataset_release_create?dataset={dataset['id']}&name=v9", status=400)
