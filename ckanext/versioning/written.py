"""The history of a dataset in the tables: its newest revision is read, and another is put after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ckanext.versioning import history
from ckanext.versioning import model as tables
from ckanext.versioning.actor import Actor
from ckanext.versioning.changes import Change, Known, KnownBlob, KnownResource

# One clock for all machines that write. Not now(), which is the time when the transaction began.
_CLOCK = sa.func.clock_timestamp()


def _head_query() -> Any:
    r, b, other = tables.revision, tables.metadata_blob, tables.revision.alias()
    columns = ("package_id", "seq", "id", "author_id", "origin", "message", "labels", "created", "changeset")
    newest = (
        sa.select(*(r.c[name] for name in columns), r.c.meta_sha)
        .where(r.c.package_id == sa.bindparam("of"))
        .order_by(r.c.seq.desc())
        .limit(1)
        .subquery()
    )
    h = newest.c
    of_changeset = (other.c.package_id == h.package_id) & (other.c.changeset == h.changeset)
    first = (
        sa.select(other.c.seq, other.c.created).where(of_changeset).order_by(other.c.seq).limit(1).lateral()
    )
    named = (tables.release.c.package_id == h.package_id) & (tables.release.c.seq == h.seq)
    return (
        sa.select(
            *(h[name] for name in columns),
            *(b.c.salt, b.c.projection_sha, b.c.body),
            _CLOCK.label("now"),
            sa.exists().where(named).label("released"),
            *(first.c.seq.label("first"), first.c.created.label("opened")),
        )
        .join_from(newest, b, (b.c.package_id == h.package_id) & (b.c.sha == h.meta_sha))
        .join(first, sa.true())
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


# Made once: putting them together takes longer than running them, and every save does most of them.
_HEAD = _head_query()
#: The states of the resources of the dataset ``of``, and their bodies' hashes.
_STATES = _states_query()
#: Ends the states of the resources ``ended`` at revision ``seq``.
_END_STATES = _end_states()
_TIME = sa.select(_CLOCK)
_NEW_BLOBS, _NEW_REVISION, _NEW_STATES = (
    sa.insert(table) for table in (tables.metadata_blob, tables.revision, tables.resource_state)
)


def clock(connection: Any) -> datetime:
    return connection.execute(_TIME).scalar_one()


def head(connection: Any, package_id: str) -> Any:
    """The newest revision with its dataset body, and what the next one needs to know of it; None without any.

    ``now`` is the time, which under the dataset's lock is later than that of any revision before. ``first``
    and ``opened`` are ``seq`` and time of the first revision of its changeset.
    """
    return connection.execute(_HEAD, {"of": package_id}).first()


def known(connection: Any, head: Any) -> Known:
    """What the next revision is compared with."""
    resources = {
        resource_id: KnownResource(position, meta_sha, oid, size, KnownBlob(salt, projection_sha))
        for resource_id, position, meta_sha, oid, size, salt, projection_sha in connection.execute(
            _STATES, {"of": head.package_id}
        )
    }
    return Known(head.body, KnownBlob(head.salt, head.projection_sha), resources)


def add(
    connection: Any,
    package_id: str,
    head: Any,
    change: Change,
    labels: list[str],
    who: Actor,
    created: datetime,
) -> int:
    """Write *change* as the revision after *head* (None: the first), and return its ``seq``."""
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
    return {**row, "id": history.recompute_id(row), "changeset": _changeset(row, head, who)}


def _changeset(row: dict[str, Any], head: Any, who: Actor) -> str:
    package_id, last, same_action = row["package_id"], None, False
    if head:
        draft = bool(head.body) and (json.loads(head.body)["state"] or "").startswith("draft")
        last = history.Last(
            _save(head._mapping), head.released, draft, head.changeset, head.first, head.opened
        )
        same_action = who.changesets.get(package_id) == head.changeset
    changeset = history.changeset(_save(row, who.changeset), row["seq"], last, same_action=same_action)
    who.changesets[package_id] = changeset
    return changeset


def _save(row: Mapping[str, Any], name: str | None = None) -> history.Save:
    return history.Save(
        package_id=row["package_id"],
        author_id=row["author_id"],
        origin=row["origin"],
        message=row["message"],
        labels=frozenset(row["labels"]),
        created=row["created"],
        name=name,
    )
