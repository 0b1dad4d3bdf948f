"""A way to a server that can be closed, or left open with nobody behind it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal


class Gate:
    """Passes on what comes to `address` while it is ``open``.

    ``stalled``: connections are taken and nothing is answered, as by a store that hangs. ``closed``: they are
    refused. What is under way when it is no longer open is cut. ``asked``: connections so far.
    """

    def __init__(self, host: str, port: int):
        self._behind = host, port
        self._place = ("127.0.0.1", 0)
        self._way: Literal["open", "stalled"] = "open"
        self._listener: socket.socket | None = None
        self._connections: list[socket.socket] = []
        self.asked = 0
        self.open()
        self.address = f"http://127.0.0.1:{self._place[1]}"

    def open(self) -> None:
        self._begin("open")

    def stall(self) -> None:
        self._begin("stalled")

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
                server = socket.create_connection(self._behind)
                self._connections.append(server)
                for source, target in ((client, server), (server, client)):
                    threading.Thread(target=_pass_on, args=(source, target), daemon=True).start()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def before(host: str, port: int) -> Iterator[Gate]:
    gate = Gate(host, port)
    try:
        yield gate
    finally:
        gate.close()
