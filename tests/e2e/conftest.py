"""A live site on the sandbox of this test process, people on it, and Chromium to visit it with."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect

from demo.client import Client
from services import chromium
from services.checkout import LOG, ROOT
from services.ini import test_plugins
from tests.conftest import SANDBOX
from tests.e2e import upload_form, upload_sites
from tests.e2e.people import PASSWORD as PASSWORD
from tests.e2e.people import LiveSite, Person
from tests.e2e.upload_form import PATIENCE as PATIENCE
from tests.e2e.upload_form import Publisher
from tests.e2e.upload_sites import UploadSite
from tests.faults.victims import Nursery

#: By name of those who have logged in.
_COOKIES: dict[str, Any] = {}


@pytest.fixture(scope="session")
def site(request: pytest.FixtureRequest) -> Iterator[LiveSite]:
    """Shares database, index and files with the tests of this process, and ends with it."""
    box = request.config.stash[SANDBOX]
    with served(box.ini, LOG / f"live-site-{box.number}.log") as site:
        yield site


@contextmanager
def served(ini: Path, log: Path, **environment: str) -> Iterator[LiveSite]:
    """The site of this ini file, on a port of its own."""
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.live_site", str(ini)],
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdin
    assert process.stdout
    url = process.stdout.readline().strip()
    if not url:
        raise RuntimeError(f"The live site did not start. Its words:\n{log.read_text()[-3000:]}")
    sysadmin: Any = factories.SysadminWithToken()
    yield LiveSite(url, Client(url, f"{url}/lfs", sysadmin["token"]))
    process.stdin.close()
    process.wait(timeout=30)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=PATIENCE)
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def nursery(request: pytest.FixtureRequest) -> Iterator[Nursery]:
    assert model.meta.engine
    nursery = Nursery(request.config.stash[SANDBOX].ini, model.meta.engine)
    yield nursery
    nursery.close()


@pytest.fixture(scope="session")
def disk_site(request: pytest.FixtureRequest, nursery: Nursery) -> Iterator[UploadSite]:
    """Of tests that put it back as it was. It has a type of ckanext-scheming beside CKAN's own."""
    options = {
        "ckan.plugins": f"{test_plugins()} scheming_datasets scheming_nerf_index",
        "scheming.dataset_schemas": "tests.external_storage:measurements.yaml",
    }
    with upload_sites.on_disk(request.config.stash[SANDBOX], nursery, **options) as site:
        yield site


@pytest.fixture(scope="session")
def s3_site(
    request: pytest.FixtureRequest, nursery: Nursery, s3_client: Any, s3_options: dict[str, str]
) -> Iterator[UploadSite]:
    """Of tests that put it back as it was. No worker runs."""
    with upload_sites.on_s3(request.config.stash[SANDBOX], nursery, s3_client, s3_options) as site:
        yield site


@pytest.fixture(scope="session")
def disk_publisher(browser: Browser, disk_site: UploadSite) -> Iterator[Publisher]:
    with upload_form.logged_in(browser, disk_site) as publisher:
        yield publisher


@pytest.fixture(scope="session")
def s3_publisher(browser: Browser, s3_site: UploadSite) -> Iterator[Publisher]:
    with upload_form.logged_in(browser, s3_site) as publisher:
        yield publisher


@pytest.fixture
def publisher(request: pytest.FixtureRequest) -> Publisher:
    """On the store that the test's parameter names (`tests.e2e.upload_form.on`)."""
    return request.getfixturevalue(f"{request.param}_publisher")


@pytest.fixture
def visitor(browser: Browser, site: LiveSite) -> Iterator[Page]:
    """A page of somebody who is not logged in. What goes wrong in its scripts fails the test."""
    context: BrowserContext = browser.new_context(base_url=site.url, locale="en")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))
    yield page
    context.close()
    assert failures == []


def log_in(page: Page, person: Person) -> None:
    """Through the form, as people do; later with the cookies that came then."""
    if person.name in _COOKIES:
        page.context.add_cookies(_COOKIES[person.name])
        return
    page.goto("/user/login")
    page.get_by_label("Username or Email").fill(person.name)
    page.get_by_label("Password").fill(person.password)
    page.locator("#content").get_by_role("button", name="Login").click()
    expect(page.locator(".account-masthead .username")).to_be_visible()
    _COOKIES[person.name] = page.context.cookies()


def reload_but_stay(page: Page) -> list[str]:
    """Stays on the page when it asks before it is left; the kinds of dialogs that have asked."""
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.evaluate("location.reload()")
    return asked


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """More than is hashed before it is sent."""
    path = tmp_path / "measured.bin"
    path.write_bytes(uuid.uuid4().bytes * (17 << 16))
    return path
