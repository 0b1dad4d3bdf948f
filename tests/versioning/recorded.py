"""What is in the tables, read without the code under test."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.tests import helpers

from ckanext.versioning import model as tables
from ckanext.versioning import verifying


def revisions(package_id: str) -> list[Any]:
    """Rows of the dataset's revisions, oldest first, as a new transaction sees them."""
    r = tables.revision
    with _engine().connect() as connection:
        return list(connection.execute(sa.select(r).where(r.c.package_id == package_id).order_by(r.c.seq)))


def newest(package_id: str) -> Any:
    return revisions(package_id)[-1]


def states(package_id: str, seq: int) -> list[Any]:
    """Rows of the resources in a revision, in their order."""
    s = tables.resource_state
    with _engine().connect() as connection:
        rows = connection.execute(sa.select(s).where(s.c.package_id == package_id).order_by(s.c.position))
        return [r for r in rows if r.from_seq <= seq and (r.to_seq is None or seq < r.to_seq)]


#: What `package_show` with `revision_ref` adds.
MARKS = ("revision_ref", "is_current", "revision")


def shown(id: str, **context: Any) -> dict[str, Any]:
    """The dataset as `package_show` shows it now, without Solr."""
    return helpers.call_action("package_show", {"use_cache": False, **context}, id=id)


def text(package_id: str, sha: str) -> Any:
    """The stored body with this hash."""
    b = tables.metadata_blob
    with _engine().connect() as connection:
        query = sa.select(b.c.body).where(b.c.package_id == package_id, b.c.sha == sha)
        return json.loads(connection.execute(query).scalar_one())


def row_counts(package_id: str) -> list[int]:
    """Rows of the dataset in each of our tables."""
    with _engine().connect() as connection:
        return [
            connection.execute(
                sa.select(sa.func.count()).select_from(t).where(t.c.package_id == package_id)
            ).scalar_one()
            for t in tables.TABLES
        ]


def stored_title(package_id: str) -> str | None:
    """The dataset's title as a new transaction sees it; None if there is no such dataset."""
    with _engine().connect() as connection:
        query = sa.text("SELECT title FROM package WHERE id = :id")
        return connection.execute(query, {"id": package_id}).scalar()


def assert_chain_holds(package_id: str) -> None:
    """No gap, no fork, and every id and hash is what the facts beside it give."""
    with _engine().connect() as connection:
        assert list(verifying.history_findings(connection, package_id)) == []
    assert revisions(package_id)


def call(action: str, user: Any = None, **data: Any) -> Any:
    """The action as *user* (a dict, or "" for nobody) with all checks; without user, as the system."""
    if user is None:
        return helpers.call_action(action, **data)
    name = user and user["name"]
    return helpers.call_action(action, {"user": name, "ignore_auth": False}, **data)


def _engine() -> Any:
    return model.meta.engine
