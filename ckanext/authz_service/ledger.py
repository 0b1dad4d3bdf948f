"""The ledger: which tokens were issued to whom, and which of them still count. No CKAN, only its database.

Every token that names a user has a row; one that has none proves nothing to those who ask here. Tokens of
anonymous users have no row: they open what is public, and there is nobody who could take them back.

All times are the database's clock, so that machines whose clocks differ agree on what came first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from ckanext.authz_service.errors import InvalidToken, LedgerMissing, LedgerUnavailable
from ckanext.authz_service.model import metadata, token, user_cutoff

#: Rows that outlived their time and go with each new one: more than one, so that the table cannot only grow.
SWEPT_PER_TOKEN = 2

_UNDEFINED_TABLE = "42P01"
_JTI = re.compile(r"[0-9a-f-]{1,36}")

#: What is read of CKAN's accounts, and all that a role of its own must be allowed to read of them.
USER = _user = sa.table("user", sa.column("id"), sa.column("name"), sa.column("state"))


class Cursor(NamedTuple):
    """Where a page of the ledger ends: the last entry's time and ``jti``."""

    issued: datetime
    jti: str

    @classmethod
    def from_string(cls, text: object) -> Cursor:
        """Raises ValueError."""
        issued, separator, jti = text.partition("_") if isinstance(text, str) else ("", "", "")
        if not separator or not _JTI.fullmatch(jti):
            raise ValueError("not a cursor")
        when = datetime.fromisoformat(issued)
        if when.tzinfo is None:
            raise ValueError("not a cursor")
        return cls(when, jti)

    def __str__(self) -> str:
        return f"{self.issued.isoformat()}_{self.jti}"


@dataclass(frozen=True)
class Entry:
    """A row as people and programs see it. ``user_name`` is None if the account is gone.

    ``live``: whether the token proves something now. ``revoked_by`` is a user's id, None if nobody is known.
    """

    jti: str
    user_id: str
    user_name: str | None
    scopes: tuple[str, ...]
    audience: str | None
    issued: datetime
    expires: datetime
    revoked_at: datetime | None
    revoked_by: str | None
    live: bool

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON: times in ISO 8601 with offset."""
        found = asdict(self)
        times = {key: value.isoformat() for key, value in found.items() if isinstance(value, datetime)}
        return {**found, **times, "scopes": list(self.scopes)}


@contextmanager
def opened(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A short transaction of its own, whatever else is going on in the caller's.

    Raises LedgerMissing, LedgerUnavailable.
    """
    with _database_errors_named(), engine.begin() as connection:
        yield connection


def record(
    connection: sa.Connection,
    *,
    jti: str,
    user_id: str,
    scopes: Sequence[str],
    audience: str | None,
    expires: datetime,
    retention: timedelta,
) -> None:
    """Enter a token, in one statement that also removes a few rows whose retention is over."""
    swept = (
        sa.select(token.c.jti)
        .where(token.c.expires < sa.func.now() - retention)
        .order_by(token.c.expires)
        .limit(SWEPT_PER_TOKEN)
        .with_for_update(skip_locked=True)
        .cte("swept")
    )
    gone = sa.delete(token).where(token.c.jti.in_(sa.select(swept.c.jti))).cte("gone")
    connection.execute(
        sa.insert(token)
        .values(
            jti=jti,
            user_id=user_id,
            scopes=list(scopes),
            audience=audience,
            issued=sa.func.clock_timestamp(),
            expires=expires,
        )
        .add_cte(gone)
    )


def check(connection: sa.Connection, jti: str, user_id: str) -> None:
    """Whether a token that is otherwise good still counts, in one statement.

    Raises InvalidToken (``not_recorded``, ``revoked``, ``inactive_user``), LedgerMissing, LedgerUnavailable.
    """
    with _database_errors_named():
        row = connection.execute(_STANDING, {"of_jti": jti, "of_user": user_id}).first()
    if row is None:
        raise InvalidToken("not_recorded", "this site's list of issued tokens does not have it")
    if row.state != "active":
        raise InvalidToken(
            "inactive_user",
            "the account that it was issued to is not active",
            advice="An administrator can activate it; then ask for a new token.",
        )
    if row.revoked_at is not None:
        raise InvalidToken("revoked", "it was revoked")


def listing(
    connection: sa.Connection,
    *,
    user_id: str | None = None,
    every: bool = False,
    limit: int,
    after: Cursor | None = None,
) -> tuple[list[Entry], Cursor | None]:
    """Tokens, the newest first, and where the next page begins; None if there is none.

    user_id: of this user only.
    every: also those that have expired or were revoked, as far as they are still kept.
    """
    query = _entries().order_by(token.c.issued.desc(), token.c.jti.desc()).limit(limit + 1)
    if user_id is not None:
        query = query.where(token.c.user_id == user_id)
    if not every:
        query = query.where(_live)
    if after is not None:
        query = query.where(sa.tuple_(token.c.issued, token.c.jti) < sa.tuple_(*map(sa.literal, after)))
    rows = connection.execute(query).mappings()
    found = [Entry(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
    page = found[:limit]
    return page, Cursor(page[-1].issued, page[-1].jti) if len(found) > limit else None


def owner(connection: sa.Connection, jti: str) -> str | None:
    """Id of the user that a token was issued to; None if there is no such row."""
    return connection.execute(sa.select(token.c.user_id).where(token.c.jti == jti)).scalar()


def revoke(connection: sa.Connection, jti: str, by: str | None) -> int:
    """Take one token back. How many live tokens that ended: 0 or 1."""
    count = _live_ones(connection, token.c.jti == jti)
    connection.execute(_revoking(by).where(token.c.jti == jti))
    return count


def revoke_all(connection: sa.Connection, user_id: str, by: str | None) -> int:
    """Take back all tokens of a user, also those being issued at this moment. How many live ones it ended."""
    count = _live_ones(connection, token.c.user_id == user_id)
    cut_off(connection, user_id, by)
    still_good = token.c.expires > sa.func.clock_timestamp()
    connection.execute(_revoking(by).where(token.c.user_id == user_id, still_good))
    return count


def cut_off(connection: sa.Connection, user_id: str, by: str | None) -> None:
    """From now on, tokens of this user that were issued earlier prove nothing."""
    new = {"not_before": sa.func.clock_timestamp(), "set_by": by}
    statement = insert(user_cutoff).values(user_id=user_id, **new)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id"], set_=new))


def prune(connection: sa.Connection, retention: timedelta) -> int:
    """Remove rows of tokens that expired longer ago than *retention*; how many."""
    end = sa.func.now() - retention
    pruned = connection.execute(sa.delete(token).where(token.c.expires < end)).rowcount
    # A cutoff goes when nothing is left that it is about. One that is young may be about rows being written.
    earlier = sa.exists().where(
        token.c.user_id == user_cutoff.c.user_id, token.c.issued < user_cutoff.c.not_before
    )
    connection.execute(sa.delete(user_cutoff).where(user_cutoff.c.not_before < end, ~earlier))
    return pruned


def tables_present(connection: sa.Connection) -> bool:
    """Has ``ckan db upgrade -p authz_service`` been run?"""
    found = sa.text("SELECT count(*) FROM unnest(:names) AS name WHERE to_regclass(name) IS NOT NULL")
    return connection.execute(found, {"names": list(metadata.tables)}).scalar() == len(metadata.tables)


# --- what the statements share ------------------------------------------------------------------------------

_joined = token.outerjoin(_user, _user.c.id == token.c.user_id).outerjoin(
    user_cutoff, user_cutoff.c.user_id == token.c.user_id
)
_cut_off = user_cutoff.c.not_before > token.c.issued
_revoked_at = sa.func.coalesce(token.c.revoked_at, sa.case((_cut_off, user_cutoff.c.not_before)))
_STANDING = (
    sa.select(_user.c.state, _revoked_at.label("revoked_at"))
    .select_from(_joined)
    .where(token.c.jti == sa.bindparam("of_jti"), token.c.user_id == sa.bindparam("of_user"))
)
_live = sa.and_(token.c.expires > sa.func.clock_timestamp(), _revoked_at.is_(None), _user.c.state == "active")


def _entries() -> Any:
    return sa.select(
        token.c.jti,
        token.c.user_id,
        _user.c.name.label("user_name"),
        token.c.scopes,
        token.c.audience,
        token.c.issued,
        token.c.expires,
        _revoked_at.label("revoked_at"),
        sa.case(
            (token.c.revoked_at.is_not(None), token.c.revoked_by), (_cut_off, user_cutoff.c.set_by)
        ).label("revoked_by"),
        sa.func.coalesce(_live, sa.false()).label("live"),
    ).select_from(_joined)


def _live_ones(connection: sa.Connection, condition: Any) -> int:
    query = sa.select(sa.func.count()).select_from(_joined).where(condition, _live)
    return connection.execute(query).scalar() or 0


def _revoking(by: str | None) -> Any:
    # What was revoked before keeps the time and the name of that.
    new = {"revoked_at": sa.func.clock_timestamp(), "revoked_by": by}
    return sa.update(token).where(token.c.revoked_at.is_(None)).values(**new)


@contextmanager
def _database_errors_named() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        if getattr(getattr(error, "orig", None), "pgcode", None) == _UNDEFINED_TABLE:
            raise LedgerMissing from error
        raise LedgerUnavailable from error
