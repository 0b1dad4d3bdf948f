"""The LFS server by itself: the site's database and store, but no CKAN in the process.

Callers bring a token of ``authz_authorize``. ``wsgi.py`` is what servers load.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import sqlalchemy as sa
from werkzeug.exceptions import NotFound
from werkzeug.middleware.proxy_fix import ProxyFix

from ckanext.authz_service import process, verifying
from ckanext.external_storage import config, ini, jobs
from ckanext.external_storage.lfs.app import LfsApplication
from ckanext.external_storage.lfs.mounting import MOUNT
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.transfer import quota

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def make_app(path: Path) -> WSGIApplication:
    """The application for the site of this ini file, which from now on is that of the process."""
    options = ini.read(path, os.environ)
    # A server that lost its database for a moment must not answer with the connections of before.
    engine = sa.engine_from_config({"sqlalchemy.pool_pre_ping": "true", **options}, "sqlalchemy.")
    process.run_without_ckan(options, engine)
    quota.set_default(config.quota)
    settings = Settings(
        url=config.lfs_url(),
        namespace=config.namespace(),
        engine=config.engine,
        store=config.store,
        believe_server=lambda: not config.verify_external(),
        secret=config.capability_secret,
        read_token=verifying.signed_lfs_token,
        forwarded=True,
        cors_origins=config.cors_origins(),
        metrics_token_file=config.metrics_token_file(),
        limits=config.upload_limits,
        check_later=jobs.check_later,
        checker_alive=jobs.worker_alive,
    )
    return public(LfsApplication(settings), settings.url, config.proxy_hops())


def public(app: WSGIApplication, url: str, hops: int) -> WSGIApplication:
    """*app* at its public address: *url*, except for what *hops* trusted proxies say of it.

    Requests come with the path of *url*, or with `MOUNT` if a proxy has taken off what stands before that. A
    request's Host is believed from nobody.
    """
    scheme, host, path = urlsplit(url)[:3]
    before, tail = (path[: -len(MOUNT)], MOUNT) if path.endswith(MOUNT) else (path, "")

    def below_prefix(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        environ["SCRIPT_NAME"] = environ["SCRIPT_NAME"].rstrip("/") + tail
        return app(environ, start_response)

    fixed = ProxyFix(below_prefix, x_for=hops, x_proto=hops, x_host=hops, x_prefix=hops)

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Any:
        asked = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        rest = next((rest for mount in (path, MOUNT) if (rest := _after(asked, mount)) is not None), None)
        if rest is None:
            return NotFound()(environ, start_response)
        environ.update({"PATH_INFO": rest, "SCRIPT_NAME": before, "wsgi.url_scheme": scheme})
        environ["HTTP_HOST"] = host
        return fixed(environ, start_response)

    return application


def _after(path: str, mount: str) -> str | None:
    return path[len(mount) :] if path == mount or path.startswith(mount + "/") else None
