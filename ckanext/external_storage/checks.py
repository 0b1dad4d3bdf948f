"""What is wrong with the set-up, and what to do about it: for ``ckan external-storage check``.

A check is a function that yields a text for each problem: what is wrong, what follows from it, what to do. A
new check is such a function and its line in `CHECKS`.
"""

from __future__ import annotations

import difflib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ckantoolkit as tk
import polib
import requests
import sqlalchemy as sa
from alembic.script import ScriptDirectory
from ckan import plugins
from ckan.common import config_declaration
from ckan.lib.i18n import get_js_translations_dir
from redis.exceptions import RedisError
from rq import Worker
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import HTTPException

from ckanext.authz_service import checks as authz_checks
from ckanext.authz_service import translated
from ckanext.external_storage import NAMES, config, errors, jobs, references, views
from ckanext.external_storage.lfs import echo
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.storage.probe import probe

#: Less free space than this is a problem: bytes, and part of the disk.
LITTLE_SPACE, SMALL_PART = 5 * 10**9, 0.02
#: Seconds that the slow PUT takes, more than the minute after which proxies give up by default.
SLOW = 65
_TIMEOUT = 15


def store() -> Iterator[str]:
    """A place for bytes is named, takes a file, gives it back and forgets it, and does what it promises."""
    site = urlsplit(config.site_address())
    try:
        found = probe(config.store(), [f"{site.scheme}://{site.netloc}"])
    except errors.StorageError as error:
        yield str(error)
        return
    yield from (f"{finding.what} {finding.to_do}" for finding in found if not finding.ok)


def options() -> Iterator[str]:
    """Nothing is set that nobody reads."""
    known = {str(key) for key in config_declaration.iter_options()}
    for option in sorted(map(str, tk.config)):
        if option.startswith("ckanext.external_storage.") and option not in known:
            like = difflib.get_close_matches(option, known, 1)
            meant = f" Did you mean {like[0]}?" if like else ""
            yield f"{option} is set, and there is no such option: it has no effect.{meant}"


def tokens() -> Iterator[str]:
    """Who sends files gets a token for it."""
    if not plugins.plugin_loaded("authz_service"):
        yield (
            "The plugin authz_service is not on: nobody gets a token, so that browsers and scripts can send"
            " files with a form only. Add it to ckan.plugins."
        )
        return
    yield from authz_checks.signing()
    yield from authz_checks.tables()


def directory() -> Iterator[str]:
    """The local store's directory is CKAN's own, and has room."""
    try:
        place = config.store()
    except errors.StorageError:
        return  # `store` says it
    if not isinstance(place, LocalStore):
        return
    root: Path = place.root
    try:
        status, usage = root.stat(), shutil.disk_usage(root)
    except OSError as error:
        yield f"{root}: {error.strerror}. Make the directory, or mount its disk, as the user CKAN runs as."
        return
    if not root.is_dir():
        yield f"{root} is a file. Set ckanext.external_storage.local.path to a directory."
        return
    if status.st_mode & 0o007:
        yield f"Everybody on this machine can open {root}, private files too. Run: chmod o-rwx {root}"
    if status.st_uid != os.geteuid():
        yield (
            f"{root} belongs to the user number {status.st_uid}, and this command runs as {os.geteuid()}: one"
            " of the two is probably not CKAN. Run this as the user CKAN runs as, or change the directory's"
            f" owner: chown {os.geteuid()} {root}"
        )
    if usage.free < min(LITTLE_SPACE, usage.total * SMALL_PART):
        yield f"The disk of {root} has {usage.free:,} bytes left. Uploads fail soon; make room or add some."


def secret() -> Iterator[str]:
    """There is a secret for what the batch API hands out, and nobody else reads it."""
    try:
        config.capability_secret()
    except errors.StorageError as error:
        yield str(error)
        return
    path = config.capability_secret_file()
    if path is not None and path.exists() and path.stat().st_mode & 0o077:
        yield f"Others on this machine can read {path}, and allow themselves uploads. Run: chmod 600 {path}"


def tables() -> Iterator[str]:
    """The tables are those that this version works with."""
    here = ScriptDirectory(str(Path(__file__).parent / "migration" / "external_storage")).get_heads()
    version = sa.table("external_storage_alembic_version", sa.column("version_num"))
    try:
        with config.engine().connect() as connection:
            exists = connection.execute(sa.select(sa.func.to_regclass(version.name))).scalar()
            there = list(connection.execute(sa.select(version.c.version_num)).scalars()) if exists else []
    except SQLAlchemyError as error:
        yield f"PostgreSQL does not answer ({type(error).__name__}). Check that it is running."
        return
    if set(here) != set(there):
        is_, should = ", ".join(there) or "missing", ", ".join(here)
        name = next((name for name in NAMES if name in tk.aslist(tk.config["ckan.plugins"])), NAMES[0])
        yield f"The tables are {is_}, and should be {should}. Run: ckan db upgrade -p {name}"


def others() -> Iterator[str]:
    """Everybody who may still need files can be asked, so that garbage can be collected."""
    try:
        references.of_plugins(config.engine())
    except errors.ReferencesUnknown as error:
        yield str(error)
    except SQLAlchemyError:
        return  # `tables` says it


def worker() -> Iterator[str]:
    """Somebody does the background jobs."""
    try:
        alive = Worker.all(queue=jobs.queue())
    except RedisError as error:
        yield f"Redis does not answer ({type(error).__name__}). Check that it is running."
        return
    if not alive:
        yield (
            "No worker does the background jobs: large uploads are not checked, so nobody can save them."
            " Run it as a service: ckan jobs worker"
        )


def download() -> Iterator[str]:
    """CKAN's download address is ours."""
    app = views.application()
    address = "/dataset/a/resource/b/download/c"
    try:
        endpoint, _parts = app.url_map.bind("localhost").match(address)
    except HTTPException:
        yield f"CKAN has no download address ({address}). Another plugin has removed it; ask its maintainers."
        return
    view = app.view_functions[endpoint]
    if view.__module__ != views.__name__:
        yield (
            f"The download address of files is answered by {view.__module__} (endpoint {endpoint}): files of"
            " the external store cannot be downloaded there. Remove that plugin from ckan.plugins."
        )


def cors() -> Iterator[str]:
    """Other sites' pages that may use the server are named as browsers name them."""
    for origin in sorted(config.cors_origins() - {"*"}):
        parts = urlsplit(origin)
        if f"{parts.scheme}://{parts.netloc}".lower() != origin or parts.scheme not in ("http", "https"):
            yield (
                f"ckanext.external_storage.cors_origins has {origin!r}, which no browser sends: pages from"
                " there are refused. Write scheme, host and port only, in lower case: https://maps.example.org"
            )


def clock() -> Iterator[str]:
    """The clocks of this machine, PostgreSQL and Redis agree: time limits of uploads are compared."""
    return authz_checks.clock()


def translations() -> Iterator[str]:
    """What CKAN hands to browsers as translations has the texts of the upload field.

    It makes these files when told to, or when ``ckan run`` starts: those that are older than a catalog.
    """
    built = Path(get_js_translations_dir())
    for language in {tk.config["ckan.locale_default"], *tk.aslist(tk.config["ckan.locales_offered"])}:
        catalog = translated.DIRECTORY / language / "LC_MESSAGES" / f"{translated.DOMAIN}.po"
        if not catalog.exists():
            continue
        wanted = {
            entry.msgid
            for entry in polib.pofile(str(catalog))
            if any(place.endswith(".js") for place, _line in entry.occurrences)
        }
        try:
            there = json.loads((built / f"{language}.js").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            there = {}
        if not wanted <= set(there):
            yield (
                f"The upload field speaks English on pages in the language {language}: CKAN's translations"
                f" for scripts lack its texts. Run: rm -f {built}/*.js && ckan translation js"
            )


def proxy() -> Iterator[str]:
    """A request with a body and credentials reaches us through the site's address."""
    body = os.urandom(echo.MAX_BODY)
    yield from _through_the_site([body], len(body), 0)


def slow_proxy() -> Iterator[str]:
    """So does one that takes more than a minute, and we see it while it comes."""

    def pieces() -> Iterator[bytes]:
        for _ in range(SLOW):
            time.sleep(1)
            yield b"." * 1024

    yield from _through_the_site(pieces(), SLOW * 1024, SLOW)


#: By the name that is printed, in this order. `AT_START` are quick: they ask only the disk and PostgreSQL.
CHECKS: dict[str, Callable[[], Iterator[str]]] = {
    "options": options,
    "tables": tables,
    "tokens": tokens,
    "store": store,
    "directory": directory,
    "capability secret": secret,
    "references": others,
    "background jobs": worker,
    "download address": download,
    "origins": cors,
    "clocks": clock,
    "translations": translations,
    "site address": proxy,
}
SLOW_CHECKS: dict[str, Callable[[], Iterator[str]]] = {"slow upload": slow_proxy}
AT_START: tuple[Callable[[], Iterator[str]], ...] = (tables, directory, secret)


def at_start() -> list[str]:
    """Problems worth a line in the log when CKAN starts. Never raises."""
    found: list[str] = []
    for check in AT_START:
        try:
            found += check()
        except Exception as error:
            found.append(f"The check {check.__name__} itself failed: {type(error).__name__}.")
    return found


class _Body:
    """Sent piece by piece, with a Content-Length."""

    def __init__(self, pieces: Any, size: int):
        self._pieces, self._size = pieces, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)


def _through_the_site(pieces: Any, size: int, least: int) -> Iterator[str]:
    """PUT *size* bytes to `echo` through the site's address; *least* seconds are what sending takes."""
    address = f"{config.lfs_url()}/check"
    try:
        header = echo.permit(int(time.time()) + 300).header(config.capability_secret())
    except errors.StorageError:
        return  # `secret` says it
    try:
        response = requests.put(
            address,
            data=_Body(pieces, size),
            headers={**header, "Content-Type": "application/octet-stream"},
            timeout=_TIMEOUT,
            allow_redirects=False,
        )
    except requests.RequestException as error:
        yield (
            f"{address} did not take {size:,} bytes ({type(error).__name__}). Either the site is not running,"
            " or its address (ckan.site_url) cannot be reached from here, or a proxy ended the request:"
            " raise its time-outs for /lfs."
        )
        return
    yield from _judged(response, address, size, least)


def _judged(response: requests.Response, address: str, size: int, least: int) -> Iterator[str]:
    status = response.status_code
    try:
        seen = response.json()
    except ValueError:
        seen = {}
    if status == 413:
        yield (
            f"{address} refuses {size:,} bytes as too large: a proxy limits bodies. Lift its limit for /lfs"
            " (nginx: client_max_body_size 0;)."
        )
    elif status == 401:
        yield (
            f"{address} answers 401: a proxy takes the Authorization header away (uWSGI and Apache need to be"
            " told to pass it: WSGIPassAuthorization On), or the site there has another capability secret."
        )
    elif 300 <= status < 400:
        place = response.headers.get("Location", "somewhere else").partition("?")[0]
        yield f"{address} redirects to {place}, and uploads do not follow. Set ckan.site_url to that address."
    elif status != 200 or seen.get("size") != size:
        yield (
            f"{address} answers {status} and not as this site does: another server answers there, or an older"
            " process of this one. Restart CKAN, and see that ckan.site_url is its address."
        )
    elif least and seen.get("seconds", 0) < least / 2:
        yield (
            f"A proxy before {address} holds uploads back until they are complete: they take twice the time"
            " and room, and cut ones begin anew. Switch that off for /lfs"
            " (nginx: proxy_request_buffering off;)."
        )
