"""What the application needs from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa

from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage.lfs.site import Site
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.transfer.beginning import Limits


@dataclass(frozen=True)
class Settings:
    """What the application needs from outside; the callables are asked per request.

    ``url``: public base URL, e.g. ``https://data.example.org/lfs``; answers are built from it, never from
    a request's Host. ``namespace``: stands for any organisation in a path.
    ``read_token``: a JWT → what it says, if it is signed right and is for this server; raises InvalidToken.
    Whether it was revoked is asked together with what else the database is asked (`callers`).
    ``forwarded``: the address that a request has in its environ is the public one (standalone.py sees to
    that) and stands for ``url``. ``cors_origins``: see `cors`. ``metrics_token_file``: see `metrics`.
    ``limits``: of uploads. ``check_later``: has a received upload (its id, bytes) checked in the background;
    ``believe_server``: whether an external server's word for a file is enough (`transfer.at_server`);
    ``checker_alive``: whether somebody is there to do it.
    ``site``: the CKAN around the server; without one, it knows only what tokens say.
    """

    url: str
    namespace: str
    engine: Callable[[], sa.Engine]
    store: Callable[[], ObjectStore]
    secret: Callable[[], bytes]
    read_token: Callable[[str], VerifiedToken]
    check_later: Callable[[str, int], None]
    checker_alive: Callable[[], bool]
    forwarded: bool = False
    cors_origins: frozenset[str] = frozenset()
    metrics_token_file: Path | None = None
    limits: Callable[[], Limits] = Limits
    believe_server: Callable[[], bool] = lambda: False
    site: Site | None = None
