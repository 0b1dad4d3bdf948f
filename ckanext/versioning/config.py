"""What the plugin is set up with: its options, read here and nowhere else."""

from __future__ import annotations

import ckantoolkit as tk
from ckan.exceptions import CkanConfigurationException

_UNRELEASED_HISTORY = "ckanext.versioning.unreleased_history"


def readers_see_unreleased() -> bool:
    """Are old revisions without a release also for those who may read, and not update, the dataset?

    Raises CkanConfigurationException for a value that would leave it open.
    """
    who = tk.config.get(_UNRELEASED_HISTORY, "readers")
    if who not in ("readers", "editors"):
        raise CkanConfigurationException(
            f"{_UNRELEASED_HISTORY} is {who!r}, which says nothing about who may read old revisions. "
            "Set it to readers or editors."
        )
    return who == "readers"


def zip_max_files() -> int:
    """Most files of a version that are put into one zip file."""
    return tk.config["ckanext.versioning.zip_max_files"]


def zip_max_bytes() -> int:
    """Most bytes, of all files together, that are put into one zip file."""
    return tk.config["ckanext.versioning.zip_max_bytes"]


def preview_views() -> list[str]:
    """Types of views that show a file by its address alone."""
    return tk.config["ckanext.versioning.preview_views"]


def require_message() -> bool:
    """Must a change say what it is, in all organisations?"""
    return bool(tk.config.get("ckanext.versioning.require_message"))
