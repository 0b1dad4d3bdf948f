"""A TCP proxy that cuts connections: what a bad network does to an upload."""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """Passes connections on to *port* of this machine. ``cut_after(n)``: the next connection ends for both
    sides when *n* more bytes have come from clients."""

    def __init__(self, port: int):
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.cuts = 0
        self._left: int | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, count: int) -> None:
        with self._lock:
            self._left = count

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            for pair in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counted: bool) -> None:
        try:
            while data := source.recv(1 << 16):
                if counted and (short := self._allowed(len(data))) < len(data):
                    target.sendall(data[:short])
                    break
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _allowed(self, count: int) -> int:
        with self._lock:
            if self._left is None:
                return count
            self._left -= count
            if self._left >= 0:
                return count
            allowed, self._left = count + self._left, None
            self.cuts += 1
            return allowed
