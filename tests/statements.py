"""SQL statements, counted where cost is the promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ckan import model
from sqlalchemy import event


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL sent to the database in this block."""
    sent: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        sent.append(statement)

    event.listen(model.meta.engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(model.meta.engine, "before_cursor_execute", note)
