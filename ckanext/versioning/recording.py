"""Every save that changes a dataset becomes a revision, in the save's own transaction.

Listeners on CKAN's session collect the ids of the datasets that a transaction touches, by objects or by
UPDATE and DELETE statements, other than textual ones. Before the outermost commit, each dataset is locked,
compared with its newest revision and, if its content differs, recorded. So it does not matter which action,
plugin, job or script made the change; the revision and the change are committed together or not at all; and
a failure here is a failure of the save.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model, plugins
from ckan.lib.plugins import get_permission_labels
from sqlalchemy import event

from ckanext.versioning import NAMES, actor, changes, dictized, pins, snapshot, taking_in, written
from ckanext.versioning import model as tables
from ckanext.versioning.actor import Actor
from ckanext.versioning.changes import Change
from ckanext.versioning.errors import MessageRequired
from ckanext.versioning.snapshot import Snapshot

log = logging.getLogger(__name__)

#: In `Session.info`: ids of the datasets that the transaction has touched so far.
_PENDING = "ckanext.versioning.pending"

#: What says that a dataset changed: class, and the attribute, also a column, that holds the dataset's id.
_OWNERS = [
    (model.Package, "id"),
    (model.Resource, "package_id"),
    (model.Member, "table_id"),  # of which those of datasets only
    (model.PackageTag, "package_id"),
    (model.PackageRelationship, "subject_package_id"),
]
if hasattr(model, "PackageExtra"):  # CKAN 2.11
    _OWNERS.append((model.PackageExtra, "package_id"))  # pyright: ignore[reportAttributeAccessIssue]

TABLES_MISSING = (
    "The tables of the versioning plugin do not exist, so changes of datasets are saved without being "
    "recorded as revisions."
)
_MAKE_TABLES = "Run: ckan db upgrade -p %s"


class _Start:
    """What is true from some moment on for the whole process."""

    listening = False
    tables_present = False


def start() -> None:
    """Begin to record; called each time CKAN loads the plugin.

    Without our tables (the plugin was just switched on) CKAN works as before and the log says so; recording
    begins with the first save after they were made.
    """
    if not _Start.listening:
        event.listen(model.Session, "after_flush", _collect)
        event.listen(model.Session, "do_orm_execute", _collect_matched)
        # Before core's own listener, which on 2.11 sends the dataset to Solr.
        event.listen(model.Session, "before_commit", _record_pending, insert=True)
        event.listen(model.Session, "before_commit", _record_late)
        event.listen(model.Session, "after_commit", taking_in.start_jobs)
        event.listen(model.Session, "after_transaction_end", _forget_pending)
        _Start.listening = True
    _Start.tables_present = False
    if not tables_present():
        log.error(f"{TABLES_MISSING} {_MAKE_TABLES}", loaded_name())


def tables_present() -> bool:
    """Is recording on? Once it is, the database is not asked again."""
    if not _Start.tables_present:
        engine: Any = model.meta.engine
        with engine.connect() as connection:
            _Start.tables_present = tables.tables_present(connection)
    return _Start.tables_present


def loaded_name() -> str | None:
    """The name by which the site loads the plugin; None if it does not (listeners outlive the plugin)."""
    return next(filter(plugins.plugin_loaded, NAMES), None)


def _collect(session: Any, flush_context: Any) -> None:
    # After a flush, because a new object has no id before; the lists are still those of the flush.
    if not loaded_name():
        return
    touched = [*session.new, *session.deleted]
    touched += [o for o in session.dirty if session.is_modified(o, include_collections=False)]
    ids = {id for item in touched for id in _dataset_ids(item) if id}
    _add_pending(session, ids)


def _collect_matched(execution: Any) -> None:
    # A statement changes rows without any object, and afterwards its condition may match none of them.
    statement = getattr(execution.statement, "element", execution.statement)  # for objects, with RETURNING
    if not isinstance(statement, sa.sql.expression.Update | sa.sql.expression.Delete) or not loaded_name():
        return
    several = isinstance(execution.parameters, list)
    matched = _matched_ids(statement, several)
    if matched is None or _sets_clock_only(statement, execution.parameters):
        return
    for parameters in execution.parameters if several else [execution.parameters]:
        _add_pending(execution.session, set(execution.session.execute(matched, parameters).scalars()))


def _add_pending(session: Any, ids: set[str]) -> None:
    if ids:
        session.info.setdefault(_PENDING, set()).update(ids)


def _dataset_ids(item: Any) -> Iterator[str | None]:
    """The dataset to which a changed object belongs, and the one to which it belonged before."""
    if isinstance(item, model.Member) and item.table_name != "package":
        return
    for kind, attribute in _OWNERS:
        if isinstance(item, kind):
            yield getattr(item, attribute)
            state: Any = sa.inspect(item)
            yield from state.attrs[attribute].history.deleted or ()


def _matched_ids(statement: Any, several: bool) -> Any:
    """The query for the ids of the datasets whose rows *statement* matches; None if it is about others.

    With *several* sets of parameters and no condition SQLAlchemy takes each set's ``id`` for one.
    """
    for kind, attribute in _OWNERS:
        if statement.table.is_derived_from(sa.inspect(kind).local_table):
            columns = statement.table.c
            matched = sa.select(columns[attribute]).distinct()
            if kind is model.Member:
                matched = matched.where(columns.table_name == "package")
            if statement.whereclause is not None:
                return matched.where(statement.whereclause)
            return matched.where(columns.id == sa.bindparam("id")) if several else matched
    return None


def _sets_clock_only(statement: Any, parameters: Any) -> bool:
    # Core of 2.11 does so in every save, also in one that changes nothing.
    values = getattr(statement, "_values", None) or {}
    names = {getattr(column, "key", column) for column in values}
    return names == {"metadata_modified"} and not parameters


def _record_pending(session: Any) -> None:
    # Savepoints commit too, and core makes one for each save: only the outermost commit counts.
    if session.in_nested_transaction() or not loaded_name():
        return
    session.flush()
    pending = session.info.get(_PENDING)
    if not pending:
        return
    if not tables_present():
        names = ", ".join(sorted(pending))
        log.warning(f"Not recorded: %s. {TABLES_MISSING} {_MAKE_TABLES}", names, loaded_name())
        pending.clear()
        return
    for package_id in sorted(pending):  # the same order everywhere: no two savers wait for each other
        try:
            actor.tell(session, package_id, record(session, package_id))
        except (MessageRequired, tk.ValidationError):  # which say what is wrong with the request
            raise
        except Exception:
            log.exception("The revision of dataset %s could not be recorded: nothing is saved.", package_id)
            raise
        pending.discard(package_id)


def _record_late(session: Any) -> None:
    # What other listeners (IDomainObjectModification, say) changed after ours, in the same commit.
    _record_pending(session)


def _forget_pending(session: Any, transaction: Any) -> None:
    # A rolled-back savepoint keeps what was collected: the comparison tells what really changed.
    if transaction.parent is None:
        session.info.pop(_PENDING, None)
        pins.new(session)
        actor.forget(session)


#: The dataset ``of``, locked. NO KEY: two writers who have each added a resource, and so share the row by its
#: foreign key, must not wait for each other for ever.
_LOCK = (
    sa.select(model.package_table.c.id)
    .where(model.package_table.c.id == sa.bindparam("of"))
    .with_for_update(key_share=True)
)


def record(session: Any, package_id: str) -> int | None:
    """Record the dataset as it is in *session*'s transaction; the new ``seq``, or None if nothing changed.

    If it has no history yet, but was there before the transaction, that state is recorded first, as the
    *baseline*: its time is that of its last change, and it has no author.

    The dataset's row stays locked until the transaction ends, so that ``seq`` has neither gaps nor forks.
    The history of a dataset that is gone from the database goes with it: if one with the same id is
    made later, it starts afresh.
    """
    connection = session.connection()
    if connection.execute(_LOCK, {"of": package_id}).first() is None:
        for table in tables.TABLES:
            connection.execute(sa.delete(table).where(table.c.package_id == package_id))
        return None
    # In statements of their own, which see what others have committed while this one waited for the lock.
    package, now = _read(session, package_id)
    head = written.head(connection, package_id)
    before = None if head else _committed(package_id)
    baseline = changes.compare(before.snapshot, None) if before else None
    known = changes.known(baseline) if baseline else written.known(connection, head) if head else None
    change = changes.compare(now, known)
    if change is None:
        return None
    if before and baseline:
        _add_baseline(connection, package_id, before, baseline)
        pins.add(session, package_id, 1, pins.not_overwritten(before.snapshot, now), baseline)
        head = written.head(connection, package_id)
    created = head.now if head else written.clock(connection)
    who = actor.current(session)
    seq = written.add(connection, package_id, head, change, _labels(package), who, created)
    pins.add(session, package_id, seq, now, change)
    return seq


def record_baseline(session: Any, package_id: str) -> bool:
    """Record the dataset as the *baseline*, unless it has a history or does not exist.

    *session*'s transaction has not changed it. Its row stays locked until the transaction ends.
    """
    connection = session.connection()
    if connection.execute(_LOCK, {"of": package_id}).first() is None or written.head(connection, package_id):
        return False
    state = _state_of(session, package_id)
    change = changes.compare(state.snapshot, None)
    assert change  # nothing was known, so everything is new
    _add_baseline(connection, package_id, state, change)
    pins.add(session, package_id, 1, state.snapshot, change)
    return True


def unrecorded(session: Any, package_id: str) -> Change | None:
    """What `record` would record of a dataset that has a history; nothing is locked or written."""
    connection = session.connection()
    head = written.head(connection, package_id)
    if head is None or session.get(model.Package, package_id) is None:
        return None
    _package, now = _read(session, package_id)
    return changes.compare(now, written.known(connection, head))


def _add_baseline(connection: Any, package_id: str, before: _Committed, baseline: Change) -> None:
    # Its clock may be ahead of the database's.
    created, nobody = min(before.modified, written.clock(connection)), Actor(None, None, "baseline")
    written.add(connection, package_id, None, baseline, before.labels, nobody, created)


def _read(session: Any, package_id: str) -> tuple[Any, Snapshot]:
    package, dataset = dictized.read(session, package_id)
    return package, snapshot.split(dataset)


def _labels(package: Any) -> list[str]:
    """CKAN's permission labels."""
    return sorted(get_permission_labels().get_dataset_labels(package))


@dataclass(frozen=True)
class _Committed:
    """A dataset as others see it while a transaction changes it."""

    snapshot: Snapshot
    labels: list[str]
    modified: datetime


def _committed(package_id: str) -> _Committed | None:
    """The dataset without what the running transaction did to it; None if that has made it.

    That is how it was before its history began: it is older than the plugin, or came by textual SQL.
    """
    # Core's functions know one session only, the one that the registry holds for this thread.
    scoped: Any = model.Session
    mine = scoped()
    other = scoped.session_factory()
    scoped.registry.set(other)
    try:
        return _state_of(other, package_id) if other.get(model.Package, package_id) else None
    finally:
        scoped.registry.set(mine)
        other.close()


def _state_of(session: Any, package_id: str) -> _Committed:
    package, before = _read(session, package_id)
    modified = package.metadata_modified.replace(tzinfo=timezone.utc)
    return _Committed(before, _labels(package), modified)
