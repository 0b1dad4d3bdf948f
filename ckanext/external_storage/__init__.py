"""Bytes: where they are, proof of what they are, how they move."""

from __future__ import annotations

#: The plugin's name and the one it had before. A site uses one of them.
NAMES = ("external_storage", "blob_storage")
