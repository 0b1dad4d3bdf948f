"""Every save that changes a dataset becomes a revision, in the save's own transaction.

Listeners on CKAN's session collect the ids of the datasets that a transaction touches, by objects or by
UPDATE and DELETE statements, other than textual ones. Before the outermost commit, each dataset is locked,
compared with its newest revision and, if its content differs, recorded. So it does not matter which action,
plugin, job or script made the change; the revision and the change are committed together or not at all; and
a failure here is a failure of the save.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import sqlalchemy as sa
from ckan import model, plugins
from ckan.lib.dictization.model_dictize import package_dictize
from ckan.lib.plugins import get_permission_labels
from sqlalchemy import event

from ckanext.versioning import NAMES, actor, changes, history, pins, snapshot, taking_in
from ckanext.versioning import model as tables
from ckanext.versioning.actor import Actor
from ckanext.versioning.changes import Change, Known, KnownBlob, KnownResource
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

_TABLES_MISSING = (
    "The tables of the versioning plugin do not exist, so changes of datasets are saved without being "
    "recorded as revisions. Run: ckan db upgrade -p %s"
)


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
    engine: Any = model.meta.engine
    with engine.connect() as connection:
        _Start.tables_present = tables.tables_present(connection)
    if not _Start.tables_present:
        log.error(_TABLES_MISSING, _loaded_name())


def _loaded_name() -> str | None:
    # None: listeners outlive an unloaded plugin.
    return next(filter(plugins.plugin_loaded, NAMES), None)


def _collect(session: Any, flush_context: Any) -> None:
    # After a flush, because a new object has no id before; the lists are still those of the flush.
    if not _loaded_name():
        return
    touched = [*session.new, *session.deleted]
    touched += [o for o in session.dirty if session.is_modified(o, include_collections=False)]
    ids = {id for item in touched for id in _dataset_ids(item) if id}
    _add_pending(session, ids)


def _collect_matched(execution: Any) -> None:
    # A statement changes rows without any object, and afterwards its condition may match none of them.
    statement = getattr(execution.statement, "element", execution.statement)  # for objects, with RETURNING
    if not isinstance(statement, sa.sql.expression.Update | sa.sql.expression.Delete) or not _loaded_name():
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
    if session.in_nested_transaction() or not _loaded_name():
        return
    session.flush()
    pending = session.info.get(_PENDING)
    if not pending:
        return
    if not _Start.tables_present:
        _Start.tables_present = tables.tables_present(session)
        if not _Start.tables_present:
            log.warning(f"Not recorded: %s. {_TABLES_MISSING}", ", ".join(sorted(pending)), _loaded_name())
            pending.clear()
            return
    for package_id in sorted(pending):  # the same order everywhere: no two savers wait for each other
        try:
            record(session, package_id)
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


def record(session: Any, package_id: str) -> int | None:
    """Record the dataset as it is in *session*'s transaction; the new ``seq``, or None if nothing changed.

    If it has no history yet, but was there before the transaction, that state is recorded first, as the
    *baseline*: its time is that of its last change, and it has no author.

    The dataset's row stays locked until the transaction ends, so that ``seq`` has neither gaps nor forks.
    The history of a dataset that is gone from the database goes with it: if one with the same id is
    made later, it starts afresh.
    """
    # Read again under the lock: another transaction may have committed since this one read it.
    package = session.execute(_LOCKED_PACKAGE, {"of": package_id}).scalar()
    connection = session.connection()
    if package is None:
        for table in tables.TABLES:
            connection.execute(sa.delete(table).where(table.c.package_id == package_id))
        return None
    now, head = _snapshot(session, package), connection.execute(_HEAD, {"of": package_id}).first()
    before = None if head else _committed(package_id)
    baseline = changes.compare(before.snapshot, None) if before else None
    known = changes.known(baseline) if baseline else _known(connection, package_id, head) if head else None
    change = changes.compare(now, known)
    if change is None:
        return None
    if before and baseline:
        _insert_baseline(connection, package_id, before, baseline)
        pins.add(session, package_id, 1, pins.not_overwritten(before.snapshot, now), baseline)
        head = connection.execute(_HEAD, {"of": package_id}).one()
    created = head.now if head else connection.execute(_TIME).scalar_one()
    seq = _insert(connection, package_id, head, change, _labels(package), actor.current(session), created)
    pins.add(session, package_id, seq, now, change)
    return seq


def record_baseline(session: Any, package_id: str) -> bool:
    """Record the dataset as the *baseline*, unless it has a history or does not exist.

    *session*'s transaction has not changed it. Its row stays locked until the transaction ends.
    """
    package = session.execute(_LOCKED_PACKAGE, {"of": package_id}).scalar()
    connection = session.connection()
    if package is None or connection.execute(_HEAD, {"of": package_id}).first():
        return False
    state = _state_of(session, package)
    change = changes.compare(state.snapshot, None)
    assert change  # nothing was known, so everything is new
    _insert_baseline(connection, package_id, state, change)
    pins.add(session, package_id, 1, state.snapshot, change)
    return True


def unrecorded(session: Any, package_id: str) -> Change | None:
    """What `record` would record of a dataset that has a history; nothing is locked or written."""
    package = session.get(model.Package, package_id, populate_existing=True)
    connection = session.connection()
    head = connection.execute(_HEAD, {"of": package_id}).first()
    if package is None or head is None:
        return None
    return changes.compare(_snapshot(session, package), _known(connection, package_id, head))


#: Who "made" the state in which the first recorded save of a dataset found it.
_NOBODY = Actor(None, None, "baseline")


def _insert_baseline(connection: Any, package_id: str, before: _Committed, baseline: Change) -> None:
    # Its clock may be ahead of the database's.
    created = min(before.modified, connection.execute(_TIME).scalar_one())
    _insert(connection, package_id, None, baseline, before.labels, _NOBODY, created)


def _snapshot(session: Any, package: Any) -> Snapshot:
    context: Any = {"model": model, "session": session, "user": "", "ignore_auth": True, "for_edit": True}
    return snapshot.split(package_dictize(package, context, include_plugin_data=True))


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
        package = other.get(model.Package, package_id)
        return _state_of(other, package) if package else None
    finally:
        scoped.registry.set(mine)
        other.close()


def _state_of(session: Any, package: Any) -> _Committed:
    modified = package.metadata_modified.replace(tzinfo=timezone.utc)
    return _Committed(_snapshot(session, package), _labels(package), modified)


# One clock for all machines that write. Not now(), which is the time when the transaction began.
_CLOCK = sa.func.clock_timestamp()


def _head_query() -> Any:
    r, b, other = tables.revision, tables.metadata_blob, tables.revision.alias()
    opened = (
        sa.select(other.c.created)
        .where(other.c.package_id == r.c.package_id, other.c.changeset == r.c.changeset)
        .order_by(other.c.seq)
        .limit(1)
    )
    named = (tables.release.c.package_id == r.c.package_id) & (tables.release.c.seq == r.c.seq)
    columns = ("seq", "id", "author_id", "origin", "message", "labels", "created", "changeset")
    return (
        sa.select(
            *(r.c[name] for name in columns),
            *(b.c.salt, b.c.projection_sha, b.c.body),
            _CLOCK.label("now"),
            sa.exists().where(named).label("released"),
            opened.scalar_subquery().label("opened"),
        )
        .join(b, (b.c.package_id == r.c.package_id) & (b.c.sha == r.c.meta_sha))
        .where(r.c.package_id == sa.bindparam("of"))
        .order_by(r.c.seq.desc())
        .limit(1)
    )


def _states_query() -> Any:
    s, b = tables.resource_state, tables.metadata_blob
    return (
        sa.select(
            *(s.c.resource_id, s.c.position, s.c.meta_sha, s.c.oid, s.c.size, b.c.salt, b.c.projection_sha)
        )
        .join(b, (b.c.package_id == s.c.package_id) & (b.c.sha == s.c.meta_sha))
        .where(s.c.package_id == sa.bindparam("of"), s.c.to_seq.is_(None))
    )


def _end_states() -> Any:
    s = tables.resource_state
    ended = s.c.resource_id.in_(sa.bindparam("ended", expanding=True))
    return (
        sa.update(s)
        .where(s.c.package_id == sa.bindparam("of"), s.c.to_seq.is_(None), ended)
        .values(to_seq=sa.bindparam("seq"))
    )


# Made once: putting them together takes longer than running them, and every save does both.
#: The dataset ``of``, locked, and read anew even if the session has it. NO KEY: two writers who have each
#: added a resource, and so share the row by its foreign key, must not wait for each other for ever.
_LOCKED_PACKAGE = (
    sa.select(model.Package)
    .where(model.package_table.c.id == sa.bindparam("of"))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
#: The newest revision of the dataset ``of``, with its body, what the next one needs to know of it, and the
#: time, which under the lock is later than that of any revision before.
_HEAD = _head_query()
#: The states of its resources, and their bodies' hashes.
_STATES = _states_query()
#: Ends the states of the resources ``ended`` at revision ``seq``.
_END_STATES = _end_states()
_TIME = sa.select(_CLOCK)
_NEW_BLOBS, _NEW_REVISION, _NEW_STATES = (
    sa.insert(table) for table in (tables.metadata_blob, tables.revision, tables.resource_state)
)


def _known(connection: Any, package_id: str, head: Any) -> Known:
    resources = {
        resource_id: KnownResource(position, meta_sha, oid, size, KnownBlob(salt, projection_sha))
        for resource_id, position, meta_sha, oid, size, salt, projection_sha in connection.execute(
            _STATES, {"of": package_id}
        )
    }
    return Known(head.body, KnownBlob(head.salt, head.projection_sha), resources)


def _insert(
    connection: Any,
    package_id: str,
    head: Any,
    change: Change,
    labels: list[str],
    who: Actor,
    created: datetime,
) -> int:
    revision = _revision(package_id, head, change, labels, who, created)
    seq = revision["seq"]
    blobs = [change.dataset, *(state.blob for state in change.resources if state.blob)]
    connection.execute(
        _NEW_BLOBS,
        [
            {
                "package_id": package_id,
                "sha": blob.sha,
                "salt": blob.salt,
                "projection_sha": blob.projection_sha,
                "body": blob.text,
            }
            for blob in blobs
        ],
    )
    connection.execute(_NEW_REVISION, revision)
    if change.ended:
        connection.execute(_END_STATES, {"of": package_id, "ended": change.ended, "seq": seq})
    states = [state for state in change.resources if not state.kept]
    if states:
        connection.execute(
            _NEW_STATES,
            [
                {
                    "package_id": package_id,
                    "resource_id": state.resource_id,
                    "position": state.position,
                    "meta_sha": state.meta_sha,
                    "oid": state.oid,
                    "size": state.size,
                    "from_seq": seq,
                }
                for state in states
            ],
        )
    return seq


def _revision(
    package_id: str, head: Any, change: Change, labels: list[str], who: Actor, created: datetime
) -> dict[str, Any]:
    """The row of ``versioning_revision``."""
    body = history.seal(history.body_record(change.dataset.sha, [vars(s) for s in change.resources]))
    author = history.seal(history.author_record(who.id, who.name))
    message = history.seal(who.message)  # having none is sealed like any other message
    row = {
        "package_id": package_id,
        "seq": head.seq + 1 if head else 1,
        "parent_id": head.id if head else None,
        "meta_sha": change.dataset.sha,
        "body_sha": body.sha,
        "body_salt": body.salt,
        "author_id": who.id,
        "author_name": who.name,
        "author_sha": author.sha,
        "author_salt": author.salt,
        "message": who.message,
        "message_sha": message.sha,
        "message_salt": message.salt,
        "origin": who.origin,
        "labels": labels,
        "summary": change.summary,
        "created": created,
    }
    save = history.Save(who.id, who.origin, who.message, frozenset(labels), created)
    return {**row, "id": history.recompute_id(row), "changeset": _changeset(save, head)}


def _changeset(save: history.Save, head: Any) -> str:
    if head:
        last = history.Save(head.author_id, head.origin, head.message, frozenset(head.labels), head.created)
        if history.continues_changeset(save, last, head_released=head.released, opened=head.opened):
            return head.changeset
    return str(uuid.uuid4())
