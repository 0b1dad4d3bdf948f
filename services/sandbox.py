"""A sandbox for one test process: its own database, Redis number, site id, directories and ini file.

Each process takes the lowest number that no living process holds, so xdist's workers and several runs at once
do not meet. What a run left is there to look at until the next process takes that number.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import redis

from services import databases, ini, solr
from services.checkout import ROOT, RUN, exclusive, try_lock, write_private
from services.progress import Failure
from services.redis import DATABASES, FIRST_OF_TESTS
from services.settings import Settings

DIRECTORY = RUN / "test"
TEMPLATE_PREFIX = "template_"
#: The Redis database after those of the sandboxes serves while the template is made.
LIMIT = DATABASES - FIRST_OF_TESTS - 1


@dataclass
class Sandbox:
    number: int
    options: dict[str, str]
    ini: Path
    #: Open as long as the process lives; the lock on it is what makes the number ours.
    claim: TextIO


def take(settings: Settings) -> Sandbox:
    """Claim a number; its database has the current schema, its Redis, index and directory are empty."""
    DIRECTORY.mkdir(exist_ok=True)
    number, claim = _claim()
    name = f"test_{number}"
    directory = DIRECTORY / str(number)
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir()
    options = _service_options(settings, name, number) | ini.directory_options(directory)
    path = directory / "ckan.ini"
    write_private(path, ini.text(options, base=ROOT / "test.ini"))
    with exclusive("test-template"):
        databases.create(settings, name, _template(settings))
    redis.Redis.from_url(options["ckan.redis.url"]).flushdb()
    solr.forget_site(settings, name)
    return Sandbox(number, options, path, claim)


def _service_options(settings: Settings, database: str, number: int) -> dict[str, str]:
    """What keeps one sandbox apart from others on the same services; the database's name is its site id."""
    return {
        "sqlalchemy.url": settings.database_url(database),
        "ckan.redis.url": settings.redis_url(FIRST_OF_TESTS + number - 1),
        "solr_url": settings.solr_url(),
        "ckan.site_id": database,
    }


def _claim() -> tuple[int, TextIO]:
    for number in range(1, LIMIT + 1):
        claim = (DIRECTORY / f"{number}.lock").open("w")
        if try_lock(claim):
            return number, claim
        claim.close()
    raise Failure(
        f"All {LIMIT} test sandboxes are taken.", "end test runs that hang, and start fewer workers."
    )


def _template(settings: Settings) -> str:
    """The name of a database with CKAN's tables and ours, made anew when either may have changed."""
    template = TEMPLATE_PREFIX + databases.schema_version(ini.test_plugins())
    present = databases.names(settings)
    if template in present:
        return template
    for name in present:
        # Also one that an interrupted run left unfinished; template0 and template1 are PostgreSQL's.
        if name.startswith(TEMPLATE_PREFIX):
            databases.drop(settings, name)
    unfinished = f"{TEMPLATE_PREFIX}unfinished"
    databases.create(settings, unfinished)
    options = _service_options(settings, unfinished, LIMIT + 1)
    path = DIRECTORY / "template.ini"
    write_private(path, ini.text(options, base=ROOT / "test.ini"))
    databases.upgrade(path, log="test-template")
    databases.rename(settings, unfinished, template)
    return template
