"""Salted hashes: what they stand for can be erased later without leaving a value that could be guessed.

Pure: no CKAN, no database.
"""

from __future__ import annotations

import hashlib
import secrets

#: Bytes of salt beside every hash.
SALT_SIZE = 16


def new_salt() -> bytes:
    return secrets.token_bytes(SALT_SIZE)


def salted_sha(salt: bytes, data: bytes) -> str:
    """sha256 of *salt* followed by *data*: 64 lower-case hex digits."""
    return hashlib.sha256(salt + data).hexdigest()
