"""Downloads of a resource as of a revision."""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset, oid_of, path
from tests.versioning import recorded
from tests.versioning.recorded import call

FIRST, SECOND = b"id,value\n1,first\n", b"id,value\n1,second\n"


@pytest.fixture
def replaced(portal: Portal) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset and its resource, whose file was FIRST in r2 and is SECOND in r3."""
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, FIRST, "Values (é).csv")
    oid = portal.push(editor, dataset, SECOND)
    portal.action("resource_patch", editor, id=resource["id"], sha256=oid, url="Values (é).csv")
    assert recorded.newest(dataset["id"]).seq == 3
    return dataset, resource


def test_each_revision_has_its_own_bytes(portal: Portal, replaced: Any):
    dataset, resource = replaced
    for ref, data in (("r2", FIRST), ("r3", SECOND), ("head", SECOND), ("head~1", FIRST)):
        was = call("package_show", id=dataset["id"], revision_ref=ref)["resources"][0]
        response = portal.get(was["url"])
        assert response.data == data
        assert oid_of(response.data) == was["sha256"] == response.headers["ETag"].strip('"')
        assert was["size"] == len(data)
    assert recorded.newest(dataset["id"]).summary["resources"]["bytes"] == [resource["id"]]
    revision = call("dataset_revision_show", id=dataset["id"], ref="r2")
    assert revision["resources"] == [{"id": resource["id"], "sha256": oid_of(FIRST), "size": len(FIRST)}]


def test_the_address_stays_the_same_when_the_dataset_is_renamed(portal: Portal, replaced: Any):
    dataset, _resource = replaced
    url = call("package_show", id=dataset["id"], revision_ref="r2")["resources"][0]["url"]
    assert url.startswith(f"http://test.ckan.net/dataset/{dataset['id']}/v/r2/resource/")
    call("package_patch", id=dataset["id"], name="renamed-after-download-test")
    assert portal.get(url).data == FIRST


def test_head_range_name_and_caching(portal: Portal, replaced: Any):
    dataset, resource = replaced
    url = f"/dataset/{dataset['name']}/v/r2/resource/{resource['id']}/download/anything.html"
    head = portal.client.head(url)
    assert (head.status_code, head.data) == (200, b"")
    assert int(head.headers["Content-Length"]) == len(FIRST)
    part = portal.get(url, headers={"Range": "bytes=3-7"}, status=206)
    assert part.data == FIRST[3:8]
    for response in (head, part):
        # The name is the recorded one, and never one that a link could choose.
        assert "Values" in response.headers["Content-Disposition"]
        assert "anything" not in response.headers["Content-Disposition"]
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert "private" in response.headers["Cache-Control"]
        assert "public" not in response.headers["Cache-Control"]


def test_after_the_resource_is_gone_its_old_files_are_not(portal: Portal, replaced: Any):
    dataset, resource = replaced
    url = call("package_show", id=dataset["id"], revision_ref="r2")["resources"][0]["url"]
    call("resource_delete", id=resource["id"])
    assert portal.get(url).data == FIRST
    portal.get(path(url).replace("/v/r2/", "/v/head/"), status=404)


def test_a_link_leads_where_it_led(portal: Portal):
    dataset: Any = factories.Dataset(resources=[{"url": "http://x.example/1"}, {"url": "x.example/2"}])
    ids = [resource["id"] for resource in dataset["resources"]]
    call("resource_patch", id=ids[0], url="http://x.example/later")

    def location(ref: str, id: str) -> str:
        url = f"/dataset/{dataset['id']}/v/{ref}/resource/{id}/download/x"
        response = portal.get(url, status=302, follow_redirects=False)
        return response.headers["Location"]

    assert location("r1", ids[0]) == "http://x.example/1"
    assert location("r2", ids[0]) == "http://x.example/later"
    assert location("r1", ids[1]) == "http://x.example/2"


def test_a_classic_file_was_not_kept(portal: Portal):
    dataset = factories.Dataset()
    # As files were stored before external_storage was there: overwritten in place, no sha256.
    resource = model.Resource(url="c.txt", url_type="upload", package_id=dataset["id"])
    model.Session.add(resource)
    model.repo.commit()
    was = call("package_show", id=dataset["id"], revision_ref="head")["resources"][0]
    assert path(was["url"]) == f"/dataset/{dataset['id']}/v/r2/resource/{resource.id}/download/c.txt"
    assert "not kept" in portal.get(was["url"], status=404).body


@pytest.mark.ckan_config("ckan.plugins", "versioning")
def test_without_external_storage_metadata_has_its_history_and_the_page_says_why(portal: Portal):
    stored = {"url": "a.csv", "url_type": "upload", "sha256": "ab" * 32, "size": 7}
    dataset = factories.Dataset(resources=[stored], title="first")
    call("package_patch", id=dataset["id"], title="second")
    was = call("package_show", id=dataset["id"], revision_ref="r1")
    assert was["title"] == "first"
    assert "metadata only" in portal.get(was["resources"][0]["url"], status=404).body


def test_what_is_missing(portal: Portal, replaced: Any):
    dataset, resource = replaced
    right = [dataset["name"], "r2", resource["id"]]

    def page(parts: list[str], status: int) -> str:
        url = "/dataset/{}/v/{}/resource/{}/download/x.csv".format(*parts)
        return portal.get(url, status=status).body

    assert page(right, 200) == FIRST.decode()
    for place in range(3):
        for wrong in ("no-such", "%00", "%ED%A0%80"):
            assert "Resource not found" in page([*right[:place], wrong, *right[place + 1 :]], 404)
