"""History of datasets: what a dataset was, who changed it, and its bytes as they were."""

from __future__ import annotations

#: The plugin's name and the one it had before. A site uses one of them.
NAMES = ("versioning", "package_versioning")
