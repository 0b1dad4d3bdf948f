"""A site that browsers can open, and people on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from ckan.tests import factories

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
