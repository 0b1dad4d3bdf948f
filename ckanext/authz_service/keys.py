"""The files that keys are in: read once, and again when they change. Pure.

A directory of keys (``keys_dir``) holds two files for each role: ``<role>.pem`` (private, PKCS #8, mode 0600)
and ``<role>.pub.pem``. ``current`` signs; ``next`` and ``previous`` are its neighbours in a rotation
(rotation.py) and are accepted beside it. Other roles are other parties' business and never published.
"""

from __future__ import annotations

import logging
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives import serialization

from ckanext.authz_service.errors import KeyExists, MissingKey, UnusableKey
from ckanext.authz_service.keypair import ALGORITHMS as ALGORITHMS
from ckanext.authz_service.keypair import (
    SigningKey,
    VerificationKey,
    new_private_key,
    parse_private,
    parse_public,
)
from ckanext.authz_service.keypair import jwks as jwks
from ckanext.authz_service.keypair import suitable as suitable
from ckanext.authz_service.keypair import thumbprint as thumbprint

log = logging.getLogger(__name__)

_T = TypeVar("_T")

CURRENT = "current"
NEXT = "next"
PREVIOUS = "previous"

# --- a directory of keys ----------------------------------------------------------------------------------


def private_path(keys_dir: str | Path, role: str = CURRENT) -> Path:
    """Where the private key of this role is kept."""
    return Path(keys_dir) / f"{role}.pem"


def public_path(keys_dir: str | Path, role: str = CURRENT) -> Path:
    """Where the public key of this role is kept, readable by everyone."""
    return Path(keys_dir) / f"{role}.pub.pem"


def generate(keys_dir: str | Path, algorithm: str = "RS256", role: str = CURRENT) -> SigningKey:
    """Create the key of this role: RSA with 3072 bits, P-256 or Ed25519.

    The directory is created with mode 0700. The private file appears complete, synced to disk and with
    mode 0600, or not at all; of several processes that try at once, one wins. Beside a current key, owner,
    group and mode are those of its file, so that whoever can read that one can read the new one.

    Raises KeyExists rather than overwrite a key, UnsuitableAlgorithm, and UnusableKey when the files cannot
    be written.
    """
    private = private_path(keys_dir, role)
    key = new_private_key(algorithm)
    content = key.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        private.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = _write_beside(private, content, 0o600)
        try:
            os.link(temporary, private)  # unlike rename, it fails when the name is taken
        finally:
            temporary.unlink()
    except OSError as error:
        if isinstance(error, FileExistsError) and private.exists():
            raise KeyExists(private) from error
        raise not_written(private, error) from error
    # The private file decides who won. A public file that stood there alone is from a key that is gone.
    write_public(keys_dir, role, key.public)
    return key


def write_public(keys_dir: str | Path, role: str, key: VerificationKey) -> None:
    """Let the public file of this role hold this key: at once, and on disk. Raises UnusableKey."""
    path = public_path(keys_dir, role)
    try:
        _write_beside(path, key.pem.encode("ascii"), 0o644).replace(path)
        sync(path.parent)
    except OSError as error:
        raise not_written(path, error) from error


def load(keys_dir: str | Path, role: str = CURRENT) -> SigningKey:
    """The key that signs in this role. The file is read once, and again when it has changed.

    Raises MissingKey if there is none, UnusableKey if it cannot be read, is encrypted, is of a kind that is
    not used here, or is not among the keys that verifiers are given. Logs a warning when the mode of the file
    or its directory exposes the key.
    """
    key = read_private(private_path(keys_dir, role))
    public = public_path(keys_dir, role)
    # While a rotation moves it, the current key's public half may still (or already) be in another file.
    given = verification_keys(keys_dir) if role == CURRENT else _kids(public)
    if given and key.kid not in given:
        raise UnusableKey(
            private_path(keys_dir, role),
            f"it does not belong to {public}, which is what verifiers read, so they would refuse its tokens. "
            f"Delete {public.name} or put the right one there.",
        )
    return key


def load_public(keys_dir: str | Path) -> VerificationKey:
    """The public half of the current key, from its own file or, without one, from the private key.

    Raises MissingKey, UnusableKey.
    """
    try:
        return read_public(public_path(keys_dir))
    except MissingKey:
        return read_private(private_path(keys_dir)).public


def verification_keys(keys_dir: str | Path) -> dict[str, VerificationKey]:
    """The keys whose tokens are accepted, by ``kid``, the current one first. None is an answer, too.

    Raises UnusableKey.
    """
    found = {}
    # In the order in which a rotation moves keys, each copied before it is removed: a key that moves while
    # these files are read is met at its old place or at its new one.
    for role in (NEXT, CURRENT, PREVIOUS):
        try:
            found[role] = (
                load_public(keys_dir) if role == CURRENT else read_public(public_path(keys_dir, role))
            )
        except MissingKey:
            continue
    ordered = (found[role] for role in (CURRENT, NEXT, PREVIOUS) if role in found)
    return {key.kid: key for key in ordered}


# --- files ------------------------------------------------------------------------------------------------


def read_private(path: Path) -> SigningKey:
    """The private key in this file, read again when it has changed. Raises MissingKey, UnusableKey."""
    return _cached(path, _parse_private_file)


def read_public(path: Path) -> VerificationKey:
    """The one public key in this file. Raises MissingKey, UnusableKey."""
    first, *more = read_publics(path)
    if more:
        raise UnusableKey(path, f"it holds {len(more) + 1} public keys, and there must be one.")
    return first


def read_publics(path: Path) -> tuple[VerificationKey, ...]:
    """The public keys in this file, at least one: in PEM or as OpenSSH writes them, one after the other.

    Raises MissingKey, UnusableKey.
    """
    return _cached(path, _parse_public_file)


def exposed(path: Path, *, private: bool) -> list[str]:
    """What others on this machine can do with a file of keys, each with the command that ends it.

    Raises OSError.
    """
    found = _exposed_file(path, private)
    directory = path.parent
    mode = stat.S_IMODE(os.stat(directory).st_mode)
    read_only = os.statvfs(directory).f_flag & os.ST_RDONLY  # such as a secret mounted into a container
    if mode & _OTHERS_WRITE and not read_only:
        found.append(
            f"The directory {directory} has mode {mode:o}: others on this machine can put a key of theirs "
            f"there, and with it issue tokens for anyone. Run: chmod go-w {directory}"
        )
    return found


# --- inside -----------------------------------------------------------------------------------------------

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH

_cache: dict[Path, tuple[tuple[int, ...], object]] = {}


def _cached(path: Path, parse: Callable[[Path, bytes], _T]) -> _T:
    """The parsed file. A change of inode, size, time or mode makes it read again."""
    try:
        known = _cache.get(path)
        if known and known[0] == _version(os.stat(path)):
            return known[1]  # type: ignore[return-value]  # a path is always parsed by the same function
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(1 << 16)
    except FileNotFoundError:
        raise MissingKey(path) from None
    except OSError as error:
        raise UnusableKey(
            path, f"{error.strerror or error}. Check that the user CKAN runs as may read it (ls -l, chown)."
        ) from error
    key = parse(path, content)
    _cache[path] = (_version(status), key)
    return key


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _parse_private_file(path: Path, content: bytes) -> SigningKey:
    key = parse_private(path, content)
    for exposure in exposed(path, private=True):
        log.warning("%s", exposure)
    return key


def _parse_public_file(path: Path, content: bytes) -> tuple[VerificationKey, ...]:
    found = parse_public(path, content)
    for exposure in _exposed_file(path, private=False):
        log.warning("%s", exposure)
    return found


def _exposed_file(path: Path, private: bool) -> list[str]:
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if private and mode & (stat.S_IRWXO | _OTHERS_WRITE):
        return [
            f"The private key {path} has mode {mode:o}: others on this machine can read or replace it, "
            f"and with it issue tokens for anyone. Run: chmod 600 {path}"
        ]
    if mode & _OTHERS_WRITE:
        return [
            f"The public key {path} has mode {mode:o}: others on this machine can put theirs in its place, "
            f"and so issue tokens for anyone. Run: chmod go-w {path}"
        ]
    return []


def _kids(path: Path) -> set[str]:
    try:
        return {read_public(path).kid}
    except MissingKey:
        return set()


def not_written(path: Path, error: OSError) -> UnusableKey:
    """Why a file of the directory of keys could not be changed."""
    return UnusableKey(
        path,
        f"writing failed ({error.strerror or error}). Check that {path.parent} is a directory you may write "
        "to, and run the command as the user CKAN runs as.",
    )


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    """A complete, synced temporary file in the directory of ``path``."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            own(descriptor, path.parent, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def own(descriptor: int, keys_dir: Path, mode: int) -> None:
    """Give a new file to those who have the current key, or, if root makes the first one, the directory.

    Otherwise a rotation by root would put a key in use that CKAN cannot read.
    """
    try:
        model = os.stat(private_path(keys_dir))
        if mode == 0o600:
            mode = stat.S_IMODE(model.st_mode) & 0o640
    except FileNotFoundError:
        model = os.stat(keys_dir) if os.geteuid() == 0 else None
    status = os.fstat(descriptor)
    if model and (model.st_uid, model.st_gid) != (status.st_uid, status.st_gid):
        os.fchown(descriptor, model.st_uid, model.st_gid)
    os.fchmod(descriptor, mode)


def sync(directory: Path) -> None:
    """Let what was renamed and removed in a directory outlive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
