"""A site that browsers can open, and people on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from ckan.tests import factories
from playwright.sync_api import Page

from demo.client import Client

PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Person:
    name: str
    password: str
    #: Their API token in the HTTP client of the demo.
    client: Client


@dataclass
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


def begin_dataset(page: Page, organization_id: str) -> str:
    """The first step of CKAN's form for a new dataset; its name."""
    name = f"roads-{uuid.uuid4().hex[:12]}"
    page.goto(f"/dataset/new?group={organization_id}")
    page.get_by_label("Title").fill(name)
    # A script of CKAN's makes the name of the title, if it has started by now.
    page.locator("#field-name").evaluate("(field, name) => { field.value = name }", name)
    page.get_by_role("button", name="Next: Add Data").click()
    page.wait_for_url("**/resource/new")
    return name
