"""The tables that say which bytes exist, for which dataset, and which must go.

Rules and reasons are in docs/external_storage.rst. Plain SQLAlchemy without CKAN's model, so that the
LFS application can also run in a process without CKAN.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

#: One attempt to bring bytes in: ``open → received → verified | rejected``, ``open → verified | rejected |
#: expired``; a trigger allows no other transition and keeps what was declared unchanged. Sizes are in bytes.
#: Without ``package_id``: a file of a dataset that is about to be created, in ``owner_org``. ``transfer``:
#: how the bytes come. ``store_ref``: where the store collects the parts (a secret). ``etag``: which state of
#: the bytes is being checked; ``hashed``: how far that is; ``lease_until``: until when somebody is at it.
#: ``signed_until``: until when a signed request that was handed out can still write.
upload = sa.Table(
    "external_storage_upload",
    metadata,
    sa.Column("id", postgresql.UUID(as_uuid=False), primary_key=True),
    sa.Column("package_id", sa.Text),
    sa.Column("owner_org", sa.Text),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("filename", sa.Text),
    sa.Column("fingerprint", sa.Text),
    sa.Column("declared_oid", sa.Text),
    sa.Column("declared_size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("transfer", sa.Text, nullable=False, server_default="stream"),
    sa.Column("store_ref", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("oid", sa.Text),
    sa.Column("etag", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("hashed", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("lease_until", sa.DateTime(timezone=True)),
    sa.Column("signed_until", sa.DateTime(timezone=True)),
    sa.Column("created", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("declared_size >= 0", name="external_storage_upload_size"),
    sa.CheckConstraint("declared_oid ~ '^[0-9a-f]{64}$'", name="external_storage_upload_declared_oid"),
    sa.CheckConstraint(
        "state IN ('open', 'received', 'verified', 'rejected', 'expired')",
        name="external_storage_upload_state",
    ),
    sa.CheckConstraint(
        "transfer IN ('stream', 'tus', 'put', 'multipart')", name="external_storage_upload_transfer"
    ),
    sa.CheckConstraint("state <> 'rejected' OR reason IS NOT NULL", name="external_storage_upload_reason"),
    sa.CheckConstraint("(state = 'verified') = (oid IS NOT NULL)", name="external_storage_upload_verified"),
    sa.CheckConstraint("oid = declared_oid", name="external_storage_upload_oid"),
    # One open upload per user, dataset and declared content: a repeated batch gets the same one.
    sa.Index(
        "external_storage_upload_open",
        "user_id",
        "package_id",
        "declared_oid",
        "declared_size",
        unique=True,
        postgresql_where=sa.text("state = 'open'"),
    ),
    # The same for a file that a browser has chosen and not hashed yet.
    sa.Index(
        "external_storage_upload_fingerprint",
        "user_id",
        "package_id",
        "fingerprint",
        unique=True,
        postgresql_where=sa.text("state = 'open' AND fingerprint IS NOT NULL"),
    ),
    sa.Index("external_storage_upload_expiry", "expires_at", postgresql_where=sa.text("state = 'open'")),
    sa.Index(
        "external_storage_upload_received", "lease_until", postgresql_where=sa.text("state = 'received'")
    ),
    sa.Index("external_storage_upload_user", "user_id"),
    sa.Index("external_storage_upload_package", "package_id"),
)

#: Bytes that are present under ``key`` and were hashed. The primary key is what "create once" means.
#: ``hashed`` is false only for what an external server said it has while ``verify_external`` was off; such a
#: row says nothing to anybody but the links that have a copy of their own, and is replaced by the first
#: upload that was hashed.
object = sa.Table(
    "external_storage_object",
    metadata,
    sa.Column("oid", sa.Text, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("hashed", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.CheckConstraint("oid ~ '^[0-9a-f]{64}$'", name="external_storage_object_oid"),
    sa.CheckConstraint("size >= 0", name="external_storage_object_size"),
)

#: This dataset brought these bytes itself. Nothing refers to an object without a link. ``own_key``: the
#: dataset's own copy, where the store keeps one for each (an external server); ``unverified_size``: bytes
#: that copy has by the server's word, if nobody has hashed it.
link = sa.Table(
    "external_storage_link",
    metadata,
    sa.Column("oid", sa.Text, sa.ForeignKey("external_storage_object.oid", ondelete="RESTRICT")),
    sa.Column("package_id", sa.Text),
    sa.Column("upload_id", postgresql.UUID(as_uuid=False), nullable=False),
    sa.Column("used_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("own_key", sa.Text),
    sa.Column("unverified_size", sa.BigInteger),
    sa.PrimaryKeyConstraint("oid", "package_id"),
    sa.CheckConstraint(
        "unverified_size IS NULL OR own_key IS NOT NULL", name="external_storage_link_unverified"
    ),
    sa.Index("external_storage_link_package", "package_id"),
)

#: The only list of things to delete from the store.
dead_key = sa.Table(
    "external_storage_dead_key",
    metadata,
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("store_ref", sa.Text),
    sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
)

#: What an organisation may keep, in bytes, where it differs from the site's default; NULL is no limit.
quota = sa.Table(
    "external_storage_quota",
    metadata,
    sa.Column("owner_org", sa.Text, primary_key=True),
    sa.Column("limit_bytes", sa.BigInteger),
    sa.CheckConstraint("limit_bytes >= 0", name="external_storage_quota_limit"),
)
