"""The one supervisor of this checkout: it runs the services, the demo site and the demo's job worker.

A program is declared as a file in ``.run/programs/``, which the supervisor reads; nothing here knows which
there are.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import shlex
import shutil
import signal
import subprocess
import time
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from services.checkout import LOG, RUN, VENV, write_private
from services.progress import Failure

CONFIG = RUN / "supervisord.conf"
PID_FILE = RUN / "supervisord.pid"
PROGRAMS = RUN / "programs"
#: In the environment of the supervisor and of all it starts: how processes out of control are found again.
MARK = "CKANEXT_PUBLISH_RUN"
#: sun_path of a Unix socket holds 108 bytes, the last of them 0; the supervisor first binds `<path>.<pid>`.
SOCKET_PATH_LIMIT = 107 - len(".4194304")
STOP_SECONDS = 40


@dataclass(frozen=True)
class Program:
    name: str
    command: list[str]
    directory: Path
    user: str | None = None
    stop_signal: str = "TERM"
    stop_seconds: int = 20
    #: One that ends sooner than this has not started, and is not started again: its log says why.
    start_seconds: int = 2
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return LOG / f"{self.name}.log"

    def as_config(self) -> str:
        options = {
            "command": shlex.join(self.command),
            "directory": str(self.directory),
            "environment": _environment(self.environment),
            # Also a program of an earlier start, which this one may not need, is declared.
            "autostart": "false",
            "startsecs": str(self.start_seconds),
            "startretries": "0",
            "stopsignal": self.stop_signal,
            "stopwaitsecs": str(self.stop_seconds),
            # gunicorn's and the job worker's children must not survive a kill.
            "killasgroup": "true",
            "redirect_stderr": "true",
            "stdout_logfile": str(self.log),
            "stdout_logfile_maxbytes": "10MB",
            "stdout_logfile_backups": "1",
        }
        if self.user:
            options["user"] = self.user
        return _section(f"program:{self.name}", options)


def declare(program: Program) -> None:
    """Tell what ``program`` is; ``apply`` makes it so."""
    PROGRAMS.mkdir(exist_ok=True)
    write_private(PROGRAMS / f"{program.name}.conf", program.as_config())


def is_supervised() -> bool:
    """Whether the supervisor runs."""
    return _connect() is not None


def is_running(name: str) -> bool:
    supervisor = _connect()
    if supervisor is None:
        return False
    return any(p["name"] == name and p["statename"] in ("STARTING", "RUNNING") for p in _info(supervisor))


def pid_of(name: str) -> int | None:
    """The process that the supervisor started for a program; None when it does not run."""
    supervisor = _connect()
    pids = {p["name"]: p["pid"] for p in _info(supervisor)} if supervisor else {}
    return pids.get(name) or None


def apply() -> None:
    """Bring the supervisor up and make it read what was declared; programs that changed are stopped."""
    supervisor = _connect()
    if supervisor is None:
        _start_supervisor()
        return
    added, changed, removed = supervisor.reloadConfig()[0]
    for name in [*changed, *removed]:
        supervisor.stopProcessGroup(name)
        supervisor.removeProcessGroup(name)
    for name in [*added, *changed]:
        supervisor.addProcessGroup(name)


def start(name: str) -> None:
    """Start a declared program unless it runs. Whether it is of use shows when it answers: see wait_until."""
    supervisor = _require()
    if not is_running(name):
        try:
            supervisor.startProcess(name, False)
        except xmlrpc.client.Fault as fault:
            raise Failure(
                f"{name} could not be started ({fault.faultString}).",
                f"read .run/log/{name}.log, then run `make stop` and try again.",
                LOG / f"{name}.log",
            ) from None


def stop(name: str) -> None:
    """Stop a program, or nothing if it does not run, and wait for its end."""
    if is_running(name):
        _require().stopProcess(name)


def wait_until(name: str, answers: Callable[[], bool], seconds: float) -> None:
    """Wait until ``answers`` says that it serves; Failure when it has ended, or after ``seconds``."""
    log = LOG / f"{name}.log"
    deadline = time.monotonic() + seconds
    while not answers():
        states = {p["name"]: p["statename"] for p in _info(_require())}
        if states.get(name) in ("FATAL", "EXITED", "STOPPED"):
            raise Failure(
                f"{name} ended right after its start.",
                "the reason is in the log above; put it right and run the command again.",
                log,
            )
        if time.monotonic() > deadline:
            raise Failure(
                f"{name} runs but has not answered for {seconds:.0f} seconds.",
                "if the machine is only slow, run the command again; otherwise `make stop` first.",
                log,
            )
        time.sleep(0.1)


def shut_down() -> bool:
    """Stop everything of this checkout and wait for it; False when nothing was running."""
    supervisor = _connect()
    found = supervisor is not None
    if supervisor is not None:
        pid = supervisor.getPID()
        supervisor.shutdown()
        _wait_for_end([pid], seconds=STOP_SECONDS)
    found = end_orphans() or found
    for leftover in (_socket_path(), PID_FILE):
        leftover.unlink(missing_ok=True)
    return found


def end_orphans() -> bool:
    """End what outlived its supervisor, which was killed perhaps; True when there was something."""
    # The supervisor is older than what it started: first, so that it does not start the others again.
    orphans = sorted(_marked_processes())
    for pid in orphans:
        # SIGINT is PostgreSQL's "fast" shutdown; its SIGTERM would wait for every client to leave.
        _signal(pid, signal.SIGINT if _program(pid) == "postgres" else signal.SIGTERM)
    for pid in _wait_for_end(orphans, seconds=STOP_SECONDS):
        _signal(pid, signal.SIGKILL)
    _wait_for_end(orphans, seconds=5)
    return bool(orphans)


def _start_supervisor() -> None:
    path = _socket_path()
    for leftover in (path, PID_FILE):
        leftover.unlink(missing_ok=True)
    write_private(CONFIG, _supervisor_config(path))
    log = LOG / "supervisord-start.log"
    with log.open("w") as output:
        started = subprocess.run(
            [str(VENV / "bin/supervisord"), "--configuration", str(CONFIG)],
            cwd=RUN,
            env={**os.environ, MARK: str(RUN)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    deadline = time.monotonic() + 15
    while started.returncode == 0 and time.monotonic() < deadline:
        if _connect() is not None:
            return
        time.sleep(0.05)
    raise Failure(
        "The process supervisor did not start.", "read the log above and .run/log/supervisord.log.", log
    )


def _supervisor_config(socket_path: Path) -> str:
    supervisord = {
        "logfile": str(LOG / "supervisord.log"),
        "logfile_maxbytes": "5MB",
        "logfile_backups": "1",
        "pidfile": str(PID_FILE),
        "childlogdir": str(LOG),
        "directory": str(RUN),
        "umask": "022",
    }
    if os.geteuid() == 0:
        # Said on purpose, or the supervisor warns about it: PostgreSQL's account is set on its own program.
        supervisord["user"] = "root"
    factory = "supervisor.rpcinterface:make_main_rpcinterface"
    return "\n".join(
        [
            _section("unix_http_server", {"file": str(socket_path), "chmod": "0600"}),
            _section("supervisord", supervisord),
            _section("rpcinterface:supervisor", {"supervisor.rpcinterface_factory": factory}),
            # Relative to this file, because the supervisor splits the value at blanks.
            _section("include", {"files": f"{PROGRAMS.name}/*.conf"}),
        ]
    )


def _section(name: str, options: Mapping[str, str]) -> str:
    # The supervisor expands %(name)s in every value.
    lines = [f"{key}={value.replace('%', '%%')}" for key, value in options.items()]
    return "\n".join([f"[{name}]", *lines, ""])


def _environment(values: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in values.items())


def _socket_path() -> Path:
    """``.run/supervisord.sock``, or a short path elsewhere when the checkout lies too deep."""
    path = RUN / "supervisord.sock"
    if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
        return path
    digest = hashlib.sha256(os.fsencode(RUN)).hexdigest()[:12]
    # Not TMPDIR: the next command may have another one and must find the socket all the same.
    directory = Path("/tmp") / f"ckanext-publish-{os.geteuid()}-{digest}"  # noqa: S108
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
        raise Failure(
            f"{directory} belongs to somebody else, so a socket in it would not be safe.",
            "remove that directory, or move the checkout to a shorter path.",
        )
    directory.chmod(0o700)
    return directory / "s"


def _connect() -> Any:
    """The supervisor's own interface (its ``supervisor`` namespace), or None when none answers."""
    transport = SupervisorTransport(None, None, serverurl=f"unix://{_socket_path()}")
    supervisor = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
    try:
        supervisor.getState()
    except (OSError, http.client.HTTPException):
        return None
    return supervisor


def _require() -> Any:
    supervisor = _connect()
    if supervisor is None:
        raise Failure(
            "The process supervisor has ended.",
            "run the command again; .run/log/supervisord.log tells why it ended.",
            LOG / "supervisord.log",
        )
    return supervisor


def _info(supervisor: Any) -> list[dict[str, Any]]:
    return supervisor.getAllProcessInfo()


def _marked_processes() -> Iterable[int]:
    mark = f"{MARK}={RUN}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue  # it has ended meanwhile, or belongs to somebody else


def _program(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _alive(pid: int) -> bool:
    try:
        # A zombie has ended; that nobody has collected it yet is its parent's affair.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def _wait_for_end(pids: Iterable[int], seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    remaining = list(pids)
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = [pid for pid in remaining if _alive(pid)]
    return remaining


def remove_socket_directory() -> None:
    if _socket_path().parent != RUN:
        shutil.rmtree(_socket_path().parent, ignore_errors=True)
