"""One line per long step, with its seconds; a failed step tells what happened, what it means, what to do."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from services.checkout import LOG, ROOT

TAIL_LINES = 30
#: The passwords of URLs that programs here are given, and write into their logs perhaps.
_passwords: set[str] = set()


class Failure(Exception):
    """A step that cannot be done. ``advice`` is the user's next move, ``log`` the file that shows more."""

    def __init__(self, what: str, advice: str, log: Path | None = None):
        super().__init__(what)
        self.what = what
        self.advice = advice
        self.log = log

    def __str__(self) -> str:
        lines = [f"FAILED: {self.what}"]
        if self.log is not None and self.log.exists():
            tail = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
            lines += [f"The end of {_shown(self.log)}:", *(f"  | {line}" for line in tail)]
        lines.append(f"What to do: {self.advice}")
        text = "\n".join(lines)
        for password in _passwords:
            text = text.replace(f":{password}@", ":***@")
        return text


def hide_password(url: str) -> None:
    """Failures show ``***`` in place of the URL's password from now on."""
    if found := re.search(r"://[^/:]*:(.+)@", url):
        _passwords.add(found[1])


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print ``title … N s``, with a dot every five seconds in between so that nobody thinks it hangs."""
    started = time.monotonic()
    done = threading.Event()

    def tick() -> None:
        while not done.wait(5):
            print(".", end="", flush=True)

    print(f"{title} …", end="", flush=True)
    ticker = threading.Thread(target=tick, daemon=True)
    ticker.start()
    try:
        yield
    except BaseException:
        done.set()
        print(" failed", flush=True)
        raise
    done.set()
    print(f" {time.monotonic() - started:.1f} s", flush=True)


def run(
    command: Sequence[str | Path],
    *,
    log: str,
    advice: str,
    cwd: Path = ROOT,
    user: str | None = None,
    stdin: str = "",
    environment: Mapping[str, str] | None = None,
) -> None:
    """Run a program with its output in ``.run/log/<log>.log``; Failure with the end of that log if it fails.

    ``user`` (root only) is a system user, whose group comes with it and nothing else.
    """
    path = LOG / f"{log}.log"
    with path.open("w") as output:
        finished = subprocess.run(
            [str(word) for word in command],
            cwd=cwd,
            input=stdin,
            text=True,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=user,
            group=user,
            extra_groups=[] if user else None,
            env=None if environment is None else dict(environment),
            check=False,
        )
    if finished.returncode:
        program = Path(command[0]).name
        raise Failure(f"{program} ended with status {finished.returncode}.", advice, path)


def exit_with(failure: Failure) -> None:
    print(f"\n{failure}", file=sys.stderr, flush=True)
    sys.exit(1)


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)
