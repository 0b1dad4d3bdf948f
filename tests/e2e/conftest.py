"""A live site on the sandbox of this test process, people on it, and Chromium to visit it with."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ckan.tests import factories
from playwright.sync_api import Browser, BrowserContext, Page, expect

from demo.client import Client
from services import chromium
from services.checkout import LOG, ROOT
from tests.conftest import SANDBOX

#: Milliseconds for whatever a page has to do; a busy machine takes a while for the first page of a new site.
PATIENCE = 15_000
PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    #: Their API token in the HTTP client of the demo.
    client: Client


@dataclass(frozen=True)
class LiveSite:
    url: str
    sysadmin: Client

    def person(self, fullname: str) -> Person:
        user: Any = factories.UserWithToken(password=PASSWORD, fullname=fullname)
        return Person(user["name"], PASSWORD, Client(self.url, f"{self.url}/lfs", user["token"]))

    def organization(self, **roles: Person) -> dict[str, Any]:
        """A new one; *roles*: who is ``editor``, ``member``, … of it."""
        users = [{"name": person.name, "capacity": role} for role, person in roles.items()]
        name = f"org-{uuid.uuid4().hex[:8]}"
        return self.sysadmin.action("organization_create", name=name, title="Office of Figures", users=users)


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
    """Through the form, as people do."""
    page.goto("/user/login")
    page.get_by_label("Username or Email").fill(person.name)
    page.get_by_label("Password").fill(person.password)
    page.locator("#content").get_by_role("button", name="Login").click()
    expect(page.locator(".account-masthead .username")).to_be_visible()
