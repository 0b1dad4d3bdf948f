"""A supervisor of its own, with small programs, in a directory that stands for ``.run``."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from services import processes
from services.processes import Program
from services.progress import Failure


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "log").mkdir()
    monkeypatch.setattr(processes, "RUN", tmp_path)
    monkeypatch.setattr(processes, "LOG", tmp_path / "log")
    monkeypatch.setattr(processes, "CONFIG", tmp_path / "supervisord.conf")
    monkeypatch.setattr(processes, "PID_FILE", tmp_path / "supervisord.pid")
    monkeypatch.setattr(processes, "PROGRAMS", tmp_path / "programs")
    yield tmp_path
    processes.shut_down()
    processes.remove_socket_directory()


def sleeper(directory: Path, *, seconds: int = 600) -> Program:
    code = f"import time; print('100 % awake', flush=True); time.sleep({seconds})"
    return Program("sleeper", [sys.executable, "-c", code], directory)


def running(program: Program) -> int:
    processes.declare(program)
    processes.apply()
    processes.start(program.name)
    processes.wait_until(program.name, lambda: "awake" in said(program), 20)
    pid = processes.pid_of(program.name)
    assert pid
    return pid


def said(program: Program) -> str:
    log = processes.LOG / f"{program.name}.log"
    return log.read_text() if log.exists() else ""


def ends(pid: int) -> bool:
    return eventually(lambda: not Path(f"/proc/{pid}").exists())


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


@pytest.fixture
def pid_of_sleeper(run_directory: Path) -> int:
    return running(sleeper(run_directory))


def test_what_did_not_change_runs_on(run_directory, pid_of_sleeper):
    assert running(sleeper(run_directory)) == pid_of_sleeper


def test_what_changed_is_started_anew(run_directory, pid_of_sleeper):
    assert running(sleeper(run_directory, seconds=601)) != pid_of_sleeper
    assert ends(pid_of_sleeper)


def test_what_is_only_declared_is_not_started(run_directory):
    processes.declare(sleeper(run_directory))
    assert not processes.is_supervised()
    processes.apply()
    assert processes.is_supervised()
    assert not processes.is_running("sleeper")


def test_stopping_twice_is_no_error(pid_of_sleeper):
    assert processes.shut_down()
    assert not Path(f"/proc/{pid_of_sleeper}").exists()
    assert not processes.shut_down()


def test_what_outlived_a_killed_supervisor_is_found_and_ended(run_directory, pid_of_sleeper):
    os.kill(int((run_directory / "supervisord.pid").read_text()), signal.SIGKILL)
    assert eventually(lambda: not processes.is_running("sleeper"))
    assert Path(f"/proc/{pid_of_sleeper}").exists()
    assert processes.end_orphans()
    assert ends(pid_of_sleeper)
    # Socket and pid file of the dead one are still there, and are in nobody's way.
    assert running(sleeper(run_directory))


def test_a_program_that_ends_at_once_is_a_failure_with_its_log(run_directory):
    processes.declare(
        Program("broken", [sys.executable, "-c", "raise SystemExit('no such table')"], run_directory)
    )
    processes.apply()
    processes.start("broken")
    with pytest.raises(Failure) as caught:
        processes.wait_until("broken", lambda: False, 30)
    assert "no such table" in str(caught.value)


def test_a_deep_checkout_gets_a_socket_with_a_short_path(tmp_path, monkeypatch, run_directory):
    deep = tmp_path / ("x" * 60) / ("y" * 60)
    (deep / "log").mkdir(parents=True)
    for name, path in (
        ("RUN", deep),
        ("LOG", deep / "log"),
        ("CONFIG", deep / "c"),
        ("PROGRAMS", deep / "p"),
    ):
        monkeypatch.setattr(processes, name, path)
    assert running(sleeper(deep))
    (elsewhere,) = (
        path for path in Path("/tmp").glob("ckanext-publish-*") if path == processes._socket_path().parent
    )
    assert elsewhere.stat().st_mode & 0o777 == 0o700
    processes.shut_down()
    processes.remove_socket_directory()
    assert not elsewhere.exists()
