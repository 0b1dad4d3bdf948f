"""Processes to be killed: each has a loaded CKAN from its first moment on, and the test's own database.

Loading CKAN takes seconds, so one process (the nursery) does it once and forks a victim whenever one is
wanted. The test process itself could not: it may have threads, whose locks a fork would keep for ever.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import sqlalchemy as sa

#: Beginning of the name by which PostgreSQL knows a victim's connections.
APPLICATION_NAME = "victim-"
#: PostgreSQL notices within a moment that a client is gone; this long means that something else is wrong.
_PATIENCE_SECONDS = 60


class VictimFailed(Exception):
    """The work raised an exception; the text is its traceback."""


@dataclass(frozen=True)
class Ended:
    """How a victim ended: ``killed``, or with the ``result`` of its work."""

    killed: bool
    result: Any = None


@dataclass(frozen=True)
class Victim:
    """A process that does its work. Until `end` its number is its own, so that `kill` meets nobody else."""

    pid: int
    _nursery: Nursery

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)

    def end(self) -> Ended:
        """Wait for its end, and for that of its database connections: a COMMIT that was sent goes on alone.

        Raises VictimFailed.
        """
        status, answer = self._nursery.ask("end", self.pid)
        self._wait_for_the_database()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return Ended(killed=True)
        if not answer:
            raise VictimFailed(f"the victim ended with the status {status} and said nothing")
        result, failure = pickle.loads(answer)
        if failure:
            raise VictimFailed(failure)
        return Ended(killed=False, result=result)

    def _wait_for_the_database(self) -> None:
        query = sa.text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            with self._nursery.engine.connect() as connection:
                if not connection.execute(query, {"name": _application_name(self.pid)}).scalar_one():
                    return
            if time.monotonic() > deadline:
                raise VictimFailed(f"PostgreSQL still serves the victim after {_PATIENCE_SECONDS} s")
            time.sleep(0.005)


class Nursery:
    """Where victims come from; *engine* is the test's own on the same database."""

    def __init__(self, ini: Path, engine: sa.Engine):
        self.engine = engine
        self._connection, theirs = multiprocessing.Pipe()
        self._process = multiprocessing.get_context("spawn").Process(target=_serve, args=(ini, theirs))
        self._process.start()
        theirs.close()

    def start(self, work: Callable[..., Any], *arguments: Any) -> Victim:
        """Do *work*, a function that can be imported by its name, in a new process."""
        return Victim(self.ask("start", work, arguments), self)

    def seconds(self, work: Callable[..., Any], *arguments: Any) -> float:
        """How long a victim lives that nobody kills."""
        started = time.perf_counter()
        self.start(work, *arguments).end()
        return time.perf_counter() - started

    def ask(self, *request: Any) -> Any:
        self._connection.send(request)
        return self._connection.recv()

    def close(self) -> None:
        self._connection.close()
        self._process.join()


def _application_name(pid: int) -> str:
    return f"{APPLICATION_NAME}{pid}"


def _serve(ini: Path, connection: Connection) -> None:
    app = _load(ini)
    outlets: dict[int, int] = {}
    while True:
        try:
            command, *arguments = connection.recv()
        except EOFError:
            return
        if command == "start":
            inlet, outlet = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(inlet)
                _live(app, outlet, *arguments)
            os.close(outlet)
            outlets[pid] = inlet
            connection.send(pid)
        else:
            (pid,) = arguments
            with open(outlets.pop(pid), "rb") as answer:
                said = answer.read()  # until the victim is gone
            connection.send((os.waitpid(pid, 0)[1], said))


def _load(ini: Path) -> Any:
    from ckan import model
    from ckan.cli import load_config
    from ckan.config.middleware import make_app

    made: Any = make_app(load_config(str(ini)))
    model.Session.remove()
    model.meta.engine.dispose()  # pyright: ignore[reportOptionalMemberAccess] # no connection may be inherited
    return made._wsgi_app


def _live(app: Any, outlet: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """A victim's whole life; does not return."""
    result, failure = None, ""
    try:
        os.environ["PGAPPNAME"] = _application_name(os.getpid())  # libpq reads it
        with app.test_request_context():
            result = work(*arguments)
    except BaseException:
        failure = traceback.format_exc()
    try:
        with open(outlet, "wb") as answer:
            pickle.dump((result, failure), answer)
    finally:
        # Not sys.exit: what the nursery would do at its end is not the victim's to do.
        os._exit(0)
