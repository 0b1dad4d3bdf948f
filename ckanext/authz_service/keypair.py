"""A key and what is written about it: algorithms, PEM, OpenSSH, JWK. Pure, and without files.

The algorithm follows from the kind of key and is never taken from a token. For RSA keys, which fit several,
it is RS256 unless the site says otherwise (`VerificationKey.using`). The ``kid`` is the key's thumbprint, so
the same key has the same name in every process.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from ckanext.authz_service.errors import UnsuitableAlgorithm, UnusableKey

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
RSA_ALGORITHMS = ("RS256", "RS384", "RS512")
ALGORITHMS = (*RSA_ALGORITHMS, "ES256", "EdDSA")

MAX_PUBLIC_KEYS = 16
"""Public keys in one file."""

_RSA_BITS = 3072
_RSA_BITS_MIN = 2048  # RFC 7518 §3.3


@dataclass(frozen=True)
class VerificationKey:
    """A public key and the one algorithm it verifies (RFC 8725 §3.1), one of ``ALGORITHMS``."""

    kid: str
    algorithm: str
    key: PublicKey = field(repr=False)

    @classmethod
    def of(cls, key: PublicKey) -> VerificationKey:
        """Raises ValueError for a key of a kind or size that is not used here."""
        return cls(thumbprint(key), _algorithm(key), key)

    def using(self, algorithm: str | None) -> VerificationKey:
        """The same key for this algorithm where the key leaves a choice (RSA); otherwise as it is."""
        if algorithm not in RSA_ALGORITHMS or self.algorithm not in RSA_ALGORITHMS:
            return self
        return self if algorithm == self.algorithm else replace(self, algorithm=algorithm)

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

    def using(self, algorithm: str | None) -> SigningKey:
        """See `VerificationKey.using`."""
        public = self.public.using(algorithm)
        return self if public is self.public else replace(self, public=public)

    @property
    def kid(self) -> str:
        return self.public.kid

    @property
    def algorithm(self) -> str:
        return self.public.algorithm


def suitable(algorithm: str) -> str:
    """The algorithm, if tokens may be signed with it. Raises UnsuitableAlgorithm with the reason."""
    if algorithm not in ALGORITHMS:
        raise UnsuitableAlgorithm(algorithm, ALGORITHMS)
    return algorithm


def new_private_key(algorithm: str) -> SigningKey:
    """RSA with 3072 bits, P-256 or Ed25519. Raises UnsuitableAlgorithm."""
    if suitable(algorithm) in RSA_ALGORITHMS:
        key: PrivateKey = rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
    elif algorithm == "ES256":
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = ed25519.Ed25519PrivateKey.generate()
    return SigningKey.of(key).using(algorithm)


def jwks(keys: Iterable[VerificationKey]) -> dict[str, list[dict[str, str]]]:
    """The JWK Set (RFC 7517 §5) of these public keys."""
    return {"keys": [key.as_jwk() for key in keys]}


def thumbprint(key: PublicKey) -> str:
    """The JWK thumbprint: base64url(SHA-256) over the required members (RFC 7638 §3, RFC 8037 §2)."""
    canonical = json.dumps(_jwk_members(key), sort_keys=True, separators=(",", ":"))
    return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())


# --- reading what others wrote


def parse_private(where: Path | str, content: bytes) -> SigningKey:
    """A private key in PEM (PKCS #8, PKCS #1, SEC 1) or in OpenSSH's own format.

    where: for the message, a file or the name of an option. Raises UnusableKey, which quotes no key.
    """
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in content
    read = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = read(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if isinstance(error, TypeError) or "password" in str(error).lower():
            raise UnusableKey(
                where, "it is encrypted. Store it without a passphrase, with mode 0600."
            ) from None
        raise UnusableKey(where, "it is not a private key in PEM. Put the right one there.") from None
    if not isinstance(key, PrivateKey):
        raise UnusableKey(where, "its kind is not one of RSA, P-256 or Ed25519. Put such a key there.")
    try:
        return SigningKey.of(key)
    except ValueError as error:
        raise UnusableKey(where, f"{error}. Put such a key there.") from None


_PEM_OR_LINE = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----|[^\r\n]+", re.DOTALL)


def parse_public(path: Path, content: bytes) -> tuple[VerificationKey, ...]:
    """Public keys, at least one, in PEM or as OpenSSH writes them, one after the other.

    Blank lines and lines with ``#`` are skipped. Anything else is an error: half a key must not go unnoticed.
    Raises UnusableKey.
    """
    if b"PRIVATE KEY-----" in content:
        raise UnusableKey(
            path, "it is not a public key but a private one. Put the public half there, in PEM."
        )
    texts: list[tuple[Callable[..., object], bytes]] = []
    for match in _PEM_OR_LINE.finditer(content):
        text = match.group().strip()
        if match.group(1):
            texts.append((serialization.load_pem_public_key, text))
        elif text and not text.startswith(b"#"):
            texts.append((serialization.load_ssh_public_key, text))
    if not texts:
        raise UnusableKey(path, "it holds no public key in PEM. Put the right file there.")
    if len(texts) > MAX_PUBLIC_KEYS:
        raise UnusableKey(path, f"it holds more than {MAX_PUBLIC_KEYS} keys.")
    return tuple(_public_key(path, read, text) for read, text in texts)


def _public_key(path: Path, read: Callable[..., object], text: bytes) -> VerificationKey:
    try:
        key = read(text)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(
            path, "part of it is not a public key in PEM or as OpenSSH writes it. Put the right file there."
        ) from None
    if not isinstance(key, PublicKey):
        raise UnusableKey(path, "its kind is not one of RSA, P-256 or Ed25519. Put such a key there.")
    try:
        return VerificationKey.of(key)
    except ValueError as error:
        raise UnusableKey(path, f"{error}. Put such a key there.") from None


# --- inside


def _algorithm(key: PublicKey) -> str:
    """RFC 7518 §3.3, §3.4 and RFC 8037 §3.1: one algorithm for one kind of key, for RSA the usual one."""
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
