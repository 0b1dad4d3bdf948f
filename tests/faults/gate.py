"""A way to a server that can be closed, held, left open with nobody behind it, and that can change bytes."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Literal

#: Bytes of all requests of a connection that brings no file.
SMALL = 1 << 18


class Gate:
    """Passes on what comes to `address` while it is ``open``.

    ``stalled``: connections are taken and nothing is answered, as by a store that hangs. ``closed``: they are
    refused. What is under way when it is no longer open is cut. ``asked``: connections so far. ``change``: is
    done to what goes to the server, as it comes, so to pieces of any length.
    """

    def __init__(self, host: str, port: int):
        self._behind = host, port
        self._place = ("127.0.0.1", 0)
        self._way: Literal["open", "stalled"] = "open"
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self._room: int | None = None
        self._moved = threading.Condition()
        self.held = threading.Event()
        self.asked = 0
        self.change: Callable[[bytes], bytes] = lambda data: data
        self.open()
        self.address = f"http://127.0.0.1:{self._place[1]}"

    def open(self) -> None:
        self._begin("open")

    def stall(self) -> None:
        self._begin("stalled")

    def hold_after(self, size: int) -> None:
        """Let *size* more bytes to the server, then hold all connections that have brought more than a page's
        small requests, until `let_go` or `close`. ``held``: something waits."""
        self._make_room(size)

    def let_go(self) -> None:
        self._make_room(None)

    def close(self) -> None:
        if self._listener:
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            self._listener.close()
            self._listener = None
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        self._connections.clear()
        self.let_go()

    def _make_room(self, size: int | None) -> None:
        with self._moved:
            self._room = size
            self.held.clear()
            self._moved.notify_all()

    def _begin(self, way: Literal["open", "stalled"]) -> None:
        self.close()
        self._way = way
        listener = socket.create_server(self._place, backlog=128)
        self._place, self._listener = listener.getsockname(), listener
        threading.Thread(target=self._serve, args=(listener,), daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.asked += 1
            self._connections.append(client)
            if self._way == "open":
                try:
                    server = socket.create_connection(self._behind)
                except OSError:  # its end is the client's
                    client.close()
                    continue
                self._connections.append(server)
                for source, target, prepared, end in (
                    (client, server, self._prepared(), _reset),
                    (server, client, bytes, _shut),
                ):
                    threading.Thread(
                        target=_pass_on, args=(source, target, prepared, end), daemon=True
                    ).start()

    def _prepared(self) -> Callable[[bytes], bytes]:
        """What goes to the server for the bytes of one connection, when there is room for it."""
        brought = 0

        def prepare(data: bytes) -> bytes:
            nonlocal brought
            data = self.change(data)
            brought += len(data)
            with self._moved:
                while brought > SMALL and self._room is not None and self._room < len(data):
                    self.held.set()
                    self._moved.wait()
                if self._room is not None:
                    self._room -= len(data)
            return data

        return prepare


def _pass_on(
    source: socket.socket,
    target: socket.socket,
    prepared: Callable[[bytes], bytes],
    end: Callable[[socket.socket], None],
) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(prepared(data))
    end(target)
    _shut(source)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _reset(connection: socket.socket) -> None:
    """As when a client is cut off: versitygw 1.8 takes a part whose connection just ends early for whole."""
    # Connecting to AF_UNSPEC ends it at once, also where another thread waits for it (connect(2)).
    ctypes.CDLL(None).connect(connection.fileno(), bytes(16), 16)


@contextlib.contextmanager
def before(host: str, port: int) -> Iterator[Gate]:
    gate = Gate(host, port)
    try:
        yield gate
    finally:
        gate.close()
