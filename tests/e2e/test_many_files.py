"""Twenty files at once in CKAN's resource form: a folder that is dropped and files that are chosen."""

from __future__ import annotations

import hashlib
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Request, expect

from ckanext.external_storage import config
from ckanext.external_storage.transfer import quota
from tests.e2e.conftest import LiveSite, Person, log_in, reload_but_stay
from tests.e2e.people import begin_dataset
from tests.e2e.upload_form import file_chooser


@pytest.fixture(scope="module")
def person(site: LiveSite) -> Person:
    return site.person("Petra Publisher")


@pytest.fixture
def organization(site: LiveSite, person: Person) -> dict[str, Any]:
    return site.organization(editor=person)


def write(path: Path, size: int = 200) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(f"id\n{uuid.uuid4()}\n".encode().ljust(size, b"."))
    return path


def drop(page: Page, *paths: Path) -> None:
    """From the desktop onto the form."""
    expect(page.locator(".external-storage-on")).to_be_visible()
    box = page.locator("#resource-edit").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        at = {"x": box["x"] + 20, "y": box["y"] + 20}
        session.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def choose(page: Page, *paths: Path) -> None:
    chooser = file_chooser(page, page.locator("#resource-upload-button").click)
    assert chooser.is_multiple()
    chooser.set_files(list(paths))


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("list", name="Files").get_by_role("listitem").filter(has_text=name)


def hidden_with_the_focus(page: Page) -> list[str]:
    """Fields and buttons of the form that lie below what stays in sight when the keyboard gets to them."""
    page.emulate_media(reduced_motion="reduce")  # else they are on their way for a while
    return page.locator("#resource-edit").evaluate(
        """form => {
            const stays = form.querySelector(".external-storage-many");
            return [...form.querySelectorAll("a, button, input, textarea")].filter((element) => {
                element.focus();
                const { top, bottom } = element.getBoundingClientRect();
                const isThere = document.activeElement === element && !stays.contains(element);
                return isThere && (top + bottom) / 2 > stays.getBoundingClientRect().top;
            }).map((element) => element.outerHTML);
        }"""
    )


class Requests:
    """What the page sends beside GET, by the end of its address."""

    def __init__(self, page: Page):
        self.sent: list[Request] = []
        page.on("request", lambda request: self.sent.append(request) if request.method == "POST" else None)

    def to(self, end: str) -> list[Any]:
        return [json.loads(request.post_data or "") for request in self.sent if request.url.endswith(end)]


def test_a_new_dataset_gets_twenty_files(visitor: Page, site: LiveSite, person, organization, tmp_path: Path):
    """One request begins them, one saves them and publishes the dataset; what does not fit stays behind."""
    folder = tmp_path / "measured"
    names = [f"{number}.csv" for number in range(1, 12)] + ["2025/january.csv", "2025/february.csv"]
    dropped = [write(folder / name) for name in names]
    for number in range(100):  # more entries than a browser hands out at a time
        write(folder / f"._{number}.csv")
    chosen = [write(tmp_path / f"table {letter}.tsv") for letter in "abcdef"]
    large = write(tmp_path / "large.bin", 10_000)
    with config.engine().begin() as connection:
        quota.set_limit(connection, organization["id"], 6_000)

    log_in(visitor, person)
    begin_dataset(visitor, organization["id"])
    dataset = {"id": visitor.url.split("/")[-3]}
    sent = Requests(visitor)
    for number in range(101):
        write(tmp_path / "too many" / f"{number}.csv")
    drop(visitor, tmp_path / "too many")
    expect(visitor.locator(".external-storage-notes")).to_contain_text("at most 100 can be added at a time")
    drop(visitor, folder)
    total = visitor.locator(".external-storage-total")
    expect(total).to_have_text("13 of 13 files have arrived")
    expect(visitor.locator(".external-storage-notes")).to_contain_text("keeps them for itself: ._0.csv")
    (begun,) = sent.to(".git/uploads")
    assert len(begun["files"]) == 13
    choose(visitor, *chosen, large)
    expect(row(visitor, "large.bin")).to_contain_text("There is not enough room left")
    expect(visitor.get_by_role("button", name="Save 19 files")).to_be_visible()
    expect(total).to_have_text("19 of 20 files have arrived")
    assert [len(request["files"]) for request in sent.to(".git/uploads")] == [13, 7]
    violations = Axe().run(visitor, context="#resource-edit").response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []

    row(visitor, "table a.tsv").get_by_label("Name").fill("Overview")
    row(visitor, "table a.tsv").get_by_label("Format").fill("Table")
    visitor.get_by_role("button", name="Move table b.tsv up").press("Enter")
    expect(visitor.get_by_role("button", name="Move table b.tsv up")).to_be_focused()
    visitor.get_by_role("button", name="Remove large.bin").click()
    visitor.get_by_label("Description").fill("Measured by hand")
    visitor.set_viewport_size({"width": 375, "height": 750})
    assert hidden_with_the_focus(visitor) == []
    visitor.get_by_role("button", name="Save 19 files and publish").click()
    expect(visitor.get_by_role("link", name="Overview").first).to_be_visible()
    assert visitor.url.endswith(f"/dataset/{dataset['id']}")
    assert len(sent.to("/api/3/action/package_revise")) == 1
    shown = person.client.action("package_show", id=dataset["id"])
    assert shown["state"] == "active"
    resources = shown["resources"]
    assert [r["name"] for r in resources] == [
        *(f"{number}.csv" for number in range(1, 12)),
        "2025/february.csv", "2025/january.csv", "table b.tsv", "Overview",
        *(f"table {letter}.tsv" for letter in "cdef"),
    ]  # fmt: skip
    assert {(r["description"], r["url_type"]) for r in resources} == {("Measured by hand", "upload")}
    assert [r["format"] for r in resources] == ["CSV"] * 13 + ["TSV", "Table"] + ["TSV"] * 4
    by_content = {hashlib.sha256(path.read_bytes()).hexdigest(): path.name for path in dropped + chosen}
    assert [by_content[r["sha256"]] for r in resources[:2]] == ["1.csv", "2.csv"]
    assert {r["sha256"] for r in resources} == set(by_content)
    versions = person.client.action("dataset_revision_list", id=dataset["id"])
    assert [len(version["summary"]["resources"]["added"]) for version in versions] == [19, 0]


def test_what_fails_is_told_where_it_belongs_and_the_others_are_saved(
    visitor: Page, site: LiveSite, person, organization, tmp_path: Path
):
    """An error of CKAN's form; a file without room, which is tried again later; an answer that is lost."""
    dataset = person.client.action(
        "package_create",
        name=f"roads-{uuid.uuid4().hex[:8]}",
        owner_org=organization["id"],
        resources=[{"url": "https://a.example", "name": "Link"}],
    )
    with config.engine().begin() as connection:
        quota.set_limit(connection, organization["id"], 1_000)
    paths = [write(tmp_path / name) for name in ("a.csv", "b.csv", "c.csv")]
    log_in(visitor, person)
    visitor.goto(f"/dataset/{dataset['name']}/resource/new")
    choose(visitor, paths[0])
    expect(visitor.locator(".external-storage-row")).to_contain_text("Uploaded and checked")
    drop(visitor, *paths[1:], write(tmp_path / "large.bin", 5_000))
    total = visitor.locator(".external-storage-total")
    expect(total).to_have_text("3 of 4 files have arrived")
    expect(row(visitor, "a.csv")).to_contain_text("Uploaded and checked")

    # Stands for a field of another plugin: what is in it is refused, for each of the files.
    field = "<input name=cache_last_updated value=soon>"
    visitor.locator("#resource-edit").evaluate(
        "(form, field) => form.insertAdjacentHTML('beforeend', field)", field
    )
    asked = reload_but_stay(visitor)
    visitor.get_by_role("button", name="Save 3 files").click()
    assert asked == ["beforeunload"]
    alert = visitor.locator(".external-storage-many [role=alert]")
    expect(alert).to_contain_text("something is wrong with 3 files")
    expect(row(visitor, "b.csv")).to_contain_text("cache_last_updated: ")
    visitor.locator("[name=cache_last_updated]").evaluate("field => field.remove()")
    visitor.get_by_label("What has changed").fill("Measured again")

    # The answer to the save is lost: what it has done is found out before the next one.
    visitor.route("**/package_revise", lambda route: (route.fetch(), route.abort())[1], times=1)
    visitor.get_by_role("button", name="Save 3 files").click()
    expect(alert).to_contain_text("none is added twice")
    visitor.get_by_role("button", name="Save 3 files").click()
    expect(alert).to_contain_text("All files are saved but 1.")
    version = person.client.action("dataset_revision_list", id=dataset["id"])[0]
    assert (version["message"], len(version["summary"]["resources"]["added"])) == ("Measured again", 3)

    def names() -> list[str]:
        return [r["name"] for r in person.client.action("package_show", id=dataset["id"])["resources"]]

    assert names() == ["Link", "a.csv", "b.csv", "c.csv"]

    with config.engine().begin() as connection:
        quota.set_limit(connection, organization["id"], None)
    visitor.get_by_role("button", name="Try large.bin again").click()
    visitor.get_by_role("button", name="Save 1 file").click()
    expect(visitor.get_by_role("link", name="large.bin").first).to_be_visible()
    assert names() == ["Link", "a.csv", "b.csv", "c.csv", "large.bin"]
