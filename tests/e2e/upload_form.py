"""CKAN's resource form with files that are sent before it is saved, as tests use it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FileChooser, Locator, Page, Request, Response, expect

from tests.e2e.people import Person
from tests.e2e.upload_sites import UploadSite

MIB = 1 << 20
#: What made files consist of, and what takes its place where something on the way changes bytes.
RIGHT, WRONG = b"the right bytes\n", b"the wrong bytes\n"
#: Milliseconds for whatever a page has to do; a busy machine takes a while for the first page of a new site.
PATIENCE = 60_000
ROW = ".external-storage-row"


def on(*, disk: tuple[int, int] | None = (0, 1), s3: tuple[int, int] | None = (0, 1)) -> Any:
    """The fixture ``publisher`` on each of these stores, so often in `make test` and in `make proof`."""
    counts = {"disk": disk, "s3": s3}
    stores = [
        pytest.param(store, marks=pytest.mark.proof(runs=runs), id=store)
        for store, runs in counts.items()
        if runs
    ]
    return pytest.mark.parametrize("publisher", stores, indirect=True)


def make_file(path: Path, size: int) -> str:
    """A file that no other test has, of `RIGHT` after its first bytes; its sha256."""
    start = uuid.uuid4().bytes
    content = (start + RIGHT * (size // len(RIGHT) + 1))[:size]
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def file_chooser(page: Page, opens: Callable[[], None]) -> FileChooser:
    """What `opens` opens.

    Chromium takes keys and clicks by another way than Playwright's wish to be told of choosers, and on a busy
    machine they overtake it: the page's answer to anything says that the wish has arrived.
    """
    with page.expect_file_chooser() as chooser:
        page.evaluate("0")
        opens()
    return chooser.value


def make_sparse(path: Path, size: int) -> str:
    """A file of zeros that takes no room on the disk; its sha256."""
    with path.open("wb") as file:
        file.truncate(size)
    digest, block = hashlib.sha256(), bytes(4 * MIB)
    while size:
        part = block[:size]
        digest.update(part)
        size -= len(part)
    return digest.hexdigest()


@dataclass
class Publisher:
    """An editor who is logged in in a browser of their own."""

    site: UploadSite
    person: Person
    organization: dict[str, Any]
    context: BrowserContext

    def dataset(self, **fields: Any) -> dict[str, Any]:
        given = {"name": f"d-{uuid.uuid4().hex[:12]}", "owner_org": self.organization["id"], **fields}
        return self.person.client.action("package_create", **given)

    def form(self, dataset: dict[str, Any]) -> UploadForm:
        """That of a new resource, in a new tab."""
        return self.form_at(f"/{dataset['type']}/{dataset['name']}/resource/new")

    def form_at(self, address: str) -> UploadForm:
        form = UploadForm(self.context.new_page())
        form.page.goto(address)
        form.wait()
        return form

    def resources(self, dataset: dict[str, Any]) -> list[dict[str, Any]]:
        return self.person.client.action("package_show", id=dataset["id"])["resources"]


@contextmanager
def logged_in(browser: Browser, site: UploadSite) -> Iterator[Publisher]:
    person = site.person("Petra Publisher")
    organization = site.organization(editor=person)
    context = browser.new_context(base_url=site.url, locale="en")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto("/user/login")
    page.locator("#field-login").fill(person.name)
    page.locator("#field-password").fill(person.password)
    page.locator("#field-password").press("Enter")
    page.locator(".account-masthead .username").wait_for()
    page.close()
    yield Publisher(site, person, organization, context)
    context.close()


@dataclass
class UploadForm:
    """``requests``: what the page has sent to the site and to its store, and ``answers`` what came back."""

    page: Page
    requests: list[Request] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", lambda request: self.requests.append(request))
        self.page.on("response", lambda answer: self.answers.append(answer))
        self.page.on("pageerror", lambda error: self.failures.append(str(error)))

    @property
    def row(self) -> Locator:
        return self.page.locator(ROW)

    def wait(self) -> None:
        """Until its script has begun."""
        self.page.locator(".external-storage-on").wait_for()

    def choose(self, *files: Path) -> None:
        self.page.locator("#field-resource-upload").set_input_files(files)

    def expect_state(self, state: str, row: Locator | None = None) -> None:
        expect(row or self.row).to_have_attribute("data-state", state, timeout=PATIENCE)

    def press(self, action: str) -> None:
        self.row.locator(f"[data-action={action}]").click()

    def save(self) -> None:
        """And wait for the page after it."""
        with self.page.expect_navigation(timeout=PATIENCE):
            self.page.locator("button[name=save]").last.click()

    def statuses(self, *, method: str, part: str = "") -> list[int]:
        """Of what was answered to requests with *part* in their address."""
        return [
            answer.status for answer in self.answers if answer.request.method == method and part in answer.url
        ]
