"""What belongs to one demo: a database, a directory in ``.run/``, a site id that parts index and queues.

Each series of CKAN (2.12, 2.11) has a demo of its own, and so has each database that is given. The
database says itself which directory goes with it; the name of that is also the site id.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from demo import database
from services import databases
from services.checkout import RUN
from services.progress import Failure
from services.settings import Settings

SERIES = version("ckan").split(".")[:2]
#: How the names of this CKAN's demos begin, and the name of its database in our own PostgreSQL.
PREFIX = "_".join(["demo", *SERIES])


@dataclass(frozen=True)
class Place:
    name: str
    #: Of "postgres", "redis" and "solr"; with passwords.
    urls: Mapping[str, str]

    @property
    def directory(self) -> Path:
        return RUN / self.name

    @property
    def ini(self) -> Path:
        return self.directory / "ckan.ini"


def find(settings: Settings, given: Mapping[str, str]) -> Place:
    """The demo that the database belongs to; if it is empty, a new one with an empty directory.

    ``settings`` are those of the services that run, for all but the ``given`` ones.
    """
    own = {
        "postgres": lambda: settings.database_url(PREFIX),
        # By the minor version; below those of test runs.
        "redis": lambda: settings.redis_url(int(SERIES[1])),
        "solr": settings.solr_url,
    }
    urls = {service: given.get(service) or url() for service, url in own.items()}
    if "postgres" not in given and PREFIX not in databases.names(settings):
        databases.create(settings, PREFIX)
    name = database.owner(urls["postgres"])
    if name is None:
        place = Place(f"{PREFIX}_{secrets.token_hex(4)}", urls)
        place.directory.mkdir(mode=0o700)
        database.claim(urls["postgres"], place.name)
        return place
    if obstacle := obstacle_to_use(name):
        raise Failure(f"The database of the demo cannot be used: {obstacle}", "run `make clean`.")
    return Place(name, urls)


def obstacle_to_use(name: str) -> str | None:
    """Why a database that the demo ``name`` made is not for this CKAN in this checkout; None if it is."""
    if not (RUN / name).is_dir():
        return "it belongs to a demo that is not here: another checkout's, or one before `make clean`."
    if not name.startswith(f"{PREFIX}_"):
        other = ".".join(name.split("_")[1:3])
        return f"it belongs to a demo of CKAN {other}, and this is {'.'.join(SERIES)}."
    return None
