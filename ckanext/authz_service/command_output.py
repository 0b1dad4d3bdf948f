"""How the commands of all three plugins answer."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click

#: Where nobody watches a bar, a line for so many steps.
_EVERY = 1000


@contextmanager
def progress(label: str, total: int) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more are done. It writes to stderr: stdout is for the answer."""
    if sys.stderr.isatty():
        with click.progressbar(length=total, label=label, file=sys.stderr) as bar:
            yield bar.update
        return
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        if more and (done % _EVERY < more or done == total):
            click.echo(f"{label}: {done} of {total}", err=True)

    yield advance


def answer(value: Any) -> None:
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def report(checks: Mapping[str, Callable[[], Iterable[str]]]) -> None:
    """Say of each check whether all is well, and what is not. Raises ClickException if anything is not."""
    found = 0
    for name, problems_of in checks.items():
        problems = list(problems_of())
        found += len(problems)
        click.echo(f"{name}: {'not well' if problems else 'well'}")
        for problem in problems:
            click.echo(f"  - {problem}")
    if found:
        raise click.ClickException(f"{count(found, 'problem')} found.")


def count(number: int, one: str, more: str | None = None) -> str:
    """``1 dataset``, ``2 datasets``."""
    return f"{number} {one if number == 1 else more or one + 's'}"
