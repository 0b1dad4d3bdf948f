"""Previews of old files in a browser: what the frames really show."""

from __future__ import annotations

import io
import uuid
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LiveSite, Person


def picture(width: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, 10), "green").save(file, "PNG")
    return file.getvalue()


#: Format, type of view, and the file before and after; the text would do harm if it were run as a page.
TEXT = ("TXT", "text_view", b"first <script>top.document.title = 'run'</script>", b"second")
PICTURE = ("PNG", "image_view", picture(30), picture(50))


@pytest.fixture(scope="module")
def editor(site: LiveSite) -> tuple[Person, dict[str, Any]]:
    person = site.person("Eda Editor")
    return person, site.organization(editor=person)


def replaced(editor: tuple[Person, dict[str, Any]], format: str, view: str, *files: bytes) -> str:
    """Address of a resource, of which the first file is that of v1 and the others came later."""
    client, org = editor[0].client, editor[1]["name"]
    name = f"previewed-{uuid.uuid4().hex[:8]}"
    client.action("package_create", name=name, owner_org=org)
    file = {"url": f"file.{format.lower()}", "url_type": "upload", "name": "A file", "format": format}
    oids = [client.upload(org, name, content)[0] for content in files]
    resource = client.action("resource_create", package_id=name, sha256=oids[0], **file)
    views = client.action("resource_view_list", id=resource["id"])
    if view not in [found["view_type"] for found in views]:
        client.action("resource_view_create", resource_id=resource["id"], view_type=view, title="Shown")
    client.action("dataset_release_create", dataset=name, name="v1")
    for oid in oids[1:]:
        client.action("resource_update", id=resource["id"], sha256=oid, **file)
    return f"/dataset/{name}/v/v1/resource/{resource['id']}"


def test_the_old_text_and_the_old_picture_are_shown(visitor: Page, editor: tuple[Person, dict[str, Any]]):
    visitor.goto(replaced(editor, *TEXT))
    frame = visitor.frame_locator("iframe.version-preview")
    expect(frame.locator("pre").first).to_contain_text("first <script>")
    assert "run" not in visitor.title()

    visitor.set_viewport_size({"width": 360, "height": 800})
    visitor.goto(replaced(editor, *PICTURE))
    image = visitor.frame_locator("iframe.version-preview").locator("img[src*='/v/r']")
    expect(image).to_have_js_property("naturalWidth", 30)
    # What is in the frame is the view's.
    violations = Axe().run(visitor, context="#content .primary").response["violations"]
    assert [v["id"] for v in violations if not all("iframe" in n["target"][0] for n in v["nodes"])] == []
    overflow = "const e = document.querySelector('.primary .module-content'); e.scrollWidth - e.clientWidth"
    assert visitor.evaluate(overflow) == 0
