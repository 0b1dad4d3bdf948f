"""When an account is deactivated or deleted, the tokens it holds end for good.

They prove nothing while it is not active, however that came about: whoever checks a token looks at the
account. What is done here is for the time after: an account that is activated again does not get them back.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import model, plugins
from sqlalchemy import event

from ckanext.authz_service import ledger


def watch() -> None:
    """Begin to notice changes of accounts; called each time CKAN loads the plugin."""
    if not event.contains(model.User, "after_update", _end_tokens):
        event.listen(model.User, "after_update", _end_tokens)


def _end_tokens(mapper: Any, connection: Any, user: Any) -> None:
    # Listeners outlive an unloaded plugin.
    if not plugins.plugin_loaded("authz_service"):
        return
    changed = sa.inspect(user).attrs.state.history.has_changes()
    # Without tables no token was ever issued, and the account can be deactivated all the same.
    if changed and user.state != model.State.ACTIVE and ledger.tables_present(connection):
        ledger.cut_off(connection, user.id, None)
