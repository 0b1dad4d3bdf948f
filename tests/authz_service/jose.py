"""A second reading of JWK, JWS and JWT, straight from the RFCs, to ask whether ours is right.

It shares nothing with the code under test: no PyJWT, only primitives of `cryptography`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

_RSA = {"RS256": hashes.SHA256, "RS384": hashes.SHA384, "RS512": hashes.SHA512}


def decode64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def encode64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def public_key_of(jwk: dict[str, str]) -> Any:
    """RFC 7517, RFC 7518 §6, RFC 8037 §2."""

    def number(name: str) -> int:
        return int.from_bytes(decode64(jwk[name]), "big")

    if jwk["kty"] == "RSA":
        return rsa.RSAPublicNumbers(number("e"), number("n")).public_key()
    if jwk["kty"] == "EC":
        assert jwk["crv"] == "P-256"
        return ec.EllipticCurvePublicNumbers(number("x"), number("y"), ec.SECP256R1()).public_key()
    assert (jwk["kty"], jwk["crv"]) == ("OKP", "Ed25519")
    return ed25519.Ed25519PublicKey.from_public_bytes(decode64(jwk["x"]))


def verified(token: str, jwks: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a token, if its signature fits a key of the set (RFC 7515 §5.2)."""
    signed, _, signature = token.rpartition(".")
    header, claims = (json.loads(decode64(part)) for part in signed.split("."))
    (jwk,) = [jwk for jwk in jwks["keys"] if jwk["kid"] == header["kid"]]
    assert header["alg"] == jwk["alg"]
    key, data, raw = public_key_of(jwk), signed.encode(), decode64(signature)
    if header["alg"] in _RSA:
        key.verify(raw, data, padding.PKCS1v15(), _RSA[header["alg"]]())
    elif header["alg"] == "ES256":
        assert len(raw) == 64  # R and S side by side, RFC 7518 §3.4
        pair = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
        key.verify(utils.encode_dss_signature(*pair), data, ec.ECDSA(hashes.SHA256()))
    else:
        assert header["alg"] == "EdDSA"
        key.verify(raw, data)
    return header, claims
