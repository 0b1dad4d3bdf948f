"""The tables that hold the history of all datasets.

Rows are only added, but for `resource_state.to_seq`, which ends a state, `classic_file.oid`, which becomes
known later, for releases, and for purging a dataset. Nothing refers to core's tables by
foreign key: a dataset's history does not stand in the way of anything done to it.
The tables are in CKAN's metadata, so that whatever empties or creates all of CKAN's tables does it to them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan.model import meta
from sqlalchemy.dialects import postgresql


class StoredJson(sa.types.UserDefinedType):
    """PostgreSQL's ``json`` written and read as the very text that is stored.

    ``jsonb`` would lose what hashes are made over: the text, NUL characters, the form of numbers.
    """

    cache_ok = True

    def get_col_spec(self, **kw: Any) -> str:
        return "JSON"

    def column_expression(self, colexpr: Any) -> Any:
        return sa.cast(colexpr, sa.Text)


#: A state of a dataset that was saved. ``seq`` counts from 1 without gaps, ``id`` and the ``*_sha`` are
#: explained in `history`. What redaction will have to empty may be NULL. ``labels`` are CKAN's permission
#: labels at the time, ``created`` is the database's clock. ``txid`` and ``number`` are explained in `feed`.
revision = sa.Table(
    "versioning_revision",
    meta.metadata,
    sa.Column("package_id", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    sa.Column("parent_id", sa.Text),
    sa.Column("meta_sha", sa.Text, nullable=False),
    sa.Column("body_sha", sa.Text, nullable=False),
    sa.Column("body_salt", sa.LargeBinary),
    sa.Column("author_id", sa.Text),
    sa.Column("author_name", sa.Text),
    sa.Column("author_sha", sa.Text, nullable=False),
    sa.Column("author_salt", sa.LargeBinary),
    sa.Column("message", sa.Text),
    sa.Column("message_sha", sa.Text, nullable=False),
    sa.Column("message_salt", sa.LargeBinary),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("changeset", sa.Text, nullable=False),
    sa.Column("labels", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("summary", postgresql.JSONB, nullable=False),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Column("txid", sa.BigInteger, nullable=False, server_default=sa.text("txid_current()")),
    sa.Column("number", sa.BigInteger, sa.Identity(), nullable=False),
    sa.CheckConstraint("(seq = 1) = (parent_id IS NULL) AND seq >= 1", name="versioning_revision_chain"),
    sa.Index("versioning_revision_changeset", "package_id", "changeset", "seq"),
    sa.Index(
        "versioning_revision_renamed",
        "package_id",
        "seq",
        postgresql_where=sa.text("summary -> 'fields' ? 'name'"),
    ),
    sa.Index("versioning_revision_number", "txid", "number", unique=True),
)

#: A resource from revision ``from_seq`` up to, but not in, ``to_seq`` (NULL: still). ``position`` is its
#: place from 0, ``oid`` the sha256 and ``size`` the bytes of its stored file.
resource_state = sa.Table(
    "versioning_resource_state",
    meta.metadata,
    sa.Column("package_id", sa.Text, primary_key=True),
    sa.Column("resource_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("meta_sha", sa.Text, nullable=False),
    sa.Column("oid", sa.Text),
    sa.Column("size", sa.BigInteger),
    sa.Column("from_seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("to_seq", sa.Integer),
    sa.CheckConstraint("to_seq > from_seq", name="versioning_resource_state_range"),
    # A save reads the current states only, however long the history is.
    sa.Index(
        "versioning_resource_state_current",
        "package_id",
        "resource_id",
        unique=True,
        postgresql_where=sa.text("to_seq IS NULL"),
    ),
    sa.Index("versioning_resource_state_resource", "resource_id"),
)

#: Bodies of datasets and resources as `snapshot` makes them, by their salted sha.
metadata_blob = sa.Table(
    "versioning_metadata_blob",
    meta.metadata,
    sa.Column("package_id", sa.Text, primary_key=True),
    sa.Column("sha", sa.Text, primary_key=True),
    sa.Column("salt", sa.LargeBinary),
    sa.Column("projection_sha", sa.Text),
    sa.Column("body", StoredJson),
)


def text_in(body: Any, name: str) -> Any:
    r"""The text that a recorded dataset has under *name*, in SQL.

    PostgreSQL reads all of a JSON to find one part, and takes no NUL and no half of a surrogate pair, which a
    field may have: their escapes are left out before. ``\\`` is a backslash, and no part of an escape.
    """
    escapes = r"(\\\\)|\\u(0000|[dD][89a-fA-F][0-9a-fA-F]{2})"
    readable = sa.func.regexp_replace(sa.cast(body, sa.Text), escapes, r"\1", "g")
    return sa.func.json_extract_path_text(sa.cast(readable, sa.JSON), name, type_=sa.Text)


#: A revision that somebody has named.
release = sa.Table(
    "versioning_release",
    meta.metadata,
    sa.Column("package_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("doi", sa.Text),
    sa.Column("author_id", sa.Text),
    sa.Column("author_name", sa.Text),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Index("versioning_release_seq", "package_id", "seq"),
)

#: The file that CKAN's own FileStore had for a state of a resource: its size (bytes) and when it was written
#: (nanoseconds since 1970). ``oid`` is the sha256 of its bytes once they are in the object store, where
#: they are linked to the dataset. It is not in `resource_state`, because a revision's id is made from that.
#: Whatever removes objects that nobody needs has to count these oids as needed, like those of the states.
classic_file = sa.Table(
    "versioning_classic_file",
    meta.metadata,
    sa.Column("package_id", sa.Text, primary_key=True),
    sa.Column("resource_id", sa.Text, primary_key=True),
    sa.Column("from_seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("mtime_ns", sa.BigInteger, nullable=False),
    sa.Column("oid", sa.Text),
    sa.Index(
        "versioning_classic_file_waiting",
        "package_id",
        "resource_id",
        postgresql_where=sa.text("oid IS NULL"),
    ),
)

#: One row, which says about itself in which transaction and table it was written: see `feed`.
feed = sa.Table(
    "versioning_feed",
    meta.metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("table_oid", sa.BigInteger, nullable=False),
    sa.Column("txid", sa.BigInteger, nullable=False, server_default=sa.text("txid_current()")),
)

#: What a release was before somebody changed or deleted it; author and ``created`` are those of the change.
release_change = sa.Table(
    "versioning_release_change",
    meta.metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("package_id", sa.Text, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("title", sa.Text),
    sa.Column("notes", sa.Text, nullable=False),
    sa.Column("doi", sa.Text),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("author_id", sa.Text),
    sa.Column("author_name", sa.Text),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    sa.Index("versioning_release_change_name", "package_id", "name"),
)

#: Those with rows of a dataset, all of which have its ``package_id``.
TABLES = (revision, resource_state, metadata_blob, release, release_change, classic_file)


def tables_present(connection: Any) -> bool:
    """Has ``ckan db upgrade -p versioning`` been run? *connection* is a connection or a session."""
    found = sa.text("SELECT count(*) FROM unnest(:names) AS name WHERE to_regclass(name) IS NOT NULL")
    names = [table.name for table in (*TABLES, feed)]
    return connection.execute(found, {"names": names}).scalar() == len(names)
