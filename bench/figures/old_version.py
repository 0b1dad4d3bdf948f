"""A dataset as it was against the dataset as it is: the page over HTTP, and `package_show` in process.

The page of an old version beside the dataset's own page, for a visitor; and `package_show` with
``revision_ref`` beside `package_show` that does not take the answer from Solr, since for an old version there
is none in Solr.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

import requests

from bench import site
from bench.figure import Case, Contender, Figure, Goal, in_turn
from bench.figures import package_patch, versions_page
from services.settings import Settings

#: Resources → rounds.
PAGES = {1: 60, 20: 40, 100: 20}
SHOWS = {1: 100, 20: 100, 100: 40, 1500: 8}
WARM_UP = 3
OURS, PEER, CONTROL = "old version", "current version", "current version again"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on, requests.Session() as http:
        url = on.call(site.serve)
        datasets = {count: on.call(create, count) for count in SHOWS}
        for count, rounds in PAGES.items():
            page = f"{url}/dataset/{on.call(versions_page.name_of, datasets[count])}"
            now = partial(versions_page.get, http, page, "Data and Resources")
            old = partial(versions_page.get, http, f"{page}/v/r1", "Data and resources of this version")
            yield Case(f"page, {_resources(count)}", _in_turn(old, now, rounds, chance))
        for count, rounds in SHOWS.items():
            now = partial(on.time, show, datasets[count], {"use_cache": False}, {})
            old = partial(on.time, show, datasets[count], {}, {"revision_ref": "r1"})
            yield Case(f"package_show, {_resources(count)}", _in_turn(old, now, rounds, chance))


def _in_turn(old: Contender, now: Contender, rounds: int, chance: random.Random) -> dict[str, list[float]]:
    return in_turn({OURS: old, PEER: now, CONTROL: now}, rounds, WARM_UP, chance)


def _resources(count: int) -> str:
    return f"{count} resource{'s' * (count > 1)}"


def create(resources: int) -> str:
    """In the site: the id of a dataset that has an old version."""
    editor, dataset = package_patch.create(resources)
    package_patch.change_title(editor, dataset, "The newest title")
    return dataset


def show(dataset: str, context: dict[str, Any], data: dict[str, Any]) -> None:
    """In the site: the work that is timed."""
    from ckan.model.user import AnonymousUser
    from ckan.plugins import toolkit as tk

    caller: Any = {"user": "", "auth_user_obj": AnonymousUser(), **context}
    shown = tk.get_action("package_show")(caller, {"id": dataset, **data})
    assert shown["title"] == ("Title" if data else "The newest title")


FIGURE = Figure(
    what="a dataset as it was, and as it is: the page over HTTP, and package_show without Solr",
    ours=OURS,
    peer=PEER,
    control=CONTROL,
    goal=Goal(1.10, percent=95),
    measure=measure,
)
