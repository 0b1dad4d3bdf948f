"""Links: which dataset may use which bytes. Nothing refers to an object without one.

All functions take a SQLAlchemy connection inside a transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert

from ckanext.external_storage import model
from ckanext.external_storage.storage.base import SERVER_KEYS, ObjectStore, ServerStore
from ckanext.external_storage.transfer.dead_keys import bury

_resource = sa.table("resource", sa.column("package_id"), sa.column("state"), sa.column("extras", sa.Text))


@dataclass(frozen=True)
class StoredObject:
    """Bytes that are there and were hashed, unless ``verified`` is false. ``size`` is in bytes."""

    oid: str
    size: int
    key: str
    verified: bool = True


SIZE = sa.func.coalesce(model.link.c.unverified_size, model.object.c.size).label("size")
#: Where the bytes of a link are.
KEY = sa.func.coalesce(model.link.c.own_key, model.object.c.key)


def reached(key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether *key* may be in the store that the parameters of `in_reach` tell."""
    return key.startswith(SERVER_KEYS, autoescape=True) == sa.bindparam("at_server", type_=sa.Boolean)


def in_reach(store: ObjectStore | None) -> dict[str, bool]:
    """The parameters of `reached`: the site keeps its files in *store* now (None: in one of its own). Others
    may be at an external server that it had before, or in the store before that (`storage.base.may_have`)."""
    return {"at_server": isinstance(store, ServerStore)}


#: Those of the parameter *oids* that the dataset *of_package* has brought itself.
LINKED = (
    sa.select(
        model.object.c.oid, SIZE, KEY.label("key"), model.link.c.unverified_size.is_(None).label("verified")
    )
    .join(model.link, model.link.c.oid == model.object.c.oid)
    .where(
        model.link.c.package_id == sa.bindparam("of_package"),
        model.link.c.oid == sa.any_(sa.bindparam("oids", type_=ARRAY(sa.Text))),
    )
)


def of_resources() -> sa.Select[Any]:
    """``package_id, oid``: what the resources of all datasets refer to. A deleted dataset can be restored, a
    deleted resource not."""
    oid = sa.cast(_resource.c.extras, JSONB)["sha256"].astext
    return sa.select(_resource.c.package_id, oid.label("oid")).where(
        _resource.c.state != "deleted", _resource.c.extras.contains("sha256")
    )


def linked(connection: sa.Connection, package_id: str, oids: Iterable[str]) -> dict[str, StoredObject]:
    """Those of *oids* that the dataset has brought itself; what other datasets have is never told."""
    rows = connection.execute(LINKED, {"of_package": package_id, "oids": list(oids)})
    return {row.oid: StoredObject(row.oid, row.size, row.key, row.verified) for row in rows}


def use(
    connection: sa.Connection, package_id: str, oids: Iterable[str], store: ObjectStore | None = None
) -> dict[str, int]:
    """Say that a save is about to refer to *oids*: oid → size in bytes of those that are linked, and in reach
    of *store* if one is given.

    The update locks the links, so that nothing can remove them before the save has committed.
    """
    chosen = [
        model.link.c.package_id == package_id,
        model.link.c.oid.in_(list(oids)),
        model.object.c.oid == model.link.c.oid,
        *([reached(KEY)] if store else []),
    ]
    using = model.link.update().values(used_at=sa.func.now()).where(*chosen)
    rows = connection.execute(using.returning(model.link.c.oid, SIZE), in_reach(store) if store else {})
    return {row.oid: row.size for row in rows}


def note_in_use(connection: sa.Connection, package_id: str) -> None:
    """The resources of the dataset have their files until now: if a save takes one away, its time of grace
    begins there.

    An hour is exact enough, and keeps most saves from writing. Links that somebody else holds are left:
    they are being used, or are nobody's.
    """
    table, needed = model.link, of_resources().subquery()
    here = sa.select(needed.c.oid).where(needed.c.package_id == package_id)
    stale = table.c.used_at < sa.func.now() - timedelta(hours=1)
    chosen = (
        sa.select(table.c.oid)
        .where(table.c.package_id == package_id, stale, table.c.oid.in_(here))
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    connection.execute(
        table.update()
        .values(used_at=sa.func.now())
        .where(table.c.package_id == package_id, table.c.oid == chosen.c.oid)
    )


def link(
    connection: sa.Connection, oid: str, package_id: str, upload_id: str, own_key: str | None = None
) -> None:
    """The dataset has brought the object by this upload. Only `receiving.verify` and saves of files that came
    before their dataset call it. *own_key*: the dataset's own copy, where the store keeps one for each."""
    new = insert(model.link).values(oid=oid, package_id=package_id, upload_id=upload_id, own_key=own_key)
    found = {"used_at": sa.func.now(), "own_key": own_key, "unverified_size": None}
    connection.execute(new.on_conflict_do_update(index_elements=["oid", "package_id"], set_=found))


def forget_dataset(connection: sa.Connection, package_id: str, now: datetime) -> None:
    """A purged dataset owns nothing any more: one re-created with the same id must not inherit bytes."""
    # Uploads first: one that is being verified is waited for, and its link is there then.
    gone = connection.execute(
        model.upload.delete()
        .where(model.upload.c.package_id == package_id)
        .returning(model.upload.c.key, model.upload.c.state, model.upload.c.store_ref)
    ).all()
    connection.execute(model.link.delete().where(model.link.c.package_id == package_id))
    unfinished = {row.key: row.store_ref for row in gone if row.state in ("open", "received")}
    bury(connection, unfinished, now, unfinished)
