"""Brings into the history what did not come there by a save: datasets that are older than the plugin, and
changes by textual SQL or while the plugin was off.

Both go through the datasets in the order of their ids, a few at a time, beside everything else that happens
on the site, and can be stopped and begun again at any moment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import actor, recording, verifying
from ckanext.versioning import model as tables

log = logging.getLogger(__name__)

#: Datasets that `backfill` records in one transaction, at most …
BATCH = 50
#: … and the seconds after which it begins no other one: whoever saves one of them waits for the commit.
BATCH_SECONDS = 0.5

#: What revisions made by `reconcile` say.
RECONCILED = "Found by ckan versioning reconcile: changed by SQL, or while the plugin was off."


@dataclass(frozen=True)
class Failure:
    """A dataset that CKAN or a plugin could not put into words; the log has the traceback."""

    package_id: str
    reason: str


@dataclass(frozen=True)
class Batch:
    """Datasets whose baseline was committed, and others whose baseline could not be made."""

    recorded: list[str] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def without_history() -> int:
    """How many datasets have no revision."""
    query = sa.select(sa.func.count()).select_from(model.package_table).where(_NO_HISTORY)
    return model.Session.execute(query).scalar_one()


def backfill() -> Iterator[Batch]:
    """Record the baseline of every dataset without history, whatever its state; each batch is committed.

    Datasets that somebody is saving are left out, so that nobody ever waits for another who waits in turn;
    the save records their baseline itself if it changes them. They are looked at again, as long as that
    makes any progress. Ends the session's transaction.
    """
    while True:
        recorded, after = 0, ""
        while ids := _locked(after):
            batch, after = _record(ids)
            recorded += len(batch.recorded)
            yield batch
        if not recorded or not without_history():
            return


def _locked(after: str) -> list[str]:
    """Ids of the next datasets without history after *after*, locked, less those that others have locked."""
    model.Session.remove()
    return list(model.Session.execute(_NEXT_BATCH, {"after": after}).scalars())


def _record(ids: list[str]) -> tuple[Batch, str]:
    """Record these datasets, or those that there is time for; with the id of the last one."""
    session, batch, id = model.Session(), Batch(), ids[0]
    until = time.monotonic() + BATCH_SECONDS
    for id in ids:
        try:
            with session.begin_nested():
                if recording.record_baseline(session, id):
                    batch.recorded.append(id)
        except Exception as error:
            batch.failed.append(_failure(id, error))
        session.expunge_all()  # the memory of one dataset at a time
        if time.monotonic() > until:
            break
    model.Session.commit()
    model.Session.remove()
    return batch, id


def _failure(package_id: str, error: Exception) -> Failure:
    log.exception("Dataset %s could not be recorded.", package_id)
    text = str(error).partition("\n")[0]
    return Failure(package_id, f"{type(error).__name__}: {text}"[:200])


@dataclass(frozen=True)
class Compared:
    """A dataset with history, beside its newest revision: ``same``, ``changed``, ``gone`` or ``failed``.

    ``gone``: the dataset was purged, its history was not. ``seq`` is the revision that was made, if any.
    """

    package_id: str
    outcome: str
    seq: int | None = None
    reason: str | None = None


def with_history() -> int:
    """How many datasets have a revision, those that are gone included."""
    query = sa.select(sa.func.count(tables.revision.c.package_id.distinct()))
    return model.Session.execute(query).scalar_one()


def has_history(package_id: str) -> bool:
    """Is there anything recorded of a dataset with this id?"""
    there = [sa.exists().where(table.c.package_id == package_id) for table in tables.TABLES]
    return bool(model.Session.execute(sa.select(sa.or_(*there))).scalar())


def reconcile(ids: Iterable[str], *, write: bool, remove_gone: bool = False) -> Iterator[Compared]:
    """Compare each of these datasets that has a history with its newest revision; record it if they differ.

    write: without it, nothing is recorded or removed. remove_gone: remove the history of datasets that were
    purged without CKAN. Ends the session's transaction.
    """
    for package_id in ids:
        try:
            yield _reconcile(package_id, write, remove_gone)
        except Exception as error:
            model.Session.remove()
            yield Compared(package_id, "failed", reason=_failure(package_id, error).reason)


def _reconcile(package_id: str, write: bool, remove_gone: bool) -> Compared:
    with verifying.one_moment() as session:
        if session.get(model.Package, package_id) is None:
            outcome = "gone"
        else:
            outcome = "changed" if recording.unrecorded(session, package_id) else "same"
    seq = None
    if write and (outcome == "changed" or (outcome == "gone" and remove_gone)):
        with actor.saying(RECONCILED, "cli"):
            seq = recording.record(model.Session(), package_id)  # compares again, with the dataset locked
            model.Session.commit()
        model.Session.remove()
    return Compared(package_id, outcome, seq)


def ids_with_history() -> Iterator[str]:
    """Ids in any of our tables, in order. What comes meanwhile may be among them. Keeps no transaction."""
    after = ""
    # One id at a time costs four looks into an index, and the revisions between two ids are not read.
    lowest = [sa.select(sa.func.min(t.c.package_id)).where(t.c.package_id > _AFTER) for t in tables.TABLES]
    query = sa.select(sa.func.least(*(each.scalar_subquery() for each in lowest)))
    engine: Any = model.meta.engine
    while True:
        with engine.connect() as connection:
            after = connection.execute(query, {"after": after}).scalar()
        if after is None:
            return
        yield after


_AFTER = sa.bindparam("after")
_NO_HISTORY = ~sa.exists().where(tables.revision.c.package_id == model.package_table.c.id)
_NEXT_BATCH = (
    sa.select(model.package_table.c.id)
    .where(_NO_HISTORY, model.package_table.c.id > _AFTER)
    .order_by(model.package_table.c.id)
    .limit(BATCH)
    .with_for_update(key_share=True, skip_locked=True)
)
