"""Validators that metadata schemas may name."""

from __future__ import annotations

import re
from typing import Any

import ckantoolkit as tk

__all__ = ["valid_lfs_prefix", "valid_sha256"]


def valid_sha256(value: Any) -> str:
    """64 hexadecimal digits in lower case, as every sha256 is written here."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{64}", value):
        return value
    raise tk.Invalid(tk._("Resource's sha256 is not a valid SHA256 string: 64 of 0-9 and a-f."))


def valid_lfs_prefix(value: Any) -> str:
    """``<organisation or namespace>/<dataset>``."""
    if isinstance(value, str) and re.fullmatch(r"[^/\s:*]+(/[^/\s:*]+)*", value):
        return value
    raise tk.Invalid(tk._("Resource's lfs_prefix is not <organisation>/<dataset>."))
