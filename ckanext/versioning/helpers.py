"""What our templates ask."""

from __future__ import annotations

import ckantoolkit as tk

from ckanext.versioning import recording

__all__ = ["versioning_tells_of_missing_tables"]


def versioning_tells_of_missing_tables() -> bool:
    """Is this page shown to somebody who can make our tables, and must?

    Asked by every page: only a sysadmin's page costs a query, and only as long as the tables are missing.
    """
    return bool(getattr(tk.current_user, "sysadmin", False)) and not recording.tables_present()
