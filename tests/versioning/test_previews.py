"""Previews of old files: the page of a resource of an old version, and what its frames show."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset, path
from tests.versioning.recorded import call

pytestmark = [
    pytest.mark.ckan_config("ckan.views.default_views", ""),
    pytest.mark.ckan_config(
        "ckan.plugins",
        "authz_service external_storage versioning text_view image_view webpage_view datatables_view",
    ),
]


def parsed(response: Any) -> Any:
    return BeautifulSoup(response.body, "html.parser")


def view(resource: dict[str, Any], view_type: str, title: str, **fields: Any) -> str:
    """Its id."""
    made = call(
        "resource_view_create", resource_id=resource["id"], view_type=view_type, title=title, **fields
    )
    return made["id"]


def test_what_works_by_its_url_shows_the_old_file_and_the_rest_is_named(portal: Portal):
    editor, dataset = editor_and_dataset()
    oids = [portal.push(editor, dataset, data) for data in (b"first", b"second")]
    stored = {"url": "a.txt", "url_type": "upload", "format": "TXT"}
    resource = portal.action(
        "resource_create", editor, package_id=dataset["id"], sha256=oids[0], name="Words", **stored
    )
    text = view(resource, "text_view", "As text")
    table = view(resource, "datatables_view", "As a table")
    view(resource, "webpage_view", "As a page", page_url="http://x.example/")
    view(resource, "image_view", "A chart", image_url="http://x.example/chart.png")
    portal.action("resource_update", editor, id=resource["id"], sha256=oids[1], name="Words", **stored)

    base = f"/dataset/{dataset['name']}/v/r2/resource/{resource['id']}"
    page = parsed(portal.get(base))
    (frame,) = page.select("iframe")
    assert frame["src"] == f"{base}/view/{text}"
    assert frame["title"] == "Preview: As text"
    (told,) = [line.get_text() for line in page.select(".version-meta") if "as it is now" in line.get_text()]
    assert all(title in told for title in ("As a table", "As a page", "A chart"))
    old = call("package_show", id=dataset["id"], revision_ref="r2")["resources"][0]
    assert page.select_one(f"a[href='{old['url']}']")

    shown = portal.get(path(frame["src"])).body
    assert f'var resource_url = "{old["url"]}"' in shown
    assert "/download/" in shown
    assert resource["url"] not in shown
    for wrong in (table, "no-such"):
        portal.get(f"{base}/view/{wrong}", status=404)

    # The same view again on the list of the version, and nothing left to show after the resource is gone.
    assert f'href="{base}"' in portal.get(f"/dataset/{dataset['name']}/v/r2").body
    call("resource_delete", id=resource["id"])
    page = parsed(portal.get(base))
    assert page.select("iframe") == []
    assert "no longer has this resource" in page.get_text()
    portal.get(f"{base}/view/{text}", status=404)


def test_only_for_those_who_may_see_the_version_and_only_of_files(portal: Portal):
    editor, dataset = editor_and_dataset()
    link = call("resource_create", package_id=dataset["id"], url="http://x.example/a.png", format="PNG")
    image = view(link, "image_view", "Image")
    base = f"/dataset/{dataset['name']}/v/r2/resource/{link['id']}"
    page = parsed(portal.get(base))
    assert page.select("iframe") == []
    assert "its bytes were not kept" in page.get_text()
    portal.get(f"{base}/view/{image}", status=404)
    for wrong in (base.replace("r2", "r1"), base.replace("r2", "r9"), base[:-1], base[:-1] + "%00"):
        portal.get(wrong, status=404)
    call("package_patch", id=dataset["id"], private=True)
    portal.get(base, status=404)
    portal.get(base, factories.UserWithToken(), status=404)
    portal.get(base, editor, status=200)
