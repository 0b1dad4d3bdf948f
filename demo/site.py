"""The demo's CKAN: its ini file, database, keys, and the two programs that the supervisor runs."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import redis
import requests
import rq

from demo import database
from demo.place import Place
from services import databases, ini, processes
from services.checkout import ROOT, VENV, write_private
from services.processes import Program
from services.progress import Failure, run, step
from services.settings import is_free

PLUGINS = "authz_service external_storage versioning text_view image_view"
START_SECONDS = 120


@dataclass(frozen=True)
class Address:
    host: str
    port: int

    @property
    def url(self) -> str:
        # An address that stands for all of this machine's is no name for a link.
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    @property
    def lfs(self) -> str:
        return f"{self.url}/lfs"


def bring_up(place: Place, address: Address) -> None:
    """The site answers and the worker waits for jobs. Both are restarted if code or configuration changed."""
    write_private(place.ini, ini.text(_options(place, address)))
    for program in _programs(place, address):
        processes.declare(program)
    processes.apply()
    if not processes.is_running("site") and not is_free(address.port, address.host):
        raise Failure(
            f"Port {address.port} on {address.host} is taken by another program, and the site needs it.",
            f"end that program, or choose another port: make demo DEMO_PORT={address.port + 1}",
        )
    _upgrade_database(place)
    _write_keys(place)
    _index_anew(place)
    with step("Site and job worker"):
        processes.start("site")
        processes.start("worker")
        processes.wait_until("site", lambda: _site_answers(address), START_SECONDS)
        processes.wait_until("worker", lambda: _worker_waits(place), START_SECONDS)


def _options(place: Place, address: Address) -> dict[str, str]:
    return {
        "sqlalchemy.url": place.urls["postgres"],
        "ckan.redis.url": place.urls["redis"],
        "solr_url": place.urls["solr"],
        "ckan.site_id": place.name,
        **ini.directory_options(place.directory),
        "SECRET_KEY": _secret_key(place),
        "ckan.site_url": address.url,
        "ckan.site_title": "Open data, every version",
        "ckan.site_description": "A demo of ckanext-publish",
        "ckan.plugins": PLUGINS,
        "ckan.views.default_views": "image_view text_view",
        # Megabytes; CKAN's default of 10 is less than what one wants to try here.
        "ckan.max_resource_size": "1024",
        # No pictures from a server on the internet.
        "ckan.gravatar_default": "disabled",
    }


def _secret_key(place: Place) -> str:
    """Kept, because all sessions and API tokens are signed with it."""
    path = place.directory / "secret-key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def _programs(place: Place, address: Address) -> Iterable[Program]:
    environment = {
        "CKAN_INI": str(place.ini),
        # Nobody reads it: with it, a change of code is a change of the program, and those are restarted.
        "CKANEXT_PUBLISH_CODE": _code_version(place),
    }
    gunicorn = [
        str(VENV / "bin/gunicorn"),
        "demo.wsgi:application",
        "--bind",
        f"{address.host}:{address.port}",
    ]
    gunicorn += ["--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket"]
    # Seconds without a sign of life from a worker: starting CKAN on a busy machine takes a while.
    gunicorn += ["--timeout", "300", "--graceful-timeout", "10"]
    # Loading CKAN takes seconds, and that is where a mistake in a plugin shows.
    yield Program("site", gunicorn, ROOT, start_seconds=20, environment=environment)
    worker = [str(VENV / "bin/ckan"), "-c", str(place.ini), "jobs", "worker"]
    yield Program("worker", worker, ROOT, start_seconds=20, environment=environment)


def _code_version(place: Place) -> str:
    digest = hashlib.sha256(place.ini.read_bytes() + (VENV / "installed").read_bytes())
    sources = [ROOT / "demo" / "wsgi.py"]
    for directory in ("ckanext", "templates", "assets"):
        sources += (
            path for path in (ROOT / directory).rglob("*") if path.is_file() and path.suffix != ".pyc"
        )
    for path in sorted(sources):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _upgrade_database(place: Place) -> None:
    wanted = databases.schema_version(PLUGINS)
    if database.tables_version(place.urls["postgres"]) != wanted:
        with step("Database tables"):
            databases.upgrade(place.ini, log="demo-database")
            database.record_tables_version(place.urls["postgres"], wanted)


def _index_anew(place: Place) -> None:
    """Rebuild the search index if this Solr is not the one that has it."""
    indexed = place.directory / "indexed-by"
    if indexed.exists() and indexed.read_text() != place.urls["solr"]:
        with step("Search index"):
            _ckan(place, "search-index", "rebuild")
    write_private(indexed, place.urls["solr"])


def _write_keys(place: Place) -> None:
    options = ini.directory_options(place.directory)
    keys = Path(options["ckanext.authz_service.keys_dir"])
    if not keys.is_dir() or not any(keys.iterdir()):
        with step("Signing key"):
            _ckan(place, "authz", "keygen")
    if not Path(options["ckanext.external_storage.capability_secret_file"]).exists():
        with step("Secret of the file store"):
            _ckan(place, "external-storage", "keygen")


def _ckan(place: Place, *arguments: str) -> None:
    run(
        [VENV / "bin/ckan", "-c", place.ini, *arguments],
        log="-".join(arguments),
        advice="the traceback above shows what went wrong in the command.",
    )


def _site_answers(address: Address) -> bool:
    try:
        answer = requests.get(f"{address.url}/api/action/status_show", timeout=START_SECONDS)
    except requests.RequestException:
        return False
    return answer.ok


def _worker_waits(place: Place) -> bool:
    """Whether the worker of this very process has put itself down in Redis, for CKAN's queue of this site."""
    pid = processes.pid_of("worker")
    queue = rq.Queue(f"ckan:{place.name}:default", connection=redis.Redis.from_url(place.urls["redis"]))
    return any(worker.pid == pid for worker in rq.Worker.all(queue=queue))
