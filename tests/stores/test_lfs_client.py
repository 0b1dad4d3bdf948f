"""The client of an external LFS server, and servers that do not behave."""

from __future__ import annotations

import io
import json
import logging
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.client import Breaker, LfsServer
from ckanext.external_storage.storage.lfs_server import LfsServerStore
from tests.portal import oid_of

DATA = b"year,value\n2026,1\n" * 300_000
KEY = f"server/a-dataset/{oid_of(DATA)}.{len(DATA)}.00000000-0000-0000-0000-000000000000"


class Server:
    """Answers as it is told: ``answers`` has, by method, functions of the request; ``requests`` what came."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.received = b""
        self.answers: dict[str, Callable[[Any], None]] = {
            "POST": self.batch,
            "PUT": self.put,
            "GET": self.get,
        }
        self.header = {"X-Secret": "of-the-action"}
        self.action: dict[str, Any] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                outer.requests.append((self.command, self.path, dict(self.headers)))
                outer.answers[self.command](self)

            do_GET = do_PUT = do_POST = answer

            def say(self, status: int, body: bytes = b"", **headers: str) -> None:
                self.send_response(status)
                for name, value in {"Content_Length": str(len(body)), **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None: ...

        class Quiet(ThreadingHTTPServer):
            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client went away."""

        self._http = Quiet(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def batch(self, request: Any) -> None:
        asked = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        name = asked["operation"]
        action = {"href": f"{self.url}/object?jwt=secret-in-href", "header": self.header, **self.action}
        found = {**asked["objects"][0], "actions": {name: action}}
        request.say(200, json.dumps({"objects": [found]}).encode())

    def put(self, request: Any) -> None:
        self.received = request.rfile.read(int(request.headers["Content-Length"]))
        request.say(200)

    def get(self, request: Any) -> None:
        request.say(200, DATA)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.stop()


def store_at(url: str, **options: Any) -> LfsServerStore:
    server = LfsServer(url, **{"timeout": 5, "sleep": lambda seconds: None, **options})
    return LfsServerStore(server, "ckan", lambda package, oid, action: "secret-token")


def refusing_url() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


def put(store: LfsServerStore, data: bytes = DATA) -> str:
    return store.put(KEY, io.BytesIO(data), len(DATA), oid_of(DATA))


def test_all_bytes_arrive_with_the_action_s_header_and_nothing_else_of_ours(server: Server):
    put(store_at(server.url))
    assert server.received == DATA
    (_, path, batch), (_, _, sent) = server.requests
    assert path == "/ckan/a-dataset.git/info/lfs/objects/batch"
    assert batch["Authorization"] == "Bearer secret-token"
    assert sent["X-Secret"] == "of-the-action"
    assert sent["Content-Length"] == str(len(DATA))
    assert "Authorization" not in sent


def test_what_is_wrong_with_a_file_is_known_before_all_of_it_is_sent(server: Server):
    with pytest.raises(errors.ChecksumMismatch):
        put(store_at(server.url), b"x" + DATA[1:])
    with pytest.raises(errors.WrongSize):
        put(store_at(server.url), DATA[:-1])
    assert server.received != DATA


def test_a_file_is_read_where_it_is_sought(server: Server):
    def ranges(request: Any) -> None:
        start = int(request.headers.get("Range", "bytes=0-")[6:-1])
        end = f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"
        request.say(206 if start else 200, DATA[start:], Content_Range=end)

    for get in (server.get, ranges):
        server.answers["GET"] = get
        with store_at(server.url).open(KEY) as file:
            assert file.read(10) == DATA[:10]
            file.seek(-25, io.SEEK_END)
            assert file.read() == DATA[-25:]


def test_a_file_that_ends_early_is_no_file(server: Server):
    def short(request: Any) -> None:
        request.say(200, DATA[:-7], Content_Length=str(len(DATA)))
        request.close_connection = True

    server.answers["GET"] = short
    with store_at(server.url).open(KEY) as file, pytest.raises(errors.StoreUnavailable):
        file.read()


def test_a_redirect_is_not_followed_with_credentials(server: Server):
    other = Server()
    try:
        server.answers["GET"] = lambda request: request.say(302, Location=f"{other.url}/elsewhere")
        assert store_at(server.url).open(KEY).read() == DATA
        assert "X-Secret" not in other.requests[0][2]

        server.answers["POST"] = server.answers["PUT"] = server.answers["GET"]
        with pytest.raises(errors.ServerAnswer, match="redirects the batch"):
            put(store_at(server.url))
        server.answers["POST"] = server.batch
        with pytest.raises(errors.ServerAnswer, match="redirects the upload"):
            put(store_at(server.url))
        assert len(other.requests) == 1
    finally:
        other.stop()


@pytest.mark.parametrize(
    "href", ["file:///etc/passwd", "ftp://127.0.0.1/x", "//127.0.0.1/x", "/x", 7, "http:"]
)
def test_an_action_is_an_http_address(server: Server, href: Any):
    server.action = {"href": href}
    with pytest.raises(errors.ServerAnswer, match="address"):
        put(store_at(server.url))


@pytest.mark.parametrize(
    "body",
    [b"", b"no JSON", b"[]", b"{}", b'{"objects": []}', b'{"objects": [{"oid": "other"}]}', b" " * (2 << 20)],
    ids=["empty", "text", "list", "nothing", "no object", "another object", "too much"],
)
def test_an_answer_that_is_none(server: Server, body: bytes):
    def answer(request: Any) -> None:
        request.rfile.read(int(request.headers["Content-Length"]))
        request.say(200, body)

    server.answers["POST"] = answer
    with pytest.raises(errors.ServerAnswer):
        put(store_at(server.url))


def test_a_refused_token_names_the_command(server: Server):
    server.answers["POST"] = lambda request: request.say(401)
    with pytest.raises(errors.ServerRefused, match="giftless-key") as raised:
        put(store_at(server.url))
    assert raised.value.answered == 401


def test_a_server_in_trouble_is_asked_again(server: Server):
    naps: list[float] = []
    answers = [lambda request: request.say(503, Connection="close"), server.batch]
    server.answers["POST"] = lambda request: answers.pop(0)(request)
    put(store_at(server.url, sleep=naps.append))
    assert server.received == DATA
    assert len(naps) == 1


def test_a_server_that_says_nothing_is_not_waited_for(server: Server):
    wait = threading.Event()
    server.answers["POST"] = lambda request: wait.wait()
    try:
        with pytest.raises(errors.StoreUnavailable):
            put(store_at(server.url, timeout=0.2))
    finally:
        wait.set()
    assert len(server.requests) < 4


def test_a_server_that_is_away_is_left_alone_for_a_while(server: Server):
    time = [100.0]
    breaker = Breaker(failures=3, pause=15, clock=lambda: time[0])
    away = store_at(refusing_url(), breaker=breaker)
    with pytest.raises(errors.StoreUnavailable):
        away.open(KEY)
    store = store_at(server.url, breaker=breaker)  # it is back, but nobody knows yet
    with pytest.raises(errors.StoreUnavailable) as raised:
        store.open(KEY)
    assert "not asked" in str(raised.value.__cause__)
    assert server.requests == []
    time[0] += 16
    assert store.open(KEY).read(1) == DATA[:1]
    assert store.open(KEY).read(1) == DATA[:1]


def test_only_one_caller_finds_out_whether_it_is_back():
    time = [100.0]
    breaker = Breaker(failures=1, pause=15, clock=lambda: time[0])
    breaker.failed()
    time[0] += 16
    breaker.check()
    with pytest.raises(errors.StoreUnavailable):
        breaker.check()


def test_no_secret_is_in_an_error_or_a_log(server: Server, caplog: pytest.LogCaptureFixture):
    def cut(request: Any) -> None:
        request.wfile.write(b"HTTP/1.1 ")
        request.close_connection = True

    caplog.set_level(logging.INFO)
    for method in ("GET", "PUT", "POST"):
        server.answers[method] = cut
        with pytest.raises(errors.StorageError) as raised:
            put(store_at(server.url)) if method == "PUT" else store_at(server.url).open(KEY)
        told = "".join(traceback.format_exception(raised.value)) + caplog.text
        assert not any(text in told for text in ("secret-in-href", "secret-token", "of-the-action"))


@pytest.mark.parametrize("key", ["objects/aa/bb/x", "server/../x", f"server/a/b/{64 * 'a'}.1.x", ""])
def test_other_keys_are_not_asked_for(key: str):
    with pytest.raises(errors.StoreUnavailable):
        store_at("http://127.0.0.1:1").stat(key)
