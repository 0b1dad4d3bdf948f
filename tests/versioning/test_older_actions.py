"""What clients of ckanext-versioning call, and the addresses that they have kept."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
from ckan.tests import factories

from tests.portal import Portal, path
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def dataset() -> dict[str, Any]:
    """Released as v1 with its first title; now it has another and its resource is gone."""
    dataset = factories.Dataset(title="first title", resources=[{"url": "http://x", "name": "then"}])
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    call("package_patch", id=dataset["id"], title="second title", resources=[])
    return dataset


def test_a_dataset_as_released(dataset: dict[str, Any]):
    (release,) = call("dataset_release_list", dataset=dataset["id"])
    wanted = {
        **call("package_show", id=dataset["id"], revision_ref="v1"),
        "release_metadata": release,
    }
    assert wanted["title"] == "first title"
    for arguments in (
        {"dataset": dataset["name"], "release": "v1"},
        {"id": dataset["id"], "dataset": dataset["id"], "release": "v1"},
        {"id": dataset["id"], "release_id": "v1"},
    ):
        assert call("package_show_release", "", **arguments) == wanted
    now = call("package_show_release", "", id=dataset["id"])
    assert now == {**call("package_show", id=dataset["id"]), "releases": [release]}
    for release in ("v2", "head", "r1", "a b"):
        with pytest.raises(tk.ObjectNotFound):
            call("package_show_release", dataset=dataset["id"], release=release)


def test_a_resource_as_released(dataset: dict[str, Any]):
    (resource,) = dataset["resources"]
    for name in ("release", "release_id"):
        shown = call("resource_show_release", "", id=resource["id"], **{name: "v1"})
        assert (shown["name"], shown["release_metadata"]["name"]) == ("then", "v1")
    for arguments in ({"id": resource["id"], "release": "r1"}, {"id": "no-such", "release": "v1"}):
        with pytest.raises(tk.ObjectNotFound):
            call("resource_show_release", **arguments)
    with pytest.raises(tk.ValidationError):
        call("resource_show_release", id=resource["id"])


def test_old_addresses(portal: Portal, dataset: dict[str, Any]):
    at, id = f"/dataset/{dataset['name']}", dataset["resources"][0]["id"]
    for older, newer in {"show": at, "show/v1": f"{at}/v/v1", f"show/v1/{id}": f"{at}/v/v1"}.items():
        response = portal.get(f"{at}/{older}", follow_redirects=False)
        assert response.status_code == 302
        assert path(response.headers["Location"]) == newer
        assert portal.get(response.headers["Location"]).status_code == 200
