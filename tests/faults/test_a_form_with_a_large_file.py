"""A file of any size through the form without JavaScript: no memory, no transaction and no lock for it."""

from __future__ import annotations

import hashlib
import http.client
import os
import random
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa

from services import ini
from services.checkout import ROOT, write_private
from tests.conftest import SANDBOX
from tests.portal import editor_and_dataset

MIB = 1 << 20
#: What the form's other fields and gunicorn may take, in bytes.
GROWTH = 32 * MIB
_PATIENCE_SECONDS = 120


@dataclass
class FormSite:
    """``name``: by which PostgreSQL knows its connections."""

    port: int
    process: subprocess.Popen[bytes]
    name: str

    def peak(self) -> int:
        """Most memory that the worker has ever had, in bytes."""
        (worker,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        (line,) = [
            text for text in Path(f"/proc/{worker}/status").read_text().splitlines() if "VmHWM" in text
        ]
        return int(line.split()[1]) << 10


@contextmanager
def running(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FormSite]:
    box = request.config.stash[SANDBOX]
    path = box.ini.with_name("form.ini")
    options = {**box.options, "testing": "false", "ckan.max_resource_size": "0"}
    write_private(path, ini.text({**options, "ckan.views.default_views": ""}, base=ROOT / "test.ini"))
    name = f"form-site-{os.getpid()}"
    environment = {**os.environ, "CKAN_INI": str(path), "TMPDIR": str(tmp_path), "PGAPPNAME": name}
    listener = socket.create_server(("127.0.0.1", 0))
    gunicorn = [str(Path(sys.executable).with_name("gunicorn")), "tests.faults.form_site:app"]
    gunicorn += ["--worker-class", "gthread", "--threads", "4", "--timeout", "600", "--no-control-socket"]
    log = (tmp_path / "gunicorn.log").open("wb")
    process = subprocess.Popen(
        [*gunicorn, "--bind", f"fd://{listener.fileno()}"],
        cwd=ROOT,
        env=environment,
        pass_fds=[listener.fileno()],
        stdout=log,
        stderr=log,
    )
    site = FormSite(listener.getsockname()[1], process, name)
    try:
        # The socket listens already: the first request waits until the site is there.
        with urllib.request.urlopen(
            f"http://127.0.0.1:{site.port}/api/3/action/status_show", timeout=_PATIENCE_SECONDS
        ) as answer:
            assert answer.status == 200
        yield site
    finally:
        process.terminate()
        process.wait(timeout=60)
        listener.close()
        log.close()


class Form:
    """A form with a file of *size* bytes, sent in two halves."""

    def __init__(self, site: FormSite, dataset: str, token: str, size: int, block: bytes):
        assert size % (2 * len(block)) == 0
        fields = {"save": "go-dataset-complete", "id": "", "url_type": "upload", "url": "", "name": "Large"}
        head = "".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        head += '--b\r\nContent-Disposition: form-data; name="upload"; filename="large.bin"\r\n\r\n'
        self._head, self._tail = head.encode(), b"\r\n--b--\r\n"
        self._block, self._blocks = block, size // len(block)
        self.sha256 = hashlib.sha256()
        self._connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=None)
        self._connection.putrequest("POST", f"/dataset/{dataset}/resource/new")
        self._connection.putheader("Authorization", token)
        self._connection.putheader("Content-Type", "multipart/form-data; boundary=b")
        self._connection.putheader("Content-Length", str(len(self._head) + size + len(self._tail)))
        self._connection.endheaders(self._head)

    def send_half(self) -> None:
        for _ in range(self._blocks // 2):
            self._connection.send(self._block)
            self.sha256.update(self._block)

    def answer(self) -> int:
        self._connection.send(self._tail)
        return self._connection.getresponse().status


def open_transactions(engine: sa.Engine, site: FormSite) -> list[str]:
    query = sa.text(
        "SELECT query FROM pg_stat_activity WHERE application_name = :name AND xact_start IS NOT NULL"
    )
    with engine.connect() as connection:
        return list(connection.execute(query, {"name": site.name}).scalars())


def locks_of(engine: sa.Engine, dataset: str) -> bool:
    """Does anybody hold a lock on the dataset's row?"""
    query = sa.text("SELECT id FROM package WHERE id = :id FOR UPDATE SKIP LOCKED")
    with engine.connect() as connection:
        return connection.execute(query, {"id": dataset}).first() is None


@pytest.mark.proof(megabytes=(64, 5120))
def test_a_large_file_through_the_form(
    request: pytest.FixtureRequest, tmp_path: Path, engine: sa.Engine, counts, record_property, chance
):
    block = random.Random(chance.random()).randbytes(MIB)
    unfinished = Path(request.config.stash[SANDBOX].options["ckanext.external_storage.local.path"])
    unfinished /= "unfinished"
    of_others = set(unfinished.glob("*"))
    editor, dataset = editor_and_dataset()

    with running(request, tmp_path) as site:
        small = Form(site, dataset["id"], editor["token"], 2 * MIB, block)
        small.send_half()
        small.send_half()
        assert small.answer() == 302
        before = site.peak()

        form = Form(site, dataset["id"], editor["token"], counts["megabytes"] * MIB, block)
        form.send_half()
        # The server is in the middle of reading the form.
        assert open_transactions(engine, site) == []
        assert not locks_of(engine, dataset["id"])
        form.send_half()
        answers: list[int] = []
        sending = threading.Thread(target=lambda: answers.append(form.answer()))
        sending.start()
        looks = 0
        while sending.is_alive():
            there = set(unfinished.glob("*")) - of_others
            found, locked = open_transactions(engine, site), locks_of(engine, dataset["id"])
            if there & set(unfinished.glob("*")):  # it is being written: it was before and still is
                assert (found, locked) == ([], False)
                looks += 1
            time.sleep(0.01)
        assert answers == [302]
        growth = site.peak() - before
        record_property("looks while the file was being stored", looks)
        record_property("growth of the worker's memory, bytes", growth)
        assert growth < GROWTH

    query = sa.text("SELECT extras FROM resource WHERE package_id = :id ORDER BY position")
    with engine.connect() as connection:
        saved = [str(extras) for extras in connection.execute(query, {"id": dataset["id"]}).scalars()]
    assert form.sha256.hexdigest() in saved[-1]
