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

from services import databases, ini, processes
from services.checkout import ROOT, RUN, VENV, write_private
from services.processes import Program
from services.progress import Failure, run, step
from services.settings import Settings, is_free

INI = RUN / "ckan.ini"
DIRECTORY = RUN / "demo"
DATABASE = "demo"
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


def bring_up(settings: Settings, address: Address) -> None:
    """The site answers and the worker waits for jobs. Both are restarted if code or configuration changed."""
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    write_private(INI, ini.text(_options(settings, address)))
    for program in _programs(address):
        processes.declare(program)
    processes.apply()
    if not processes.is_running("site") and not is_free(address.port, address.host):
        raise Failure(
            f"Port {address.port} on {address.host} is taken by another program, and the site needs it.",
            f"end that program, or choose another port: make demo DEMO_PORT={address.port + 1}",
        )
    _upgrade_database(settings)
    _write_keys()
    with step("Site and job worker"):
        processes.start("site")
        processes.start("worker")
        processes.wait_until("site", lambda: _site_answers(address), START_SECONDS)
        processes.wait_until("worker", lambda: _worker_waits(settings), START_SECONDS)


def _options(settings: Settings, address: Address) -> dict[str, str]:
    return {
        **ini.service_options(settings, database=DATABASE, redis_number=0),
        **ini.directory_options(DIRECTORY),
        "SECRET_KEY": _secret_key(),
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


def _secret_key() -> str:
    """Kept, because all sessions and API tokens are signed with it."""
    path = DIRECTORY / "secret-key"
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()


def _programs(address: Address) -> Iterable[Program]:
    environment = {
        "CKAN_INI": str(INI),
        # Nobody reads it: with it, a change of code is a change of the program, and those are restarted.
        "CKANEXT_PUBLISH_CODE": _code_version(),
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
    worker = [str(VENV / "bin/ckan"), "-c", str(INI), "jobs", "worker"]
    yield Program("worker", worker, ROOT, start_seconds=20, environment=environment)


def _code_version() -> str:
    digest = hashlib.sha256(INI.read_bytes() + (VENV / "installed").read_bytes())
    sources = [ROOT / "demo" / "wsgi.py"]
    for directory in ("ckanext", "templates", "assets"):
        sources += (
            path for path in (ROOT / directory).rglob("*") if path.is_file() and path.suffix != ".pyc"
        )
    for path in sorted(sources):
        digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _upgrade_database(settings: Settings) -> None:
    wanted = databases.schema_version(PLUGINS)
    if databases.recorded_version(settings, DATABASE) == wanted:
        return
    with step("Database tables"):
        if DATABASE not in databases.names(settings):
            databases.create(settings, DATABASE)
        databases.upgrade(INI, log="demo-database")
        databases.record_version(settings, DATABASE, wanted)


def _write_keys() -> None:
    options = ini.directory_options(DIRECTORY)
    keys = Path(options["ckanext.authz_service.keys_dir"])
    if not keys.is_dir() or not any(keys.iterdir()):
        with step("Signing key"):
            _ckan("authz", "keygen")
    if not Path(options["ckanext.external_storage.capability_secret_file"]).exists():
        with step("Secret of the file store"):
            _ckan("external-storage", "keygen")


def _ckan(*arguments: str) -> None:
    run(
        [VENV / "bin/ckan", "-c", INI, *arguments],
        log="-".join(arguments),
        advice="the traceback above shows what went wrong in the command.",
    )


def _site_answers(address: Address) -> bool:
    try:
        answer = requests.get(f"{address.url}/api/action/status_show", timeout=START_SECONDS)
    except requests.RequestException:
        return False
    return answer.ok


def _worker_waits(settings: Settings) -> bool:
    """Whether the worker of this very process has put itself down in Redis."""
    pid = processes.pid_of("worker")
    known = rq.Worker.all(connection=redis.Redis.from_url(settings.redis_url(0)))
    return any(worker.pid == pid for worker in known)
