"""Services of somebody else's that the demo is told to use: looked at, never started, stopped or emptied.

``services/environment.sh`` takes CKAN's variables out of the environment, so that nothing works on another
site unawares. It leaves the values of these three under names that are read here alone.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

import redis
import requests
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from demo import database, place
from services.progress import Failure, hide_password

#: Service → its variable without CKAN_. Also as services/environment.sh and services/install have them.
NAMES = {"postgres": "SQLALCHEMY_URL", "redis": "REDIS_URL", "solr": "SOLR_URL"}
EXAMPLES = {
    "postgres": "postgresql://user:password@host:5432/database",
    "redis": "redis://:password@host:6379/0",
    "solr": "http://host:8983/solr/ckan",
}
SECONDS = 10


def take() -> dict[str, str]:
    """Service → URL of those given. Out of the environment: no program started later needs the passwords."""
    values = {service: os.environ.pop(f"GIVEN_{name}", "") for service, name in NAMES.items()}
    urls = {service: url for service, url in values.items() if url}
    for url in urls.values():
        hide_password(url)
    return urls


def check(urls: dict[str, str]) -> None:
    """Failure for the first service that the demo cannot use. Changes nothing."""
    for service, url in urls.items():
        CHECKS[service](url)


def refused(service: str, what: str, advice: str) -> Failure:
    return Failure(
        f"{variable(service)} names a service that the demo cannot use: {what}",
        f"{advice} Without {variable(service)}, the demo runs a service of its own.",
    )


def variable(service: str) -> str:
    return f"CKAN_{NAMES[service]}"


def _malformed(service: str) -> Failure:
    # Without the value and the parser's words about it: either may show a part of the password.
    return refused(
        service,
        "the value is not an address as it should be.",
        f"write it like {EXAMPLES[service]}, with special characters in user and password as %XX.",
    )


def _check_postgres(url: str) -> None:
    try:
        parsed = make_url(url)
    except (SQLAlchemyError, ValueError):
        raise _malformed("postgres") from None
    # An @ in the password ends it too early for SQLAlchemy, and what follows would be shown as the host.
    known = parsed.drivername in ("postgresql", "postgresql+psycopg2")
    if not known or not parsed.database or "@" in (parsed.host or ""):
        raise _malformed("postgres")
    try:
        owner = database.owner(url)
        obstacle = place.obstacle_to_use(owner) if owner else None
        if not obstacle:
            database.try_to_write(url)
    except database.NotEmpty:
        obstacle = "it holds data that is not a demo's."
    except DBAPIError as error:
        raise refused(
            "postgres",
            f"{_first_line(error.orig)}.",
            "see that PostgreSQL runs there, that user, password and database are right, and that this user "
            "may connect to it and create tables in it.",
        ) from None
    if obstacle:
        raise refused(
            "postgres",
            f"the database {parsed.database} was left as it is. {obstacle[0].upper()}{obstacle[1:]}",
            "name an empty database (`createdb --encoding=UTF8 --template=template0 NAME`).",
        )


def _check_redis(url: str) -> None:
    try:
        connection = redis.Redis.from_url(url, socket_connect_timeout=SECONDS, socket_timeout=SECONDS)
    except ValueError:
        raise _malformed("redis") from None
    try:
        connection.ping()
    except redis.RedisError as error:
        raise refused(
            "redis",
            f"{_first_line(error)}.",
            "see that Redis runs there, and that password and database number are right.",
        ) from None
    finally:
        connection.close()


def _check_solr(url: str) -> None:
    try:
        known = urlsplit(url).scheme in ("http", "https") and urlsplit(url).hostname
    except ValueError:
        known = False
    if not known:
        raise _malformed("solr")
    advice = f"name a core of Solr that runs and has CKAN's schema, like {EXAMPLES['solr']}."
    try:
        found = requests.get(f"{url.rstrip('/')}/select", params={"q": "*:*", "rows": 0}, timeout=SECONDS)
        described = requests.get(f"{url.rstrip('/')}/schema", params={"wt": "json"}, timeout=SECONDS)
    except requests.RequestException as error:
        raise refused("solr", f"it does not answer ({type(error).__name__}).", advice) from None
    for answer in (found, described):
        if not answer.ok:
            raise refused("solr", f"there is no such core, it answers {answer.status_code}.", advice)
    try:
        schema = described.json()["schema"]
        version = _schema_version(schema)
    except (ValueError, KeyError, TypeError):
        raise refused("solr", "its answer is not Solr's.", advice) from None
    supported = _supported_schema_versions()
    if version not in supported:
        raise refused(
            "solr",
            f"its schema is {schema.get('name', 'nameless')!r}, and this CKAN needs one of: "
            f"{', '.join(f'ckan-{version}' for version in supported)}.",
            advice,
        )


def _schema_version(schema: dict[str, str]) -> str:
    """CKAN's way: in the name since 2.10, before as the version."""
    name = schema["name"]
    return name.removeprefix("ckan-") if name.startswith("ckan-") else str(schema.get("version"))


def _supported_schema_versions() -> list[str]:
    # Loading it takes a second or two.
    from ckan.lib import search

    return search.SUPPORTED_SCHEMA_VERSIONS


def _first_line(error: object) -> str:
    return str(error).strip().splitlines()[0].rstrip(".")


CHECKS = {"postgres": _check_postgres, "redis": _check_redis, "solr": _check_solr}
