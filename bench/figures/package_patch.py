"""What a save costs with `versioning`: one changed title, through the whole of CKAN with its Solr.

Two processes, one with the plugin and one without, because switching it within one process is not the same:
it empties CKAN's caches of actions and auth functions, and the listeners stay. A third process is a second
one without. All have the same dataset, each in its own database, and the user is an editor.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

from bench import site
from bench.figure import Case, Figure, Goal, in_turn
from bench.site import Site
from services.settings import Settings

RESOURCES = (1, 20, 100)
ROUNDS = 100
WARM_UP = 5

PLUGINS = {"without": "", "without again": "", "with versioning": "versioning"}


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with ExitStack() as stack:
        sites = {name: stack.enter_context(site.running(settings, p)) for name, p in PLUGINS.items()}
        for count in RESOURCES:
            contenders = {name: partial(patch, on, *on.call(create, count)) for name, on in sites.items()}
            name = f"{count} resource{'s' * (count > 1)}"
            yield Case(name, in_turn(contenders, ROUNDS, WARM_UP, chance))


def patch(on: Site, user: str, dataset: str) -> float:
    return on.time(change_title, user, dataset, f"Title {uuid.uuid4()}")


def create(resources: int) -> tuple[str, str]:
    """In the site: an editor's name, and the id of a dataset that they may edit."""
    from ckan.plugins import toolkit as tk

    site_user = tk.get_action("get_site_user")({"ignore_auth": True}, {})["name"]
    unique = uuid.uuid4().hex

    def call(action: str, **data: Any) -> dict[str, Any]:
        return tk.get_action(action)({"ignore_auth": True, "user": site_user}, data)

    user = call("user_create", name=f"u-{unique}", email=f"{unique}@example.org", password=unique)
    members = [{"name": user["name"], "capacity": "editor"}]
    organization = call("organization_create", name=f"o-{unique}", users=members)
    dataset = call(
        "package_create",
        name=f"d-{unique}",
        title="Title",
        notes="What is measured, where and when. " * 10,
        owner_org=organization["id"],
        tags=[{"name": f"tag-{number}"} for number in range(5)],
        extras=[{"key": f"key-{number}", "value": "a value"} for number in range(5)],
        resources=[resource(number) for number in range(resources)],
    )
    return user["name"], dataset["id"]


def resource(number: int) -> dict[str, Any]:
    return {
        "url": f"https://example.org/data/{number}.csv",
        "name": f"Table {number}",
        "description": "Columns, units and sources. " * 5,
        "format": "CSV",
        "mimetype": "text/csv",
    }


def change_title(user: str, dataset: str, title: str) -> None:
    """In the site: the work that is timed."""
    from ckan.plugins import toolkit as tk

    changed = tk.get_action("package_patch")({"user": user}, {"id": dataset, "title": title})
    assert changed["title"] == title


FIGURE = Figure(
    what="package_patch of the title by an editor, in process, with and without versioning",
    ours="with versioning",
    peer="without",
    control="without again",
    goal=Goal(1.10),
    measure=measure,
)
