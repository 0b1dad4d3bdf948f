"""The upload field of CKAN's resource form, as publishers meet it."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, Request, expect

from tests.e2e.conftest import LiveSite, Person, log_in


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


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """More than is hashed before it is sent."""
    path = tmp_path / "measured.bin"
    path.write_bytes(uuid.uuid4().bytes * (17 << 16))
    return path


def dataset_of(person: Person, organization: dict[str, Any], **fields: Any) -> dict[str, Any]:
    name = f"roads-{uuid.uuid4().hex[:8]}"
    return person.client.action("package_create", name=name, owner_org=organization["id"], **fields)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def choose(page: Page, *files: Path) -> Locator:
    """By the button, as people do; the row of the file."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Upload a file on your computer").or_(
            page.get_by_role("button", name="Choose another file")
        ).click()
    chooser.value.set_files(list(files))
    return page.locator(".external-storage-row")


def resources_of(person: Person, dataset: dict[str, Any]) -> list[dict[str, Any]]:
    return person.client.action("package_show", id=dataset["id"])["resources"]


def test_a_new_dataset_whose_form_comes_back(visitor: Page, person, organization, file: Path):
    """The last step of CKAN's wizard: the file is sent once, whatever is wrong with the rest of the form."""
    log_in(visitor, person)
    visitor.goto(f"/dataset/new?group={organization['id']}")
    visitor.get_by_label("Title").fill(f"Roads {uuid.uuid4().hex[:8]}")
    visitor.get_by_role("button", name="Next: Add Data").click()
    dataset = {"id": visitor.url.split("/")[-3]}
    row = choose(visitor, file)
    expect(row).to_contain_text("Uploaded and checked.")
    expect(visitor.get_by_label("Name", exact=True)).to_have_value(file.name)
    violations = Axe().run(visitor, context="#resource-edit").response["violations"]
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
    visitor.locator("button[name=save][value=go-metadata]").click()
    expect(visitor.locator(".error-explanation")).to_be_visible()
    expect(row).to_contain_text("Uploaded and checked.")
    expect(row).to_contain_text(file.name)
    assert len(sent) == 1
    assert "filename=" not in sent[0], "saving brings no bytes"

    visitor.locator("button[name=save][value=go-metadata]").click()
    expect(visitor.get_by_role("link", name=file.name).first).to_be_visible()
    assert [post for post in sent if "/uploads" in post] == []
    (resource,) = resources_of(person, dataset)
    assert resource["sha256"] == sha256(file)
    assert (resource["name"], resource["format"]) == (file.name, "CSV")
