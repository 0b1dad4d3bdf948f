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
