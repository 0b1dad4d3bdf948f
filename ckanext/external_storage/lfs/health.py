"""Whether the server can do its work: for load balancers, which ask often and read the status only."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import sqlalchemy as sa
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import model
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import key_maker

log = logging.getLogger(__name__)

#: No object: what matters is that the store says so.
_NOTHING = "0" * 64, 1, "00000000-0000-0000-0000-000000000000"


def health(settings: Settings, request: Request) -> Response:
    """200 if database, store and secret are there, else 503. Which of them fails is told, why is logged."""
    checks: dict[str, Callable[[], object]] = {
        "database": lambda: _ask_database(settings),
        "store": lambda: _ask_store(settings),
        "secret": settings.secret,
    }
    found = {name: _works(name, check) for name, check in checks.items()}
    healthy = all(found.values())
    body = {"healthy": healthy, **{name: "ok" if works else "failed" for name, works in found.items()}}
    response = Response(json.dumps(body), 200 if healthy else 503, content_type="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _ask_database(settings: Settings) -> None:
    with settings.engine().connect() as connection:
        connection.execute(sa.select(model.upload.c.id).limit(1)).first()


def _ask_store(settings: Settings) -> None:
    store = settings.store()
    store.stat(key_maker(store)(None, *_NOTHING))


def _works(name: str, check: Callable[[], object]) -> bool:
    try:
        check()
    except Exception as error:
        log.error("health: %s: %s", name, error)
        return False
    return True
