"""Sites for uploads from a browser that can be killed, cut off and started again, with and without a worker.

Site and worker are processes that come from a nursery with a loaded CKAN (tests/faults/victims.py), so that
a start takes a moment. Between a browser and the site, and between a browser and an S3 server, stands a gate.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ckan.tests import factories

from ckanext.external_storage import jobs
from demo.client import Client
from services import ini
from services.checkout import ROOT, write_private
from services.sandbox import Sandbox
from tests.e2e.people import LiveSite
from tests.faults import gate
from tests.faults.gate import Gate
from tests.faults.victims import Nursery, Victim
from tests.s3 import OPTION, make_bucket, remove_bucket

_PATIENCE_SECONDS = 60
#: prctl(2)
_PR_SET_PDEATHSIG = 1


@dataclass
class UploadSite(LiveSite):
    """``gate``: before the site; ``store_gate``: before its S3 server. ``log``: what its processes say."""

    nursery: Nursery
    ini: Path
    gate: Gate
    store_gate: Gate | None
    log: Path
    listener: socket.socket
    signed_for: timedelta | None = None
    #: The S3 server's owner, and the bucket.
    s3: Any = None
    bucket: str | None = None
    _site: Victim | None = field(default=None, init=False)
    _worker: Victim | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """Of the process that serves all requests."""
        assert self._site
        return self._site.pid

    @property
    def worker_pid(self) -> int:
        assert self._worker
        return self._worker.pid

    def start(self) -> None:
        self._site = self.nursery.start(serve, self.ini, self.listener, self.log, self.signed_for)

    def kill(self) -> None:
        """-9; from then on connections are refused."""
        self.gate.close()
        _end(self._site, signal.SIGKILL)
        self._site = None

    def start_again(self) -> None:
        self.start()
        self.gate.open()

    def start_worker(self) -> None:
        """Ready when this returns."""
        self._worker = self.nursery.start(work, self.ini, self.log)
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not jobs.worker_alive():
            assert time.monotonic() < deadline, "the worker does not come up"
            time.sleep(0.02)

    def stop_worker(self) -> None:
        """As an administrator does, so that Redis knows of it."""
        _end(self._worker, signal.SIGTERM)
        self._worker = None

    @contextmanager
    def worker(self) -> Iterator[None]:
        self.start_worker()
        try:
            yield
        finally:
            self.stop_worker()

    @property
    def way(self) -> Gate:
        """That which the bytes of files go."""
        return self.store_gate or self.gate

    def allow_origin(self, *origins: str) -> None:
        """The bucket's CORS rule, as the documentation has it; without origins there is none."""
        self.s3.delete_bucket_cors(Bucket=self.bucket)
        if origins:
            rule = {
                "AllowedOrigins": list(origins),
                "AllowedMethods": ["PUT", "GET"],
                "AllowedHeaders": ["content-type", "if-none-match", "x-amz-checksum-sha256"],
                "ExposeHeaders": ["ETag"],
                "MaxAgeSeconds": 3600,
            }
            self.s3.put_bucket_cors(Bucket=self.bucket, CORSConfiguration={"CORSRules": [rule]})

    def close(self) -> None:
        _end(self._worker, signal.SIGTERM)
        _end(self._site, signal.SIGKILL)
        self.listener.close()


@contextmanager
def on_disk(box: Sandbox, nursery: Nursery, **options: str) -> Iterator[UploadSite]:
    """A site that keeps its files on the local disk."""
    with _standing(box, nursery, options) as site:
        yield site


@contextmanager
def on_s3(
    box: Sandbox,
    nursery: Nursery,
    s3: Any,
    s3_options: dict[str, str],
    signed_for: timedelta | None = None,
    **options: str,
) -> Iterator[UploadSite]:
    """A site whose files are in a bucket of its own, which browsers may use from its pages.

    *s3_options*: of the sites of these tests (tests/s3.py). *signed_for*: how long what it signs is good.
    """
    real = urlsplit(s3_options[OPTION + "s3.endpoint_url"])
    assert real.hostname
    assert real.port
    bucket = make_bucket(s3)
    try:
        with gate.before(real.hostname, real.port) as store_gate:
            options = {
                **s3_options,
                OPTION + "s3.bucket": bucket,
                OPTION + "s3.public_endpoint_url": store_gate.address,
                **options,
            }
            with _standing(box, nursery, options, store_gate, signed_for) as site:
                site.s3, site.bucket = s3, bucket
                site.allow_origin(site.url)
                yield site
    finally:
        remove_bucket(s3, bucket)


@contextmanager
def _standing(
    box: Sandbox,
    nursery: Nursery,
    options: dict[str, str],
    store_gate: Gate | None = None,
    signed_for: timedelta | None = None,
) -> Iterator[UploadSite]:
    with ExitStack() as stack:
        listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        way = stack.enter_context(gate.before("127.0.0.1", listener.getsockname()[1]))
        kind = "disk" if store_gate is None else "s3"
        path = box.ini.with_name(f"uploads-{kind}-{urlsplit(way.address).port}.ini")
        everything = {
            **box.options,
            "ckan.site_url": way.address,
            # On 2.11 it lets the environment of a request say who is logged in.
            "testing": "false",
            "ckan.views.default_views": "",
            **options,
        }
        write_private(path, ini.text(everything, base=ROOT / "test.ini"))
        sysadmin: Any = factories.SysadminWithToken()
        site = UploadSite(
            way.address, Client(way.address, f"{way.address}/lfs", sysadmin["token"]),
            nursery, path, way, store_gate, path.with_suffix(".log"), listener, signed_for,
        )  # fmt: skip
        stack.callback(site.close)
        site.start()
        yield site


def _end(victim: Victim | None, by: signal.Signals) -> None:
    if victim:
        os.kill(victim.pid, by)
        victim.end()


# --- what the processes do -------------------------------------------------------------------------------


def serve(path: Path, listener: socket.socket, log: Path, signed_for: timedelta | None) -> None:
    from werkzeug.serving import make_server

    from ckanext.external_storage.lfs import upload_routes

    _begin(log)
    if signed_for:
        upload_routes.SIGNED_FOR = signed_for
    host, port = listener.getsockname()
    make_server(host, port, _application(path), threaded=True, fd=listener.fileno()).serve_forever()


def work(path: Path, log: Path) -> None:
    from ckan.lib.jobs import Worker

    _begin(log)
    _application(path)
    Worker().work()


def _application(path: Path) -> Any:
    from ckan.cli import load_config
    from ckan.config.middleware import make_app
    from ckan.lib import app_globals

    app_globals._CONFIG_CACHE.clear()  # it would bring back options of the nursery's site
    search_path = list(sys.path)
    made = make_app(load_config(str(path)))
    sys.path[:] = search_path  # CKAN has put its own directory first, whose `tests` would hide ours
    return made


def _begin(log: Path) -> None:
    """A process that ends with the nursery, however that ends, and speaks to *log*."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
