"""The upload field of CKAN's resource form, as publishers meet it."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from tests.e2e.conftest import LiveSite, Person, log_in, reload_but_stay
from tests.e2e.people import begin_dataset
from tests.e2e.upload_form import file_chooser


@pytest.fixture(scope="module")
def person(site: LiveSite) -> Person:
    return site.person("Petra Publisher")


@pytest.fixture(scope="module")
def organization(site: LiveSite, person: Person) -> dict[str, Any]:
    return site.organization(editor=person)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Straßen 2026.csv"
    path.write_bytes(b"id,length\n" + uuid.uuid4().hex.encode() * 100)
    return path


def dataset_of(person: Person, organization: dict[str, Any], **fields: Any) -> dict[str, Any]:
    name = f"roads-{uuid.uuid4().hex[:8]}"
    return person.client.action("package_create", name=name, owner_org=organization["id"], **fields)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def upload_button(page: Page) -> Locator:
    """Core's."""
    return page.get_by_role("button", name="Upload", exact=False).and_(
        page.locator("#resource-upload-button")
    )


def choose(page: Page, *files: Path) -> Locator:
    """By the button, as people do; the row of the file."""
    button = upload_button(page).or_(page.get_by_role("button", name="Choose another file"))
    file_chooser(page, button.click).set_files(list(files))
    return page.locator(".external-storage-row")


def save(page: Page) -> None:
    """The form of a resource, by its main button."""
    page.locator("button.btn-primary[name=save]").click()


def resources_of(person: Person, dataset: dict[str, Any]) -> list[dict[str, Any]]:
    return person.client.action("package_show", id=dataset["id"])["resources"]


def test_a_new_dataset_whose_form_comes_back(visitor: Page, person, organization, file: Path):
    """The last step of CKAN's wizard: the file is sent once, whatever is wrong with the rest of the form."""
    log_in(visitor, person)
    begin_dataset(visitor, organization["id"])
    dataset = {"id": visitor.url.split("/")[-3]}
    row = choose(visitor, file)
    expect(row).to_contain_text("Uploaded and checked.")
    expect(visitor.get_by_label("Name", exact=True)).to_have_value(file.name)
    violations = Axe().run(visitor, context=".resource-upload-field").response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []

    # Stands for a field of another plugin: what is in it is refused.
    visitor.locator("#resource-edit").evaluate(
        "form => form.insertAdjacentHTML('beforeend', '<input name=cache_last_updated value=soon>')"
    )
    sent: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST":
            sent.append(request.post_data or "")

    visitor.on("request", note)
    save(visitor)
    expect(visitor.locator(".error-explanation")).to_be_visible()
    expect(row).to_contain_text("Uploaded and checked.")
    expect(row).to_contain_text(file.name)
    assert len(sent) == 1
    assert "filename=" not in sent[0], "saving brings no bytes"

    save(visitor)
    expect(visitor.get_by_role("link", name=file.name).first).to_be_visible()
    assert [post for post in sent if "/uploads" in post] == []
    (resource,) = resources_of(person, dataset)
    assert resource["sha256"] == sha256(file)
    assert (resource["name"], resource["format"]) == (file.name, "CSV")


def test_replaced_and_removed(visitor: Page, site: LiveSite, person, organization, file: Path, large: Path):
    """The resource has its file until the form is saved, and its versions have it after that."""
    dataset = dataset_of(person, organization)
    edit = f"/dataset/{dataset['name']}/resource"
    log_in(visitor, person)
    visitor.goto(f"{edit}/new")
    choose(visitor, file)
    save(visitor)  # at once: the form waits for the file
    expect(visitor.get_by_role("link", name=file.name).first).to_be_visible()
    (resource,) = resources_of(person, dataset)
    edit = f"{edit}/{resource['id']}/edit"

    visitor.goto(edit)
    row = visitor.locator(".external-storage-row")
    expect(row).to_contain_text(f"{file.name} ")
    expect(row).to_contain_text("The file that this resource has now")
    row = choose(visitor, large)
    expect(row).to_contain_text("Uploaded and checked.")
    expect(row).to_contain_text(f"It replaces {file.name}, which stays available in the earlier versions")
    assert resources_of(person, dataset) == [resource], "nothing is saved yet"
    row.get_by_role("button", name="Keep the present file").click()
    expect(row).to_contain_text("The file that this resource has now")
    choose(visitor, large)  # it has arrived before
    expect(row).to_contain_text("Uploaded and checked.")
    save(visitor)
    expect(visitor.get_by_role("heading", name=file.name)).to_be_visible()
    (replaced,) = resources_of(person, dataset)
    assert (replaced["sha256"], replaced["name"], replaced["format"]) == (sha256(large), file.name, "BIN")
    old = visitor.request.get(f"{site.url}/dataset/{dataset['id']}/file/{resource['sha256']}")
    assert old.body() == file.read_bytes()

    visitor.goto(edit)
    visitor.get_by_role("button", name="Remove").click()
    expect(upload_button(visitor)).to_be_focused()
    save(visitor)
    expect(visitor.get_by_role("heading", name=file.name)).to_be_visible()
    (removed,) = resources_of(person, dataset)
    assert (removed["url_type"] or "", removed["url"], removed.get("sha256")) == ("", "", None)

    address = "https://roads.example/all.csv?year=2026#top"
    visitor.goto(edit)
    visitor.get_by_role("button", name="Link").click()
    url = visitor.get_by_label("URL", exact=True)
    expect(url).to_be_focused()
    url.fill(address)
    save(visitor)
    expect(visitor.get_by_role("heading", name=file.name)).to_be_visible()
    (link,) = resources_of(person, dataset)
    assert (link["url_type"] or "", link["url"], link.get("sha256")) == ("", address, None)


def test_paused_resumed_and_cancelled(visitor: Page, person, organization, large: Path):
    """And the page asks before it is left. All of it under a policy that forbids CKAN's inline handlers."""
    dataset = dataset_of(person, organization)
    log_in(visitor, person)
    form = f"/dataset/{dataset['name']}/resource/new"

    def strict(route: Route) -> None:
        answer = route.fetch()
        policy = "script-src 'self'; worker-src 'self'; connect-src 'self'"
        route.fulfill(response=answer, headers={**answer.headers, "Content-Security-Policy": policy})

    visitor.route(f"**{form}", strict)
    visitor.goto(form)
    slow = visitor.context.new_cdp_session(visitor)
    slow.send("Network.enable")
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1}
    slow.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": 500_000})
    row = choose(visitor, large)
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused at")
    expect(row.get_by_role("button", name="Resume")).to_be_focused()
    asked = reload_but_stay(visitor)
    expect(row).to_contain_text("Paused at")
    assert asked == ["beforeunload"]

    save(visitor)  # goes on with it
    waiting = visitor.get_by_text("The form is saved by itself when the file is there.").first
    expect(waiting).to_be_visible()
    expect(row).to_contain_text("Uploading")
    visitor.get_by_role("button", name="Do not save yet").click()
    expect(waiting).to_be_hidden()
    row.get_by_role("button", name="Cancel").click()
    expect(upload_button(visitor)).to_be_focused()
    expect(row).to_be_hidden()

    slow.send("Network.emulateNetworkConditions", {**limits, "uploadThroughput": -1})
    expect(visitor.locator("[name=upload_id]")).to_have_count(0)
    drop(visitor, "dropped.csv")
    expect(row).to_contain_text("Uploaded and checked.")
    save(visitor)
    expect(visitor.get_by_role("link", name="dropped.csv").first).to_be_visible()
    (resource,) = resources_of(person, dataset)
    assert resource["size"] == 4
    assert [upload["filename"] for upload in person.client.action("external_storage_upload_list")] == []


def drop(page: Page, name: str) -> None:
    page.locator("#field-name").evaluate(
        """(field, name) => {
            const dataTransfer = new DataTransfer();
            dataTransfer.items.add(new File(["id\\n1"], name));
            field.dispatchEvent(new DragEvent("drop", {dataTransfer, bubbles: true, cancelable: true}));
        }""",
        name,
    )


def test_without_javascript(browser: Browser, site: LiveSite, person, organization, file: Path):
    """The file is sent with the form."""
    dataset = dataset_of(person, organization)
    context = browser.new_context(base_url=site.url, locale="en", java_script_enabled=False)
    page = context.new_page()
    log_in(page, person)
    page.goto(f"/dataset/{dataset['name']}/resource/new")
    page.get_by_label("File", exact=True).set_input_files(file)
    page.get_by_label("Name", exact=True).fill("Streets")
    save(page)
    expect(page.get_by_role("link", name="Streets").first).to_be_visible()
    context.close()
    (resource,) = resources_of(person, dataset)
    assert (resource["sha256"], resource["name"]) == (sha256(file), "Streets")
