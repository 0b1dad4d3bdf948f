"""Does an upload still belong to an active user, and to a dataset that is where it was?

Read-only SQL on the tables of CKAN and of authz_service.
"""

from __future__ import annotations

import weakref
from datetime import datetime
from typing import Any

import sqlalchemy as sa

_user = sa.table("user", sa.column("id"), sa.column("state"))
_package = sa.table("package", sa.column("id"), sa.column("state"), sa.column("owner_org"))
_cutoff = sa.table("authz_service_user_cutoff", sa.column("user_id"), sa.column("not_before"))


def lost(
    connection: sa.Connection, user_id: str, package_id: str | None, owner_org: str | None, begun: datetime
) -> str | None:
    """Why an upload that this user began at *begun* must not be kept any more; None if it may.

    user_id: "" for what the site itself brings in; that depends on nobody.
    owner_org: id of the organisation that the dataset had then; None if it is not known.
    """
    if not user_id:
        return None
    query = _NOW if _has_cutoffs(connection) else _NOW_WITHOUT_CUTOFFS
    row = connection.execute(query, {"of_user": user_id, "of_package": package_id}).one()
    if row.account not in (None, "active"):
        return "The account that began this upload is not active any more."
    if row.not_before and row.not_before > begun:
        return "The tokens of the account that began this upload were revoked."
    if package_id is None:
        return None
    if row.dataset in (None, "deleted"):
        return "The dataset was deleted while the file was on its way."
    if owner_org is not None and row.owner_org != owner_org:
        return "The dataset moved to another organisation while the file was on its way."
    return None


def _asked(not_before: Any) -> sa.Select[Any]:
    def one(column: sa.ColumnClause[Any], key: sa.ColumnClause[Any], name: str) -> Any:
        return sa.select(column).where(key == sa.bindparam(name)).scalar_subquery()

    return sa.select(
        one(_user.c.state, _user.c.id, "of_user").label("account"),
        one(_package.c.state, _package.c.id, "of_package").label("dataset"),
        one(_package.c.owner_org, _package.c.id, "of_package").label("owner_org"),
        not_before.label("not_before"),
    )


_NOW_WITHOUT_CUTOFFS = _asked(sa.null())
_NOW = _asked(
    sa.select(_cutoff.c.not_before).where(_cutoff.c.user_id == sa.bindparam("of_user")).scalar_subquery()
)
_with_cutoffs: weakref.WeakSet[sa.Engine] = weakref.WeakSet()


def _has_cutoffs(connection: sa.Connection) -> bool:
    """Has authz_service its tables? Once they are there, they stay, and this is not asked again.

    Not a function of `ledger`: uploads must not fail where no token was ever issued.
    """
    if connection.engine in _with_cutoffs:
        return True
    there = bool(connection.execute(sa.select(sa.func.to_regclass(_cutoff.name))).scalar())
    if there:
        _with_cutoffs.add(connection.engine)
    return there


def database_now(connection: sa.Connection) -> datetime:
    """The one clock that all processes agree on."""
    return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
