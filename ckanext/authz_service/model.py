"""The two tables that say which tokens were issued to whom, and which of them were taken back.

Plain SQLAlchemy without CKAN's model, so that a server in a process without CKAN can ask them, too. Nothing
refers to core's tables by foreign key: the ledger does not stand in the way of anything done to an account.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

metadata = sa.MetaData()

#: A token that names a user. Never the token itself: nothing here opens anything. ``issued`` is by the
#: database's clock, ``expires`` the token's ``exp``, ``audience`` its ``aud``, ``revoked_by`` a user's id.
token = sa.Table(
    "authz_service_token",
    metadata,
    sa.Column("jti", sa.Text, primary_key=True),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("scopes", postgresql.ARRAY(sa.Text), nullable=False),
    sa.Column("audience", sa.Text),
    sa.Column("issued", sa.DateTime(timezone=True), nullable=False),
    sa.Column("expires", sa.DateTime(timezone=True), nullable=False),
    sa.Column("revoked_at", sa.DateTime(timezone=True)),
    sa.Column("revoked_by", sa.Text),
    sa.CheckConstraint("cardinality(scopes) > 0", name="authz_service_token_scopes"),
    sa.Index("authz_service_token_user", "user_id", "issued"),
    sa.Index("authz_service_token_expires", "expires"),
)

#: Tokens of this user that were issued before ``not_before``, the database's clock, prove nothing. It also
#: covers a token whose row is not yet committed when all are revoked. ``set_by`` is a user's id.
user_cutoff = sa.Table(
    "authz_service_user_cutoff",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
    sa.Column("set_by", sa.Text),
)
