"""The site's own signing key: files in a directory, never a secret shared with anything else. Pure.

``<keys_dir>/current.pem`` (private, PKCS #8, mode 0600) signs; ``current.pub.pem`` beside it is what
servers that want a file are given. The name before the first dot is the key's role, so that rotation
can put ``next`` and ``previous`` in the same place. The algorithm follows from the kind of key and is
never taken from a token; the ``kid`` is the key's thumbprint, so the same key has the same name in
every process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ckanext.authz_service.errors import KeyExists, MissingKey, UnusableKey

log = logging.getLogger(__name__)

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_Key = TypeVar("_Key", "SigningKey", "VerificationKey")

ALGORITHMS = ("RS256", "ES256", "EdDSA")
CURRENT = "current"

_RSA_BITS = 3072
_RSA_BITS_MIN = 2048  # RFC 7518 §3.3


@dataclass(frozen=True)
class VerificationKey:
    """A public key and the one algorithm it verifies (``RS256``, ``ES256`` or ``EdDSA``)."""

    kid: str
    algorithm: str
    key: PublicKey = field(repr=False)

    @classmethod
    def of(cls, key: PublicKey) -> VerificationKey:
        """Raises ValueError for a key of a kind or size that is not used here."""
        return cls(thumbprint(key), _algorithm(key), key)

    @property
    def pem(self) -> str:
        """SubjectPublicKeyInfo in PEM (RFC 7468 §13), with a final newline."""
        return self.key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode("ascii")

    def as_jwk(self) -> dict[str, str]:
        """The public JWK (RFC 7517 §4) with ``kid``, ``alg`` and ``use``."""
        return {**_jwk_members(self.key), "kid": self.kid, "alg": self.algorithm, "use": "sig"}


@dataclass(frozen=True)
class SigningKey:
    """A private key and its public half."""

    public: VerificationKey
    key: PrivateKey = field(repr=False)

    @classmethod
    def of(cls, key: PrivateKey) -> SigningKey:
        """Raises ValueError for a key of a kind or size that is not used here."""
        return cls(VerificationKey.of(key.public_key()), key)

    @property
    def kid(self) -> str:
        return self.public.kid

    @property
    def algorithm(self) -> str:
        return self.public.algorithm


# --- files ------------------------------------------------------------------------------------------------


def private_path(keys_dir: str | Path, role: str = CURRENT) -> Path:
    """Where the private key of this role is kept."""
    return Path(keys_dir) / f"{role}.pem"


def public_path(keys_dir: str | Path, role: str = CURRENT) -> Path:
    """Where the public key of this role is kept, readable by everyone."""
    return Path(keys_dir) / f"{role}.pub.pem"


def generate(keys_dir: str | Path, algorithm: str = "RS256", role: str = CURRENT) -> SigningKey:
    """Create the key of this role: RSA with 3072 bits, P-256 or Ed25519.

    The directory is created with mode 0700. The private file appears complete, synced to disk and with
    mode 0600, or not at all; of several processes that try at once, one wins.

    Raises KeyExists rather than overwrite a key, ValueError for another algorithm, and UnusableKey when
    the files cannot be written.
    """
    private, public = private_path(keys_dir, role), public_path(keys_dir, role)
    key = SigningKey.of(_new_private_key(algorithm))
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
        # The private file decides who won. A public file that stood there alone is from a key that is gone.
        _write_beside(public, key.public.pem.encode("ascii"), 0o644).replace(public)
        _sync_directory(private.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and private.exists():
            raise KeyExists(private) from error
        problem = f"writing failed ({error.strerror}). Check that {keys_dir} is a directory you may write to."
        raise UnusableKey(private, problem) from error
    return key


def load(keys_dir: str | Path, role: str = CURRENT) -> SigningKey:
    """The key that signs in this role. The file is read once, and again when it has changed.

    Raises MissingKey if there is none, UnusableKey if it cannot be read, is encrypted, is of a kind that is
    not used here, or does not belong to the public file beside it. Logs a warning when the file's mode
    exposes the key.
    """
    private, public = private_path(keys_dir, role), public_path(keys_dir, role)
    key = _cached(private, _parse_private)
    # Verifiers are given the public file: with another key's half in it they would refuse every token.
    try:
        stored = _cached(public, _parse_public)
    except MissingKey:
        return key
    if stored.kid != key.kid:
        raise UnusableKey(
            private,
            f"it does not belong to {public}, which is what verifiers read, so they would refuse its tokens. "
            f"Delete {public.name} or put the right one there.",
        )
    return key


def load_public(keys_dir: str | Path) -> VerificationKey:
    """The public half of the current key, from its own file or, without one, from the private key.

    Raises MissingKey, UnusableKey.
    """
    try:
        return _cached(public_path(keys_dir), _parse_public)
    except MissingKey:
        return _cached(private_path(keys_dir), _parse_private).public


def verification_keys(keys_dir: str | Path) -> dict[str, VerificationKey]:
    """The keys whose tokens are accepted, by ``kid``. Raises MissingKey, UnusableKey."""
    current = load_public(keys_dir)
    return {current.kid: current}


def jwks(keys: Iterable[VerificationKey]) -> dict[str, list[dict[str, str]]]:
    """The JWK Set (RFC 7517 §5) of these public keys."""
    return {"keys": [key.as_jwk() for key in keys]}


def thumbprint(key: PublicKey) -> str:
    """The JWK thumbprint: base64url(SHA-256) over the required members (RFC 7638 §3, RFC 8037 §2)."""
    canonical = json.dumps(_jwk_members(key), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


# --- inside -----------------------------------------------------------------------------------------------

_cache: dict[Path, tuple[tuple[int, ...], SigningKey | VerificationKey]] = {}


def _cached(path: Path, parse: Callable[[Path, bytes], _Key]) -> _Key:
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
    if isinstance(key, SigningKey) and status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        log.warning(
            "The private key %s has mode %o: others on this machine can read or replace it, "
            "and with it issue tokens for anyone. Run: chmod 600 %s",
            path,
            stat.S_IMODE(status.st_mode),
            path,
        )
    _cache[path] = (_version(status), key)
    return key


def _version(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _parse_private(path: Path, content: bytes) -> SigningKey:
    try:
        key = serialization.load_pem_private_key(content, password=None)
    except TypeError:
        raise UnusableKey(path, "it is encrypted. Store it without a passphrase, with mode 0600.") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(path, "it is not a private key in PEM. Put the right file there.") from None
    if not isinstance(key, PrivateKey):
        raise UnusableKey(path, f"its kind is not one of RSA, P-256 or Ed25519 ({', '.join(ALGORITHMS)}).")
    try:
        return SigningKey.of(key)
    except ValueError as error:
        raise UnusableKey(path, f"{error}.") from None


def _parse_public(path: Path, content: bytes) -> VerificationKey:
    try:
        key = serialization.load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(path, "it is not a public key in PEM. Put the right file there.") from None
    if not isinstance(key, PublicKey):
        raise UnusableKey(path, f"its kind is not one of RSA, P-256 or Ed25519 ({', '.join(ALGORITHMS)}).")
    try:
        return VerificationKey.of(key)
    except ValueError as error:
        raise UnusableKey(path, f"{error}.") from None


def _new_private_key(algorithm: str) -> PrivateKey:
    if algorithm == "RS256":
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    raise ValueError(
        f"{algorithm!r} is not an algorithm for signing tokens; choose one of {', '.join(ALGORITHMS)}"
    )


def _algorithm(key: PublicKey) -> str:
    """RFC 7518 §3.3, §3.4 and RFC 8037 §3.1: one algorithm for one kind of key."""
    if isinstance(key, rsa.RSAPublicKey):
        if key.key_size < _RSA_BITS_MIN:
            raise ValueError(f"it has {key.key_size} bits, and RSA keys need at least {_RSA_BITS_MIN}")
        return "RS256"
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, ec.SECP256R1):
            raise ValueError(f"its curve is {key.curve.name}, and ES256 needs P-256 (prime256v1)")
        return "ES256"
    return "EdDSA"


def _jwk_members(key: PublicKey) -> dict[str, str]:
    """The members that are the key itself (RFC 7518 §6.2.1, §6.3.1, RFC 8037 §2), and no others."""
    if isinstance(key, rsa.RSAPublicKey):
        numbers = key.public_numbers()
        return {"kty": "RSA", "n": _base64url_int(numbers.n), "e": _base64url_int(numbers.e)}
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        size = (key.curve.key_size + 7) // 8  # coordinates keep their leading zeros
        return {
            "kty": "EC",
            "crv": "P-256" if isinstance(key.curve, ec.SECP256R1) else key.curve.name,
            "x": _base64url(point.x.to_bytes(size, "big")),
            "y": _base64url(point.y.to_bytes(size, "big")),
        }
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {"kty": "OKP", "crv": "Ed25519", "x": _base64url(raw)}


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _base64url_int(number: int) -> str:
    return _base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    """A complete, synced temporary file in the directory of ``path``."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        os.unlink(name)
        raise
    return Path(name)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
