"""Numbers of bytes as people write and read them."""

from __future__ import annotations

import re

_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "PB": 10**15,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "PIB": 2**50,
}  # fmt: skip
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,6}))?\s*([a-z]*)", re.IGNORECASE)
#: What a column of PostgreSQL's type bigint holds.
MAX_SIZE = 2**63 - 1


def parse(text: str) -> int:
    """Bytes: ``1500``, ``10GB`` (decimal), ``1.5 TiB`` (binary); case does not matter. Raises ValueError.

    >>> parse("1.5 KiB"), parse("10GB")
    (1536, 10000000000)
    """
    match = _SIZE.fullmatch(text.strip())
    unit = _UNITS.get(match[3].upper()) if match else None
    if match is None or unit is None:
        raise ValueError(
            f"{text!r} is not a size. Write bytes, or a number with a unit such as 10GB or 1.5TiB."
        )
    fraction = match[2] or ""
    size = (int(match[1] + fraction) * unit) // 10 ** len(fraction)
    if size > MAX_SIZE:
        raise ValueError(f"{text!r} is too large.")
    return size


def readable(size: int) -> str:
    """For people; exact where it is said in bytes.

    >>> readable(999), readable(1_500_000)
    ('999 bytes', '1.5 MB')
    """
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    units = ("KB", "MB", "GB", "TB", "PB")
    power = next((n for n in range(1, len(units)) if size < 999.95 * 1000**n), len(units))
    return f"{size / 1000**power:.1f} {units[power - 1]}"
