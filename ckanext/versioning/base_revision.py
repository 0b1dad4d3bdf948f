"""Saves that are meant for the revision that their maker has seen, and are refused after any other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.versioning import model as tables
from ckanext.versioning import refs, revisions
from ckanext.versioning.errors import InvalidRef, NotNewest

#: In `Session.info`: the base of the resource action that runs, until the save in it was compared with it.
_BASE = "ckanext.versioning.base"


def parse(text: str) -> refs.Number | refs.Id:
    """What can be a base: the id of a revision or its beginning, or ``r17``. Raises InvalidRef."""
    form = refs.parse(text)
    if not isinstance(form, refs.Number | refs.Id):
        raise InvalidRef(text, "a save is based on one revision, given by its number or its id")
    return form


@contextmanager
def meant_for(base: str | None) -> Iterator[None]:
    """The first save in this block is compared with *base*; a nested block without one changes nothing."""
    info = model.Session().info
    outer = info.get(_BASE)
    info[_BASE] = base or outer
    try:
        yield
    finally:
        info[_BASE] = outer


def take() -> str | None:
    """The base of the block that runs, once: what other plugins save after the save is not meant."""
    info = model.Session().info
    base, info[_BASE] = info.get(_BASE), None
    return base


def check_for(context: Any, package: Any, base: str) -> None:
    """`check` for the user of *context*, if they may update the dataset. *package* is None for no dataset."""
    if package is not None:  # core says what is wrong otherwise
        tk.check_access("package_update", tk.fresh_context(context), {"id": package.id})
        check(package.id, base)


def check(package_id: str, base: str) -> None:
    """Lock the dataset until the transaction ends; raise NotNewest if its newest revision is not *base*.

    So of two savers with one base, the second waits here until the first has committed, and is refused. The
    caller has checked that the user may update the dataset: what is refused says what is newest.
    """
    form = parse(base)
    r = tables.revision
    # Read again under the lock, as in `recording`: the session may have it from before the other's commit.
    model.Session.execute(
        sa.select(model.Package)
        .where(model.package_table.c.id == package_id)
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    newest = sa.select(r).where(r.c.package_id == package_id).order_by(r.c.seq.desc()).limit(1)
    head = model.Session.execute(newest).first()
    if head is not None:
        same = head.seq == form.seq if isinstance(form, refs.Number) else head.id.startswith(form.prefix)
        if same:
            return
    # As core does when it refuses a save: nobody else is to wait for the lock of one who gives up.
    model.Session.rollback()
    raise NotNewest(base, revisions.in_short(head) if head else None)
