"""What somebody cited goes on leading to the dataset that it was about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.versioning import model as tables
from tests.portal import Portal, editor_and_dataset, standing
from tests.versioning.recorded import call

DATA = b"a,b\n1,2\n"


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (r'{"a":"\u0000","name":"x"}', "x"),
        (r'{"a":"\ud800","name":"x\u0000y"}', "xy"),
        (r'{"a":"\\","name":"\\u0000"}', r"\u0000"),
        (r'{"a":"\\\u0000","name":"\t\u00e9"}', "\té"),
        (r'{"name":null}', None),
    ],
)
def test_names_beside_what_postgresql_cannot_read(body: str, name: str | None):
    assert model.Session.execute(sa.select(tables.text_in(sa.literal(body), "name"))).scalar() == name


def new_name() -> str:
    return f"name-{uuid.uuid4().hex[:10]}"


def published(portal: Portal) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset with DATA in its release v1, and its editor."""
    editor, dataset = editor_and_dataset(name=new_name())
    portal.publish(editor, dataset, DATA)
    call("dataset_release_create", editor, dataset=dataset["id"], name="v1")
    return editor, call("package_show", editor, id=dataset["id"])


def addresses(dataset: dict[str, Any], id: str) -> list[str]:
    file = f"/dataset/{id}/v/v1/resource/{dataset['resources'][0]['id']}/download/data.csv"
    return [f"/dataset/{id}/versions?all=true", f"/dataset/{id}/v/v1", f"/dataset/{id}@v1", file]


def leads_to(portal: Portal, url: str) -> str:
    """Where *url* leads in the end."""
    for _redirect in range(4):
        response = portal.get(url, follow_redirects=False)
        if response.status_code != 302:
            assert response.status_code == 200
            return url
        url = response.headers["Location"].removeprefix("http://test.ckan.net")
    raise AssertionError(url)


def test_addresses_and_actions_after_a_rename(portal: Portal):
    editor, dataset = published(portal)
    old, new = dataset["name"], new_name()
    for name in (new_name(), new):  # more than once
        call("package_patch", editor, id=dataset["id"], name=name)
    pages = addresses(dataset, new)[:2]
    for cited in (old, dataset["id"]):
        listed, version, short, file = addresses(dataset, cited)
        assert [leads_to(portal, listed), leads_to(portal, version)] == pages
        assert leads_to(portal, short) == pages[1]
        assert portal.get(file).data == DATA
    assert call("package_show", "", id=dataset["id"], revision_ref="v1")["name"] == old
    assert call("dataset_revision_show", "", id=dataset["id"], ref="v1")["seq"] == 2
    assert call("dataset_release_list", "", dataset=dataset["id"])[0]["name"] == "v1"


def test_the_list_stays_narrowed(portal: Portal):
    editor, dataset = published(portal)
    new = new_name()
    call("package_patch", editor, id=dataset["id"], name=new)
    asked = (
        f"all=true&before_seq=9&author={editor['id']}&resource_id={dataset['resources'][0]['id']}"
        "&since=2026-01-01T00:00Z&until=2099-12-31&releases=true"
    )
    for cited in (dataset["name"], dataset["id"]):
        page, _, query = leads_to(portal, f"/dataset/{cited}/versions?{asked}").partition("?")
        assert page == f"/dataset/{new}/versions"
        assert parse_qs(query) == parse_qs(asked)


def test_a_name_that_is_used_again_leads_to_its_new_dataset(portal: Portal):
    editor, first = published(portal)
    call("package_patch", editor, id=first["id"], name=new_name())
    other: Any = factories.Dataset(name=first["name"])
    call("dataset_release_create", dataset=other["id"], name="v1")
    (page,) = addresses(first, first["name"])[1:2]
    assert leads_to(portal, page) == f"/dataset/{other['name']}/v/v1"
    assert call("package_show", "", id=first["name"], revision_ref="v1")["id"] == other["id"]
    for url in addresses(first, first["id"]):
        assert portal.get(url).status_code == 200
    assert portal.get(addresses(first, first["id"])[3]).data == DATA
    assert call("package_show", "", id=first["id"], revision_ref="v1")["id"] == first["id"]


def test_a_former_name_is_told_to_those_who_could_know_it(portal: Portal):
    editor, dataset = editor_and_dataset(name=new_name(), private=True)
    call("package_patch", editor, id=dataset["id"], name=new_name())
    call("package_patch", editor, id=dataset["id"], private=False)
    url = f"/dataset/{dataset['name']}/versions"
    assert portal.get(url).status_code == 404
    assert portal.get(url, editor).status_code == 200
    assert portal.get(f"/dataset/{new_name()}/versions").status_code == 404
