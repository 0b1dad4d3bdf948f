"""Which revisions `dataset_revision_list` is asked for: by author, time and resource."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories, helpers

from ckanext.versioning import model as tables
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def dataset() -> dict[str, Any]:
    """On the n-th of May 2026 at noon, revision n. 1, 2, 5 are by one, 3, 4 by another; 1 and 2 are one
    changeset, and 3 and 4. Resource b: 1 added, 3 renamed, 5 removed; 4 puts a in another place behind b.
    """
    organization = factories.Organization()
    one, other = factories.Sysadmin(), factories.Sysadmin()
    resources = [{"url": f"http://x/{name}", "name": name} for name in "abc"]
    dataset: Any = factories.Dataset(user=one, owner_org=organization["id"], resources=resources)
    a, b, c = dataset["resources"]

    def save(user: dict[str, Any], action: str, **data: Any) -> None:
        helpers.call_action(action, {"user": user["name"]}, **data)

    save(one, "package_patch", id=dataset["id"], title="second title")
    save(other, "resource_patch", id=b["id"], name="B")
    save(other, "package_resource_reorder", id=dataset["id"], order=[b["id"], c["id"], a["id"]])
    save(one, "resource_delete", id=b["id"])
    r = tables.revision
    noon = sa.func.make_timestamptz(2026, 5, r.c.seq, 12, 0, 0, "UTC")
    model.Session.execute(sa.update(r).where(r.c.package_id == dataset["id"]).values(created=noon))
    model.Session.commit()
    return {**dataset, "one": one, "other": other, "a": a["id"], "b": b["id"], "c": c["id"]}


def seqs(dataset: dict[str, Any], user: Any = None, **options: Any) -> list[int]:
    return [line["seq"] for line in call("dataset_revision_list", user, id=dataset["id"], **options)]


def test_by_author(dataset: dict[str, Any]):
    one, other = dataset["one"], dataset["other"]
    assert (
        seqs(dataset, all=True, author=one["name"]) == seqs(dataset, all=True, author=one["id"]) == [5, 2, 1]
    )
    assert seqs(dataset, author=other["name"]) == [4]
    assert seqs(dataset, author="no-such-user") == []
    with pytest.raises(tk.ValidationError):
        seqs(dataset, author="a\0b")


@pytest.mark.ckan_config("ckan.auth.public_user_details", False)
def test_a_name_that_the_caller_may_not_look_up_finds_nothing(dataset: dict[str, Any]):
    one = dataset["one"]
    assert seqs(dataset, "", all=True, author=one["name"]) == []
    assert seqs(dataset, "", all=True, author=one["id"]) == [5, 2, 1]
    assert seqs(dataset, one, all=True, author=one["name"]) == [5, 2, 1]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"since": "2026-05-03T12:00:00Z"}, [5, 4, 3]),
        ({"since": "2026-05-03T12:00:00.000001Z"}, [5, 4]),
        ({"since": "2026-05-04"}, [5, 4]),
        ({"until": "2026-05-02"}, [2, 1]),
        ({"until": "2026-05-02T11:59Z"}, [1]),
        ({"until": "2026-05-02T12:00"}, [2, 1]),
        ({"since": "2026-05-02", "until": "2026-05-03T14:00+02:00"}, [3, 2]),
        ({"since": "2026-05-06"}, []),
    ],
)
def test_by_time(dataset: dict[str, Any], options: dict[str, Any], wanted: list[int]):
    assert seqs(dataset, all=True, **options) == wanted


def test_times_that_are_none():
    for option in ("since", "until"):
        for text in ("2026-02-30", "yesterday", "r1", 7):
            with pytest.raises(tk.ValidationError) as caught:
                call("dataset_revision_list", id="any", **{option: text})
            assert list(caught.value.error_dict) == [option]


def test_by_resource(dataset: dict[str, Any]):
    assert seqs(dataset, all=True, resource_id=dataset["b"]) == [5, 3, 1]
    assert seqs(dataset, all=True, resource_id=dataset["a"]) == [4, 1]
    # That others around it came and went is no change of it.
    assert seqs(dataset, all=True, resource_id=dataset["c"]) == [1]
    assert seqs(dataset, all=True, resource_id="no-such-resource") == []


def test_lines_are_made_from_what_was_chosen(dataset: dict[str, Any]):
    assert seqs(dataset) == [5, 4, 2]
    assert seqs(dataset, resource_id=dataset["b"]) == [5, 3, 1]
    assert seqs(dataset, until="2026-05-03") == [3, 2]
    call("dataset_release_create", dataset=dataset["id"], name="v1", revision_ref="r1")
    assert seqs(dataset, author=dataset["one"]["id"]) == [5, 2, 1]
    assert seqs(dataset, author=dataset["one"]["id"], limit=1) == [5]
    assert seqs(dataset, author=dataset["one"]["id"], limit=1, before_seq=5) == [2]
    assert seqs(dataset, author=dataset["one"]["id"], before_seq=2) == [1]


def test_what_is_hidden_is_not_told_by_a_filter(dataset: dict[str, Any]):
    r = tables.revision
    of = sa.update(r).where(r.c.package_id == dataset["id"], r.c.seq.in_([2, 3]))
    model.Session.execute(of.values(labels=["member-x"]))
    model.Session.commit()
    assert seqs(dataset, "", all=True) == [5, 4, 1]
    assert seqs(dataset, "", all=True, author=dataset["other"]["id"]) == [4]
    # r4 may have changed any resource since r1: its summary is hidden as well.
    assert seqs(dataset, "", all=True, resource_id=dataset["c"]) == [4, 1]
    assert seqs(dataset, "", all=True, resource_id=dataset["b"]) == [5, 4, 1]
