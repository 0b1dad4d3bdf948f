"""Large files that come at the same time, and the memory that the server has for them."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from bench.large_files import BLOCK, Growth, Made
from tests.conftest import SANDBOX
from tests.external_storage import standalone
from tests.faults.lfs_server import PATIENCE_SECONDS, Server
from tests.portal import Portal, editor_and_dataset, path, standing

MIB = 1 << 20
#: MiB for each upload: the piece of 1 MiB that is read, hashed and written, in a buffer or two on its way.
FOR_EACH = 4


@pytest.fixture
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


def send(server: Server, halfway: threading.Barrier, action: dict[str, Any], file: Made) -> int:
    """The status. All wait for each other when half of each file is at the server."""
    connection = http.client.HTTPConnection("127.0.0.1", urlsplit(server.address).port, timeout=None)
    connection.putrequest("PUT", path(action["href"]))
    for name, value in {**action["header"], "Content-Length": str(file.size)}.items():
        connection.putheader(name, value)
    connection.endheaders()
    for number in range(-(-file.size // BLOCK)):
        if number == file.size // BLOCK // 2:
            halfway.wait(PATIENCE_SECONDS)
        connection.send(file.read())
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.proof(uploads=(0, 50), megabytes=(0, 20))
def test_memory_does_not_grow_with_the_size_of_files_side_by_side(
    request: pytest.FixtureRequest, portal: Portal, tmp_path: Path, counts, record_property
):
    number = counts["uploads"]
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    server = Server(standalone.write_ini(request.config.stash[SANDBOX], tmp_path / "lfs.ini"), threads=number)
    try:
        for megabytes in (counts["megabytes"], 3 * counts["megabytes"]):
            files = [Made(megabytes * MIB) for _ in range(number)]
            answers = portal.batch(dataset, token, "upload", *(file.pointer for file in files))
            actions = [answer["actions"]["upload"] for answer in answers]
            grown, bring = Growth(server.worker()), partial(send, server, threading.Barrier(number))
            with ThreadPoolExecutor(number) as pool:
                assert set(pool.map(bring, actions, files)) == {200}
            peak = grown.peak()
            record_property(f"growth of the worker while {number} files of {megabytes} MiB came, MiB", peak)
            assert peak < number * FOR_EACH
    finally:
        server.close()
