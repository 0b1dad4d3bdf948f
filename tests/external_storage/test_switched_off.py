"""Without the plugin, the site goes on showing what it has stored with it, except the bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest
from ckan.tests import helpers

from tests.portal import Portal, editor_and_dataset, standing


@pytest.fixture(params=["", "authz_service versioning"], ids=["no plugin", "history"])
def without(request) -> Iterator[tuple[Portal, dict, dict]]:
    """The site without the plugin, a dataset from when it was there, and its resource."""
    with standing() as portal:
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, b"a,b\n1,2\n", "rain.csv")
    with helpers.changed_config("ckan.plugins", request.param), standing() as portal:
        yield portal, dataset, resource


def test_pages_and_metadata_are_there_and_the_file_is_not(without):
    portal, dataset, resource = without
    address = f"/dataset/{dataset['name']}/resource/{resource['id']}"
    assert dataset["title"] in portal.get(f"/dataset/{dataset['name']}", status=200).text
    assert "rain.csv" in portal.get(address, status=200).text
    shown = portal.action("resource_show", id=resource["id"])
    assert (shown["sha256"], shown["size"]) == (resource["sha256"], 8)
    assert portal.action("package_search", q=f"id:{dataset['id']}")["count"] == 1
    with suppress(FileNotFoundError):  # what core makes of any file that its FileStore has lost
        assert portal.get(f"{address}/download/rain.csv").status_code == 404
