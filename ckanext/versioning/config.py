"""What the plugin is set up with: its options, read here and nowhere else."""

from __future__ import annotations

import ckantoolkit as tk


def zip_max_files() -> int:
    """Most files of a version that are put into one zip file."""
    return tk.config["ckanext.versioning.zip_max_files"]


def zip_max_bytes() -> int:
    """Most bytes, of all files together, that are put into one zip file."""
    return tk.config["ckanext.versioning.zip_max_bytes"]


def preview_views() -> list[str]:
    """Types of views that show a file by its address alone."""
    return tk.config["ckanext.versioning.preview_views"]
