"""A dataset is read as core's `package_dictize` gives it, whatever is in it."""

from __future__ import annotations

import itertools
import logging
from datetime import datetime
from typing import Any

import pytest
from ckan import model
from ckan.lib.dictization import model_dictize
from ckan.tests import factories
from hypothesis import given
from hypothesis import strategies as st

from ckanext.versioning import dictized, snapshot
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

COUNTER = itertools.count()


@pytest.fixture(autouse=True)
def known_core(monkeypatch: pytest.MonkeyPatch) -> None:
    # Otherwise a core that knows more would answer itself.
    monkeypatch.setattr(dictized._Core, "more", set())


def assert_same_as_core(package_id: str) -> dict[str, Any]:
    session = model.Session()
    package, ours = dictized.read(session, package_id)
    core = dictized.cores_own(session, package)
    # Neither order means anything: core's is the database's.
    for dataset in (ours, core):
        dataset["tags"].sort(key=lambda tag: (tag["name"], tag["id"]))
        for role in ("relationships_as_subject", "relationships_as_object"):
            dataset[role].sort(key=lambda relationship: relationship["id"])
    # As text: 1, 1.0 and True are equal.
    assert snapshot.canonical_json(ours) == snapshot.canonical_json(core)
    return ours


def _rich() -> str:
    vocabulary = call("vocabulary_create", name=f"v-{next(COUNTER)}", tags=[{"name": "xx"}, {"name": "rain"}])
    groups = [factories.Group(title="Ünits", image_url="logo.png"), factories.Group()]
    dataset = factories.Dataset(
        title="  Wetter ",
        license_id="cc-by",
        owner_org=factories.Organization(extras=[{"key": "k", "value": "v"}])["id"],
        groups=[{"id": group["id"]} for group in groups],
        extras=[
            {"key": key, "value": value} for key, value in [("z", "ü\n"), ("a", "{}"), ("bb", '{"a": 1}')]
        ],
        tags=[{"name": "rain"}, {"name": "rain", "vocabulary_id": vocabulary["id"]}, {"name": "Äther"}],
        plugin_data={"some_plugin": {"deep": [None, 1.5]}},
        resources=[
            {"url": "example.org/a.csv", "size": 2**40, "odd": {"deep": [{"": None}], "nul": "a\0b"}},
            {"url": "http://x/b", "last_modified": "2026-01-01T00:00:00.500000", "name": "ü"},
            {"url": "http://x/c", "cache_last_updated": "2026-01-01T00:00:00", "description": None},
        ],
    )
    call("resource_delete", id=dataset["resources"][1]["id"])
    model.Resource.get(dataset["resources"][2]["id"]).url_type = "upload"  # pyright: ignore[reportOptionalMemberAccess]
    for pair in [(dataset, factories.Dataset()), (factories.Dataset(), dataset)]:
        call("package_relationship_create", subject=pair[0]["id"], object=pair[1]["id"], type="depends_on")
    model.Session.commit()
    return dataset["id"]


def _bare() -> str:
    """Less than any action would leave."""
    package = model.Package(name=f"bare-{next(COUNTER)}", type=None, private=None, metadata_created=None)
    model.Session.add(package)
    model.Session.commit()
    return package.id


def _licence_without_address() -> str:
    return factories.Dataset(license_id="notspecified")["id"]


def _licence_that_nobody_knows() -> str:
    return factories.Dataset(license_id="our-own")["id"]


def _in_a_deleted_organization() -> str:
    organization = factories.Organization()
    dataset = factories.Dataset(owner_org=organization["id"])
    model.Group.get(organization["id"]).state = "deleted"  # pyright: ignore[reportOptionalMemberAccess]
    model.Session.commit()
    return dataset["id"]


def _left_a_group() -> str:
    group = factories.Group()
    dataset = factories.Dataset(groups=[{"id": group["id"]}])
    call("member_delete", id=group["id"], object=dataset["id"], object_type="package")
    return dataset["id"]


def _with_state(state: str) -> str:
    return factories.Dataset(state=state, private=True, owner_org=factories.Organization()["id"])["id"]


def _deleted() -> str:
    dataset = factories.Dataset(extras=[{"key": "k", "value": "v"}], tags=[{"name": "rain"}])
    call("package_delete", id=dataset["id"])
    return dataset["id"]


def _of_another_type() -> str:
    return factories.Dataset(type="harvest")["id"]


DATASETS = {
    "with everything": _rich,
    "with nothing": _bare,
    "a licence without address": _licence_without_address,
    "a licence that nobody knows": _licence_that_nobody_knows,
    "in a deleted organisation": _in_a_deleted_organization,
    "no longer in a group": _left_a_group,
    "private draft": lambda: _with_state("draft"),
    "deleted": _deleted,
    "of another type": _of_another_type,
}


@pytest.mark.parametrize("make", DATASETS.values(), ids=DATASETS.keys())
def test_it_is_what_core_gives(make: Any):
    assert_same_as_core(make())


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text(), values, max_size=3),
    max_leaves=8,
)
TIMES = st.none() | st.datetimes(datetime(1900, 1, 1))  # noqa: DTZ001 as in CKAN's tables
STATES = st.sampled_from(["active", "deleted", "draft"])
RESOURCES = st.fixed_dictionaries(
    {"url": TEXT, "state": STATES, "extras": st.dictionaries(TEXT, JSON, max_size=3)},
    optional={
        "description": st.none() | TEXT,
        "size": st.none() | st.integers(-(2**63), 2**63 - 1),
        "last_modified": TIMES,
        "metadata_modified": TIMES,
        "url_type": st.sampled_from(["upload", ""]),
    },
)


@pytest.mark.proof(examples=(25, 2000))
@given(
    fields=st.fixed_dictionaries({"title": TEXT, "notes": st.none() | TEXT, "private": st.booleans()}),
    extras=st.dictionaries(TEXT, TEXT, max_size=4),
    tags=st.dictionaries(TEXT, STATES, max_size=4),
    resources=st.lists(RESOURCES, max_size=4),
)
def test_it_is_what_core_gives_whatever_is_in_the_database(
    fields: Any, extras: Any, tags: Any, resources: Any
):
    session = model.Session()
    try:
        session.add(dataset := model.Package(name=f"drawn-{next(COUNTER)}", **fields))
        session.flush()
        dataset.extras = extras
        for place, columns in enumerate(resources):
            session.add(resource := model.Resource(package_id=dataset.id))
            for name, value in {**columns, "position": place}.items():
                setattr(resource, name, value)
        for name, state in tags.items():
            session.add(tag := model.Tag(name=name))
            session.flush()
            session.add(tagged := model.PackageTag(dataset, tag))
            tagged.state = state
        session.flush()
        assert_same_as_core(dataset.id)
    finally:
        session.rollback()


def test_what_core_gives_beyond_that_is_recorded_too(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    dictize = model_dictize.package_dictize

    def knows_more(*arguments: Any, **more: Any) -> dict[str, Any]:
        dataset = dictize(*arguments, **more)
        return {
            **dataset,
            "doi": "10.1/2",
            "resources": [{**r, "row_count": 3} for r in dataset["resources"]],
        }

    dataset = factories.Dataset(resources=[{"url": "http://x"}])
    monkeypatch.setattr(dictized._Core, "more", None)
    monkeypatch.setattr(model_dictize, "package_dictize", knows_more)
    with caplog.at_level(logging.WARNING, "ckanext.versioning.dictized"):
        for title in ("T", "U"):
            call("package_patch", id=dataset["id"], title=title)
    (message,) = [r.getMessage() for r in caplog.records if r.name == "ckanext.versioning.dictized"]
    assert "expect: doi, resources.row_count." in message
    for ref in ("r2", "r3"):
        assert call("package_show", id=dataset["id"], revision_ref=ref)["resources"][0]["row_count"] == 3
    assert recorded.newest(dataset["id"]).summary["fields"] == ["title"]
