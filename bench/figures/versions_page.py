"""The versions page as a visitor gets it, where there are 10,000 revisions of a dataset with 1,500 resources.

Whole responses over HTTP, of which CKAN's own frame around the list is the greater part. The peer is the page
beside it, the dataset's own. One after another, on one connection; the site serves from a process of its own.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial

import requests

from bench import site
from bench.figure import Case, Figure, Goal, in_turn
from bench.figures import versions_list
from services.settings import Settings

ROUNDS = 10
WARM_UP = 1
OURS, PEER = "versions page", "dataset page"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on, requests.Session() as http:
        _editor, dataset = on.call(versions_list.create, versions_list.REVISIONS, versions_list.RESOURCES)
        name, url = on.call(name_of, dataset), on.call(site.serve)
        contenders = {
            OURS: partial(get, http, f"{url}/dataset/{name}/versions", "Every change of this dataset"),
            PEER: partial(get, http, f"{url}/dataset/{name}", "Data and Resources"),
        }
        yield Case("anonymous", in_turn(contenders, ROUNDS, WARM_UP, chance))


def get(http: requests.Session, url: str, text: str) -> float:
    """The seconds until the page, on which *text* is, was there."""
    started = time.perf_counter()
    response = http.get(url)
    seconds = time.perf_counter() - started
    assert response.ok, response.status_code
    assert text in response.text
    return seconds


def name_of(dataset: str) -> str:
    """In the site."""
    from ckan import model

    package = model.Package.get(dataset)
    assert package
    return package.name


FIGURE = Figure(
    what=f"GET of the versions page, {versions_list.FIGURE.what}",
    ours=OURS,
    peer=PEER,
    goal=Goal(1, percent=95),
    measure=measure,
)
