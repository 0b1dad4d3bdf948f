"""Does an upload still belong to an active user, and to a dataset that is where it was?

Read-only SQL on the tables of CKAN and of authz_service.
"""

from __future__ import annotations

from datetime import datetime

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
    state = connection.execute(sa.select(_user.c.state).where(_user.c.id == user_id)).scalar()
    if state not in (None, "active"):
        return "The account that began this upload is not active any more."
    # Not a function of `ledger`: this one must not fail where no token was ever issued.
    if connection.execute(sa.select(sa.func.to_regclass(_cutoff.name))).scalar():
        cutoff = sa.select(_cutoff.c.not_before).where(_cutoff.c.user_id == user_id)
        not_before = connection.execute(cutoff).scalar()
        if not_before and not_before > begun:
            return "The tokens of the account that began this upload were revoked."
    if package_id is None:
        return None
    package = connection.execute(
        sa.select(_package.c.state, _package.c.owner_org).where(_package.c.id == package_id)
    ).first()
    if package is None or package.state == "deleted":
        return "The dataset was deleted while the file was on its way."
    if owner_org is not None and package.owner_org != owner_org:
        return "The dataset moved to another organisation while the file was on its way."
    return None


def owner_org(connection: sa.Connection, package_id: str) -> str | None:
    """Id of the organisation that the dataset has now."""
    return connection.execute(sa.select(_package.c.owner_org).where(_package.c.id == package_id)).scalar()


def database_now(connection: sa.Connection) -> datetime:
    """The one clock that all processes agree on."""
    return connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
