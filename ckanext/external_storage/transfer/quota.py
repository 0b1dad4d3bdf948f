"""How much an organisation keeps, and how much it may.

It is charged for every object that a dataset of it has, once, however many of its datasets have it, and
whether other organisations have it too; and for uploads under way, as much as they declared. So what an
upload is told does not depend on what is in the store already. Nothing is counted along: links and uploads
are summed up when somebody asks.

A dataset without an organisation is charged to nobody. One that is moved is charged to the organisation it is
in now, which may put that over its limit: the move is never refused, later uploads are.

All functions take a SQLAlchemy connection inside a transaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ckanext.external_storage import errors, model

_package = sa.table("package", sa.column("id"), sa.column("owner_org"))


@dataclass(frozen=True)
class Usage:
    """Bytes. ``reserved`` for uploads that are not linked yet; ``limit`` None is no limit."""

    used: int
    reserved: int
    limit: int | None

    @property
    def total(self) -> int:
        return self.used + self.reserved


_default: Callable[[], int | None] | None = None


def set_default(limit: Callable[[], int | None]) -> None:
    """*limit* says what organisations without a limit of their own may keep. Called once in a process."""
    global _default
    _default = limit


def usage(connection: sa.Connection, owner_org: str) -> Usage:
    return _usage(connection, owner_org, limit(connection, owner_org))


def limit(connection: sa.Connection, owner_org: str) -> int | None:
    """Bytes; None for no limit."""
    query = sa.select(model.quota.c.limit_bytes).where(model.quota.c.owner_org == owner_org)
    row = connection.execute(query).first()
    return row.limit_bytes if row else _of_the_site()


def _of_the_site() -> int | None:
    return _default() if _default else None


def set_limit(connection: sa.Connection, owner_org: str, limit_bytes: int | None) -> None:
    """None: no limit, whatever the site's default."""
    new = insert(model.quota).values(owner_org=owner_org, limit_bytes=limit_bytes)
    connection.execute(
        new.on_conflict_do_update(index_elements=["owner_org"], set_={"limit_bytes": limit_bytes})
    )


def unset_limit(connection: sa.Connection, owner_org: str) -> None:
    """The site's default holds again."""
    connection.execute(model.quota.delete().where(model.quota.c.owner_org == owner_org))


def check(connection: sa.Connection, package_id: str | None, owner_org: str | None, needed: int) -> None:
    """Called when uploads or a link of *needed* bytes have been written, and before they are committed.

    Arguments and locking as for `usage_now`: of two that fit singly but not together one fails. Raises
    QuotaExceeded.
    """
    now = usage_now(connection, package_id, owner_org)
    if now and now.limit is not None and now.total > now.limit:
        raise errors.QuotaExceeded(max(now.total - needed, 0), now.limit, needed)


def usage_now(connection: sa.Connection, package_id: str | None, owner_org: str | None) -> Usage | None:
    """What the dataset's organisation has, and nobody else adds to until the transaction ends; None where
    there is no limit. *owner_org* counts where there is no dataset yet, or the caller has just asked for it.
    """
    if package_id is not None:
        row = connection.execute(_OF_DATASET, {"of_package": package_id}).first()
        owner_org = row.owner_org if row else None
        allowed = row.limit_bytes if row and row.of_its_own else _of_the_site()
    else:
        allowed = limit(connection, owner_org) if owner_org else None
    if not owner_org or allowed is None:
        return None
    # Not a lock of the quota's row: where the default holds there is none.
    lock = sa.func.pg_advisory_xact_lock(
        sa.func.hashtext("external_storage_quota"), sa.func.hashtext(owner_org)
    )
    connection.execute(sa.select(lock))
    # In a statement of its own, so that it sees what the holder of the lock before has committed.
    return _usage(connection, owner_org, allowed)


def _usage(connection: sa.Connection, owner_org: str, allowed: int | None) -> Usage:
    row = connection.execute(_SUMS, {"of_org": owner_org}).one()
    return Usage(int(row.used), int(row.reserved), allowed)


def _used(owner_org: sa.ColumnElement[str]) -> sa.Select[tuple[int]]:
    o, link, p = model.object.c, model.link.c, _package.c
    # Not EXISTS (SELECT *): the role of a standalone server may read some columns only.
    its = sa.select(link.oid).where(link.oid == o.oid, link.package_id == p.id, p.owner_org == owner_org)
    return sa.select(sa.func.coalesce(sa.func.sum(o.size), 0)).where(its.exists())


def _reserved(owner_org: sa.ColumnElement[str]) -> sa.Select[tuple[int]]:
    u, p = model.upload.c, _package.c
    its_dataset = sa.select(p.id).where(p.owner_org == owner_org)
    its = sa.or_(u.package_id.in_(its_dataset), sa.and_(u.package_id.is_(None), u.owner_org == owner_org))
    lives = u.expires_at > sa.func.now()
    under_way = sa.or_(
        sa.and_(u.state == "open", lives),
        u.state == "received",
        sa.and_(u.state == "verified", u.package_id.is_(None), lives),
    )
    return sa.select(sa.func.coalesce(sa.func.sum(u.declared_size), 0)).where(its, under_way)


_ORG = sa.bindparam("of_org", type_=sa.Text)
_SUMS = sa.select(
    _used(_ORG).scalar_subquery().label("used"), _reserved(_ORG).scalar_subquery().label("reserved")
)
_OF_DATASET = (
    sa.select(
        _package.c.owner_org,
        model.quota.c.limit_bytes,
        model.quota.c.owner_org.is_not(None).label("of_its_own"),
    )
    .select_from(_package.outerjoin(model.quota, model.quota.c.owner_org == _package.c.owner_org))
    .where(_package.c.id == sa.bindparam("of_package"))
)
