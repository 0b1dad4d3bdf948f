"""Capabilities: what the batch API hands out so that one request may move one object.

A capability names method, dataset, object, size, user and expiry, signed with a secret of its own.
It opens nothing else, so a leaked one costs little, and the server keeps no list of them.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from itsdangerous import BadData, Signer
from itsdangerous.encoding import base64_decode, base64_encode

from ckanext.external_storage import errors

#: ``Authorization`` scheme. A header because proxies and logs treat it as secret and URLs not.
SCHEME = "Capability"
_encode = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Capability:
    """``size`` in bytes, ``expires_at`` in seconds since the epoch, ``user_id`` None for anonymous.

    ``jti``: id of the token that it was issued for. Revoking that ends the capability.
    """

    method: str
    package_id: str
    oid: str
    size: int
    user_id: str | None
    jti: str
    expires_at: int

    def header(self, secret: bytes) -> dict[str, str]:
        """The header that carries it."""
        said = (self.method, self.package_id, self.oid, self.size, self.user_id, self.jti, self.expires_at)
        payload = base64_encode(_encode(said))
        return {"Authorization": f"{SCHEME} {_signer(secret).sign(payload).decode()}"}


def read(header: str | None, secret: bytes, now: float) -> Capability:
    """The capability in an ``Authorization`` header. Raises NotAuthenticated."""
    scheme, _, text = (header or "").partition(" ")
    if scheme != SCHEME:
        raise errors.NotAuthenticated("Use the header that the batch API answered with.")
    try:
        capability = Capability(*json.loads(base64_decode(_signer(secret).unsign(text))))
    except (BadData, ValueError, TypeError):  # of the last two: one of an older version of this plugin
        raise errors.NotAuthenticated("This capability was not issued here.") from None
    if capability.expires_at <= now:
        raise errors.NotAuthenticated("This capability has expired. Ask the batch API for a new one.")
    return capability


@functools.lru_cache(maxsize=4)  # a batch signs hundreds
def _signer(secret: bytes) -> Signer:
    return Signer(secret, salt="external_storage.lfs.capability", digest_method=hashlib.sha256)


def generate(path: Path) -> None:
    """Write a new random secret, readable by its owner only. Raises FileExistsError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(48) + "\n")


def load(path: Path | None) -> bytes:
    """The secret in *path*. Raises SecretMissing, which names the command that writes one, and
    SecretUnreadable."""
    if path is None:
        raise errors.SecretMissing(None)
    try:
        secret = path.read_bytes().strip()
    except PermissionError as error:
        raise errors.SecretUnreadable(str(path)) from error
    except OSError:
        secret = b""
    if len(secret) < 32:
        raise errors.SecretMissing(str(path))
    return secret
