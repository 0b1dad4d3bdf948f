"""A PostgreSQL server of a test's own, to be stopped without a warning."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from services import postgres

DATABASE = "ckan"


@dataclass
class Server:
    """It listens on a socket in its own directory only."""

    directory: Path
    _user: str | None = field(default_factory=postgres.user)
    _process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def with_tables_of(cls, url: str, filled: Sequence[str] = ()) -> Iterator[Server]:
        """Its database has the tables of the one at *url*, empty but for those that are *filled*, too."""
        # Not in pytest's directory, which is closed to PostgreSQL's account.
        server = cls(Path(tempfile.mkdtemp(prefix="ckanext-publish-", dir="/var/tmp")))
        if server._user:
            shutil.chown(server.directory, server._user, server._user)
        try:
            options = ["--username=ckan", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
            server._run("initdb", "--pgdata", server._cluster, *options)
            server.start()
            server._run("createdb", "--host", server.directory, "--username=ckan", DATABASE)
            tables = server._run("pg_dump", "--schema-only", "--no-owner", "--no-privileges", url)
            server._run("psql", "--quiet", "--set=ON_ERROR_STOP=1", server.url, stdin=tables)
            for table in filled:
                rows = server._run("pg_dump", "--data-only", "--disable-triggers", f"--table={table}", url)
                server._run("psql", "--quiet", "--set=ON_ERROR_STOP=1", server.url, stdin=rows)
            yield server
        finally:
            server.stop()
            shutil.rmtree(server.directory)

    @property
    def url(self) -> str:
        return self._url(DATABASE)

    def _url(self, database: str) -> str:
        return f"postgresql://ckan@/{database}?host={self.directory}"

    @property
    def _cluster(self) -> Path:
        return self.directory / "cluster"

    def start(self) -> None:
        options = {"listen_addresses": "", "unix_socket_directories": str(self.directory)}
        command = [str(postgres.binaries() / "postgres"), "-D", str(self._cluster)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, cwd="/", user=self._user, group=self._user
            )
        engine = sa.create_engine(self._url("postgres"), poolclass=sa.pool.NullPool)
        for _ in range(600):
            try:
                engine.connect().close()
                return
            except OperationalError:
                assert self._process.poll() is None, (self.directory / "log").read_text()
                time.sleep(0.05)
        raise AssertionError("PostgreSQL does not answer; " + (self.directory / "log").read_text())

    def restart_at_once(self) -> None:
        """As after a crash: no connection is waited for, and what was not committed is gone."""
        self.stop(signal.SIGQUIT)
        self.start()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def _run(self, program: str, *arguments: str | Path, stdin: str | None = None) -> str:
        done = subprocess.run(
            [postgres.binaries() / program, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd="/",
            user=self._user,
            group=self._user,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout
