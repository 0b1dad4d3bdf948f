"""What our templates ask."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from ckanext.versioning import messages, recording

__all__ = ["versioning_form", "versioning_tells_of_missing_tables"]


def versioning_form(dataset: str) -> dict[str, Any]:
    """`messages.form`, for the dataset that a form is about."""
    return messages.form(dataset)


def versioning_tells_of_missing_tables() -> bool:
    """Is this page shown to somebody who can make our tables, and must?

    Asked by every page: only a sysadmin's page costs a query, and only as long as the tables are missing.
    """
    return bool(getattr(tk.current_user, "sysadmin", False)) and not recording.tables_present()
