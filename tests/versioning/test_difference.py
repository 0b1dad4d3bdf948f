"""What going back would change, and that it is what `reverted` then changes."""

from __future__ import annotations

from typing import Any

import pytest

from ckanext.versioning import errors, reverting
from ckanext.versioning.reverting import Difference, Resource, difference, reverted

OID = "ab" * 32


def dataset(*resources: dict[str, Any], **fields: Any) -> dict[str, Any]:
    common = {
        "id": "d",
        "type": "dataset",
        "title": "T",
        "private": False,
        "extras": [],
        "tags": [],
        "groups": [],
    }
    return {**common, **fields, "resources": [{**r, "position": n} for n, r in enumerate(resources)]}


def link(id: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": f"Link {id}", "url": f"http://x/{id}", "url_type": None, **fields}


def stored(id: str, oid: str = OID, **fields: Any) -> dict[str, Any]:
    return {"id": id, "name": id, "url": "a.csv", "url_type": "upload", "sha256": oid, **fields}


def classic(id: str, modified: str) -> dict[str, Any]:
    return {"id": id, "name": "", "url": "a.csv", "url_type": "upload", "last_modified": modified}


def test_nothing():
    assert not difference(dataset(link("a")), dataset(link("a"), metadata_modified="2026", num_tags=3))


def test_fields_but_none_that_stay():
    now = dataset(title="After", private=True, added="x", extras=[{"key": "k", "value": "v"}])
    found = difference(now, dataset(name="other"))
    assert found == Difference(fields=["added", "title"], extras=["k"], resources=[], order=False)


def test_each_kind_of_resource_in_the_order_of_that_time():
    now = dataset(link("new"), link("b", name="Other"), stored("c"), link("same"))
    then = dataset(link("gone"), stored("c", "cd" * 32), link("b"), link("same"))
    found = difference(now, then)
    assert found.resources == [
        Resource("gone", "Link gone", "added"),
        Resource("c", "c", "bytes"),
        Resource("b", "Link b", "metadata"),
        Resource("new", "Link new", "removed"),
    ]
    assert not difference(reverted(now, then), then)


def test_the_order_alone():
    found = difference(dataset(link("a"), link("b")), dataset(link("b"), link("a")))
    assert found == Difference([], [], [], order=True)
    assert found


def test_a_file_of_which_nothing_was_kept():
    now, then = dataset(classic("a", "2026"), link("b")), dataset(classic("a", "2025"), link("b", name="B"))
    assert difference(now, then).resources == [Resource("a", "a.csv", "lost"), Resource("b", "B", "metadata")]
    with pytest.raises(errors.FileNotKept):
        reverted(now, then)
    assert reverted(now, then, ["b"])["resources"] == [now["resources"][0], then["resources"][1]]


def test_what_the_system_writes_stays_as_it_is():
    now = dataset(
        stored("a", "cd" * 32, datastore_active=True, hash="of cd", last_modified="2026"), link("b")
    )
    then = dataset(
        stored("a", datastore_active=False, hash="of ab", last_modified="2025"), link("c", cache_url="x")
    )
    a, c = reverted(now, then)["resources"]
    assert (a["sha256"], a["datastore_active"], a["last_modified"]) == (OID, True, "2026")
    assert "hash" not in a, "so that what was loaded from the other bytes is loaded again"
    assert "cache_url" not in c
    same = reverted(now, {**then, "resources": [{**then["resources"][0], "sha256": "cd" * 32}]})
    assert same["resources"][0]["hash"] == "of cd"


def test_parts_that_nobody_knows():
    with pytest.raises(errors.UnknownPart) as caught:
        reverted(dataset(), dataset(), ["fields", "nonsense", reverting.RESOURCES, "license_id"])
    assert caught.value.parts == ["license_id", "nonsense"]
