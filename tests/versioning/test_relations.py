"""Link headers: what leads from a version to others, as programs read them."""

from __future__ import annotations

from typing import Any

import pytest
from ckan.tests import factories
from requests.utils import parse_header_links

from tests.portal import Portal, editor_and_dataset, path
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


def links(portal: Portal, address: str, user: Any = None) -> dict[str, str]:
    """Path by relation, read by somebody else's parser; every URL is absolute."""
    found = parse_header_links(portal.get(address, user).headers["Link"])
    assert all(link["url"].startswith("http://test.ckan.net/") for link in found)
    return {link["rel"]: path(link["url"]) for link in found}


def test_from_page_to_page_among_what_the_reader_sees(portal: Portal):
    editor, dataset = editor_and_dataset()
    name = dataset["name"]
    call("package_patch", editor, id=dataset["id"], private=True)
    call("package_patch", editor, id=dataset["id"], private=False, notes="Public again.")
    page = f"/dataset/{name}/v"
    common = {"latest-version": f"/dataset/{name}", "version-history": f"/dataset/{name}/versions"}
    assert links(portal, f"{page}/r1") == {**common, "successor-version": f"{page}/r3"}
    assert links(portal, f"{page}/r3") == {**common, "predecessor-version": f"{page}/r1"}
    assert links(portal, f"{page}/r3", editor) == {**common, "predecessor-version": f"{page}/r2"}
    # The same addresses in all languages, and the form of the caller's own page.
    assert links(portal, f"/de{page}/r1") == {**common, "successor-version": f"{page}/r3"}
    assert links(portal, f"{page}/r1/zip") == {
        **common,
        "latest-version": f"{page}/head/zip",
        "successor-version": f"{page}/r3/zip",
    }
    for end in ("", "/SHA256SUMS", "/zip"):
        assert portal.get(f"{page}/r1{end}").status_code == 200
        assert portal.get(f"{page}/head{end}").status_code == 200


def test_from_file_to_file_where_the_bytes_are_others(portal: Portal):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, b"1", "a b.csv")  # r2
    call("package_patch", editor, id=dataset["id"], title="Another title")  # r3
    oid = portal.push(editor, dataset, b"2")
    portal.action("resource_patch", editor, id=resource["id"], sha256=oid, url="a b.csv")  # r4
    call("package_patch", editor, id=dataset["id"], title="A third title")  # r5

    def address(ref: str) -> str:
        return f"/dataset/{dataset['id']}/v/{ref}/resource/{resource['id']}/download/a-b.csv"

    common = {"latest-version": address("r5"), "version-history": f"/dataset/{dataset['id']}/versions"}
    assert links(portal, address("r2")) == {**common, "successor-version": address("r4")}
    assert links(portal, address("r3")) == {**common, "successor-version": address("r4")}
    assert links(portal, address("r5")) == {**common, "predecessor-version": address("r3")}
    for found in links(portal, address("r3")).values():
        portal.get(found, status=200)
    call("resource_delete", id=resource["id"])
    assert links(portal, address("r5")) == {**common, "predecessor-version": address("r3")}


def test_search_engines_list_what_was_released(portal: Portal):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, b"1", "a.csv")
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    for ref, robots in (("r1", "noindex"), ("v1", None), ("r2", None)):
        for end in ("", "/zip", "/SHA256SUMS", f"/resource/{resource['id']}/download/a.csv"):
            if ref == "r1" and end.startswith("/resource"):
                continue
            response = portal.get(f"/dataset/{dataset['id']}/v/{ref}{end}")
            assert response.headers.get("X-Robots-Tag") == robots


def test_a_dataset_with_one_version_has_no_neighbours(portal: Portal):
    dataset: Any = factories.Dataset()
    assert set(links(portal, f"/dataset/{dataset['name']}/v/r1")) == {"latest-version", "version-history"}
