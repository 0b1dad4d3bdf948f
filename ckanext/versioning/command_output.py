"""What the commands have in common: how they fail, how far they are, and answers for programs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ckantoolkit as tk
import click

from ckanext.versioning import recording


class NeedsTables(click.Command):
    """Fails, saying what to do, until the tables are there."""

    def invoke(self, ctx: click.Context) -> Any:
        if not recording.tables_present():
            raise click.ClickException(f"{recording.TABLES_MISSING} Run: ckan versioning init")
        with told():
            return super().invoke(ctx)


@contextmanager
def told() -> Iterator[None]:
    """What CKAN refuses is an error text of the command."""
    try:
        yield
    except tk.ValidationError as error:
        problems = [text for texts in error.error_dict.values() for text in _texts(texts)]
        raise click.ClickException(" ".join(problems)) from error
    except tk.ObjectNotFound as error:
        raise click.ClickException(str(error.message or "There is no such dataset.")) from error
    except tk.NotAuthorized as error:
        text = f"{error.message or 'Not allowed'}. Without --user the command runs as the site itself."
        raise click.ClickException(text) from error


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    else:
        yield str(value)
