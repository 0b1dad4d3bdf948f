"""The history of a dataset in a browser, from the dataset's page to the file of an old version."""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import LiveSite, Person, log_in

FIRST, SECOND = b"city,people\nA,1\n", b"city,people\nA,1\nB,2\n"


@dataclass(frozen=True)
class Published:
    """A dataset released as v1 with FIRST and changed afterwards: its file is SECOND, its title another."""

    name: str
    editor: Person
    reader: Person
    resource: dict[str, Any]

    def address(self, rest: str = "") -> str:
        return f"/dataset/{self.name}{rest}"


@pytest.fixture(scope="module")
def people(site: LiveSite) -> tuple[Person, Person, dict[str, Any]]:
    editor, reader = site.person("Eda Editor"), site.person("Rhea Reader")
    return editor, reader, site.organization(editor=editor)


def published(people: tuple[Person, Person, dict[str, Any]], **fields: Any) -> Published:
    editor, reader, organization = people
    org, name = organization["name"], f"cities-{uuid.uuid4().hex[:8]}"
    client = editor.client
    client.action("package_create", name=name, title="Cities", notes="As counted.", owner_org=org, **fields)
    oid, _ = client.upload(org, name, FIRST)
    file = {"url": "cities.csv", "url_type": "upload", "name": "People by city", "format": "CSV"}
    resource = client.action("resource_create", package_id=name, sha256=oid, **file)
    client.action("dataset_release_create", dataset=name, name="v1", description="As first counted.")
    oid, _ = client.upload(org, name, SECOND)
    client.action("resource_update", id=resource["id"], sha256=oid, **file)
    client.action("package_patch", id=name, title="Cities and towns")
    return Published(name, editor, reader, resource)


@pytest.fixture(scope="module")
def dataset(people: tuple[Person, Person, dict[str, Any]]) -> Published:
    return published(people)


def downloaded(page: Page, click: Any) -> bytes:
    with page.expect_download() as download:
        click()
    return Path(download.value.path()).read_bytes()


def test_from_the_dataset_to_the_file_of_its_first_version(visitor: Page, dataset: Published):
    log_in(visitor, dataset.editor)
    visitor.goto(dataset.address())
    visitor.get_by_role("link", name="Versions").click()
    expect(visitor.get_by_role("heading", name="Versions", level=1)).to_be_visible()
    newest, released = visitor.locator(".versions-list > li").all()
    expect(newest).to_contain_text("Changed: title.")
    expect(newest).to_contain_text("New content for “People by city”.")
    expect(newest).to_contain_text("Current")
    expect(newest).to_contain_text("Eda Editor")
    expect(released).to_contain_text("As first counted.")
    expect(released).to_contain_text("Added the resource “People by city”.")

    released.get_by_role("link", name="v1", exact=True).click()
    expect(visitor).to_have_url(visitor.url.partition("/dataset/")[0] + dataset.address("/v/v1"))
    expect(visitor.get_by_role("heading", name="Cities", exact=True, level=1)).to_be_visible()
    expect(visitor.locator(".version-banner")).to_contain_text(
        "This is version v1 of “Cities and towns”, not the current one."
    )
    file = downloaded(visitor, visitor.get_by_role("link", name="Download “People by city”").click)
    assert hashlib.sha256(file).hexdigest() == hashlib.sha256(FIRST).hexdigest()
    expect(visitor.get_by_text(hashlib.sha256(FIRST).hexdigest())).to_be_visible()

    visitor.get_by_role("link", name="Go to the current version").click()
    content = visitor.get_by_role("main")
    expect(content.get_by_role("heading", name="Cities and towns", level=1)).to_be_visible()


def test_with_the_keyboard_alone(visitor: Page, dataset: Published):
    def go_to(name: str) -> None:
        for _ in range(80):
            visitor.keyboard.press("Tab")
            if visitor.evaluate("document.activeElement.innerText.replace(/\\s+/g, ' ').trim()") == name:
                return
        pytest.fail(f"The Tab key never came to “{name}”.")

    visitor.goto(dataset.address())
    for name in ("Versions", "v1"):
        go_to(name)
        with visitor.expect_navigation():
            visitor.keyboard.press("Enter")
    go_to("Download “People by city”")
    assert downloaded(visitor, lambda: visitor.keyboard.press("Enter")) == FIRST


def test_the_list_is_filtered_with_the_keyboard_and_without_scripts(
    browser: Browser, site: LiveSite, dataset: Published
):
    context = browser.new_context(base_url=site.url, locale="en", java_script_enabled=False)
    page = context.new_page()
    page.goto(dataset.address("/versions"))
    expect(page.locator(".versions-list > li")).to_have_count(2)
    page.get_by_text("Filter the list").focus()
    page.keyboard.press("Enter")
    page.get_by_role("checkbox", name="Releases only").focus()
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    page.wait_for_url("**releases=true**")
    expect(page.locator(".versions-list > li")).to_have_count(1)
    expect(page.get_by_role("checkbox", name="Releases only")).to_be_checked()
    context.close()


def test_who_may_not_read_the_dataset_finds_nothing(
    visitor: Page, people: tuple[Person, Person, dict[str, Any]]
):
    private = published(people, private=True)
    pages = [
        private.address(rest)
        for rest in ("/versions", "/v/v1", "/v/r1", "/v/v1/release", "/v/v1/revert", "@v1")
    ]
    for log_in_first in (False, True):
        if log_in_first:
            log_in(visitor, private.reader)
        for address in pages:
            response = visitor.goto(address)
            assert response
            assert response.status == 404, address
            assert "Cities" not in visitor.content()


def test_an_editor_releases_a_version(visitor: Page, people: tuple[Person, Person, dict[str, Any]]):
    dataset = published(people)
    log_in(visitor, dataset.editor)
    visitor.goto(dataset.address("/versions"))
    visitor.locator(".versions-list > li h2").first.get_by_role("link").click()
    visitor.get_by_role("link", name="Release this version").click()
    expect(visitor.get_by_text("readable to everyone who may read the dataset")).to_be_visible()
    name = visitor.get_by_label("Name")
    expect(name).to_have_value("v2")

    name.fill("v 2")
    visitor.get_by_label("Notes").fill("Towns <b>too</b>.")
    visitor.get_by_role("button", name="Release this version").click()
    expect(visitor.get_by_text("Try 'v-2'")).to_be_visible()
    expect(name).to_be_focused()
    expect(visitor.get_by_label("Notes")).to_have_value("Towns <b>too</b>.")

    name.fill("v2")
    visitor.get_by_role("button", name="Release this version").click()
    expect(visitor.get_by_text("Released as v2.")).to_be_visible()
    expect(visitor.get_by_text("Towns <b>too</b>.")).to_be_visible()
    expect(visitor.get_by_role("link", name="Release this version")).to_have_count(0)
    (newest, _v1) = dataset.reader.client.action("dataset_release_list", dataset=dataset.name)
    assert (newest["name"], newest["description"]) == ("v2", "Towns <b>too</b>.")


def test_an_editor_goes_back_to_a_version(visitor: Page, people: tuple[Person, Person, dict[str, Any]]):
    dataset = published(people)
    log_in(visitor, dataset.editor)
    visitor.goto(dataset.address("/v/v1"))
    visitor.get_by_role("link", name="Go back to this version").click()
    details = visitor.get_by_role("checkbox", name="The details of the dataset. Changed: title.")
    expect(details).to_be_checked()
    expect(
        visitor.get_by_role("checkbox", name="“People by city” gets its file of that time back.")
    ).to_be_checked()

    details.uncheck()
    visitor.get_by_label("Message").fill("The new figures were wrong.")
    visitor.get_by_role("button", name="Go back to this version").click()
    expect(visitor.get_by_text("This is a new version.")).to_be_visible()
    expect(
        visitor.get_by_role("main").get_by_role("heading", name="Cities and towns", level=1)
    ).to_be_visible()
    visitor.get_by_role("link", name="Versions").click()
    newest = visitor.locator(".versions-list > li").first
    expect(newest).to_contain_text("The new figures were wrong.")
    expect(newest).to_contain_text("New content for “People by city”.")
    shown = dataset.reader.client.action("package_show", id=dataset.name)
    assert shown["resources"][0]["sha256"] == hashlib.sha256(FIRST).hexdigest()


@pytest.mark.parametrize(
    "address",
    ["/versions?releases=true", "/v/v1", "/v/head", "/v/head/release", "/v/v1/release/edit", "/v/v1/revert"],
)
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_keeps_anybody_out(visitor: Page, dataset: Published, address: str, width: int):
    log_in(visitor, dataset.editor)
    visitor.set_viewport_size({"width": width, "height": 800})
    # The narrow one from right to left.
    visitor.goto(("/ar" if width == 360 else "") + dataset.address(address))
    # What core's header, sidebar and footer do is not ours.
    violations = Axe().run(visitor, context="#content .primary").response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []
    overflow = "const e = document.querySelector('.primary .module-content'); e.scrollWidth - e.clientWidth"
    assert visitor.evaluate(overflow) == 0
