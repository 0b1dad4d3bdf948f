from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning import snapshot

SHA = "ab" * 32

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=[])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=6)


@st.composite
def dictized(draw: st.DrawFn) -> dict[str, Any]:
    """Any JSON object, whose resources have what every dictized resource has: unique ids, a position."""
    ids = draw(st.lists(st.text(), unique=True, max_size=5))
    positions = st.sampled_from(range(len(ids) + 1)) | json_values
    resources = [{**draw(json_objects), "id": id, "position": draw(positions)} for id in ids]
    return {**draw(json_objects), "resources": resources}


@given(dictized())
def test_what_was_taken_apart_is_put_together_again(dataset: dict[str, Any]):
    parts = snapshot.split(dataset)
    assert snapshot.rebuild(parts.dataset, [part.body for part in parts.resources]) == dataset


@given(dictized())
def test_the_stored_text_gives_it_back(dataset: dict[str, Any]):
    parts = snapshot.split(dataset)
    bodies = [json.loads(snapshot.canonical_json(part.body)) for part in parts.resources]
    again = snapshot.rebuild(json.loads(snapshot.canonical_json(parts.dataset)), bodies)
    # repr too, because 1 == 1.0 == True
    assert repr(_sorted(again)) == repr(_sorted(dataset))


@given(json_objects)
def test_the_stored_text_is_one_text_that_postgresql_takes(value: dict[str, Any]):
    text = snapshot.canonical_json(value)
    assert text == snapshot.canonical_json(dict(reversed(value.items())))
    assert "\0" not in text
    text.encode("utf-8")


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_a_resource_that_only_moved_keeps_its_body():
    first, second = ({"id": "a", "position": place, "name": "x"} for place in (0, 1))
    assert snapshot.split({"resources": [first]}).resources[0].body == {"id": "a", "name": "x"}
    moved = snapshot.split({"resources": [{"id": "b", "position": 0}, second]}).resources[1]
    assert moved.body == {"id": "a", "name": "x"}


@pytest.mark.parametrize("position", [7, None, True, "0", 0.0])
def test_a_position_that_is_not_the_place_stays(position: Any):
    dataset = {"resources": [{"id": "a", "position": position}]}
    assert "position" in snapshot.split(dataset).resources[0].body


@pytest.mark.parametrize(
    ("resource", "oid", "size"),
    [
        ({"url_type": "upload", "sha256": SHA, "size": 7}, SHA, 7),
        ({"url_type": "upload", "sha256": SHA, "size": 0}, SHA, 0),
        ({"url_type": "upload", "sha256": SHA, "size": None}, SHA, None),
        ({"url_type": "upload", "sha256": SHA, "size": "7"}, SHA, None),
        ({"url_type": "upload", "sha256": SHA, "size": True}, SHA, None),
        ({"url_type": "upload", "sha256": SHA, "size": -1}, SHA, None),
        ({"url_type": "upload", "sha256": SHA, "size": 2**53}, SHA, None),
        ({"url_type": "upload", "sha256": SHA.upper(), "size": 7}, None, None),
        ({"url_type": "upload", "sha256": SHA + "0", "size": 7}, None, None),
        ({"url_type": "upload", "size": 7}, None, None),
        ({"url_type": None, "sha256": SHA, "size": 7}, None, None),
        ({"url_type": "", "sha256": [], "size": 7}, None, None),
    ],
)
def test_which_resources_are_stored_files(resource: dict[str, Any], oid: str | None, size: int | None):
    part = snapshot.split({"resources": [{"id": "a", "position": 0, **resource}]}).resources[0]
    assert (part.oid, part.size) == (oid, size)


DATASET: dict[str, Any] = {
    "id": "p",
    "name": "n",
    "title": "t",
    "extras": [{"key": "k", "value": "1"}, {"key": "l", "value": "2"}],
    "tags": [
        {"id": "t1", "name": "rain", "display_name": "rain", "vocabulary_id": None, "state": "active"},
        {"id": "t2", "name": "sun", "display_name": "sun", "vocabulary_id": "v", "state": "active"},
    ],
    "groups": [{"id": "g", "name": "g", "title": "G", "member_count": 1}, {"id": "f", "name": "f"}],
    "metadata_modified": "2026",
    "organization": {"title": "O"},
    "relationships_as_subject": [{"id": "r1", "type": "depends_on"}, {"id": "r2", "type": "derives_from"}],
}


@pytest.mark.parametrize(
    "change",
    [
        {"metadata_modified": "2027"},
        {"num_resources": 3},
        {"organization": {"title": "P"}},
        {"license_title": "CC"},
        {"license_url": "http://x"},
        {"isopen": True},
        {"plugin_data": {"x": 1}},
        {"relationships_as_object": [{"id": "r"}]},
        {"relationships_as_subject": DATASET["relationships_as_subject"][::-1]},
        {"extras": [{"key": "l", "value": "2"}, {"key": "k", "value": "1", "id": "e", "state": "active"}]},
        {"tags": [{"id": "other", "name": n, "vocabulary_id": v} for n, v in (("sun", "v"), ("rain", None))]},
        {"groups": [{"id": "f", "title": "New", "image_url": "x"}, {"id": "g", "name": "renamed"}]},
    ],
)
def test_no_change_of_a_datasets_content(change: dict[str, Any]):
    assert snapshot.dataset_projection({**DATASET, **change}) == snapshot.dataset_projection(DATASET)


@pytest.mark.parametrize(
    "change",
    [
        {"title": "T"},
        {"title": None},
        {"private": True},
        {"owner_org": "o"},
        {"state": "deleted"},
        {"some_future_column": 1},
        {"relationships_as_subject": [{"id": "r"}]},
        {"extras": DATASET["extras"][:1]},
        {"extras": [{"key": "k", "value": "1"}, {"key": "l", "value": ""}]},
        {"tags": DATASET["tags"][:1]},
        {"tags": [{**tag, "vocabulary_id": None} for tag in DATASET["tags"]]},
        {"groups": DATASET["groups"][:1]},
    ],
)
def test_a_change_of_a_datasets_content(change: dict[str, Any]):
    assert snapshot.dataset_projection({**DATASET, **change}) != snapshot.dataset_projection(DATASET)


LINK: dict[str, Any] = {"id": "a", "url": "http://x/y.csv", "url_type": None, "hash": "1", "name": "y"}
STORED: dict[str, Any] = {
    "id": "a",
    "url": "y.csv",
    "url_type": "upload",
    "hash": "1",
    "sha256": SHA,
    "size": 7,
}
CLASSIC: dict[str, Any] = {"id": "a", "url": "y.csv", "url_type": "upload", "hash": "1"}


@pytest.mark.parametrize("resource", [LINK, STORED, CLASSIC])
@pytest.mark.parametrize(
    "change",
    [
        {"metadata_modified": "2027"},
        {"datastore_active": True},
        {"datastore_contains_all_records_of_source_file": True},
        {"validation_status": "success", "validation_timestamp": "2027"},
        {"tracking_summary": {"total": 1}},
        {"cache_url": "http://c", "cache_last_updated": "2027", "cache_filepath": "/c"},
    ],
)
def test_no_change_of_a_resources_content(resource: dict[str, Any], change: dict[str, Any]):
    assert snapshot.resource_projection({**resource, **change}) == snapshot.resource_projection(resource)


@pytest.mark.parametrize(
    ("resource", "change", "counts"),
    [
        (LINK, {"name": "z"}, True),
        (LINK, {"hash": "2"}, True),
        (LINK, {"last_modified": "2027"}, False),
        (STORED, {"sha256": "cd" * 32}, True),
        (STORED, {"hash": "2"}, False),
        (STORED, {"last_modified": "2027"}, False),
        (CLASSIC, {"hash": "2"}, False),
        (CLASSIC, {"last_modified": "2027"}, True),
        (CLASSIC, {"sha256": SHA}, True),
        (STORED, {"custom": {"deep": [1]}}, True),
    ],
)
def test_what_counts_depends_on_where_the_bytes_are(
    resource: dict[str, Any], change: dict[str, Any], counts: bool
):
    changed = snapshot.resource_projection({**resource, **change}) != snapshot.resource_projection(resource)
    assert changed is counts


def test_a_blob_can_be_checked_with_its_salt():
    body = {"id": "a", "name": "é", "metadata_modified": "2026"}
    projection = snapshot.canonical_json(snapshot.resource_projection(body))
    blob = snapshot.make_blob(body, projection)
    assert blob.text == '{"id":"a","metadata_modified":"2026","name":"é"}'
    assert blob.sha == hashlib.sha256(blob.salt + blob.text.encode()).hexdigest()
    assert blob.projection_sha == hashlib.sha256(blob.salt + '{"id":"a","name":"é"}'.encode()).hexdigest()
    assert snapshot.make_blob(body, projection).sha != blob.sha
