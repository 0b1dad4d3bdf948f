from __future__ import annotations

import hashlib
import hmac
import json
import string
from datetime import datetime, timedelta, timezone
from typing import Any, get_args
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from ckanext.authz_service import keys, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken, TokenProblem, TokenTooLarge, UnfaithfulScope
from ckanext.authz_service.scope import Scope
from tests.authz_service.jose import decode64, encode64, verified

ISSUER = "https://data.example.org"
AUDIENCE = "https://data.example.org/lfs"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=timezone.utc)
KEYS = {
    "RS256": keys.SigningKey.of(rsa.generate_private_key(65537, 2048)),
    "ES256": keys.SigningKey.of(ec.generate_private_key(ec.SECP256R1())),
    "EdDSA": keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate()),
}
KEY = KEYS["EdDSA"]
READ = AuthorizedScope(Scope("ds", "foo", ["read"]), "id-of-foo")
UPDATE = AuthorizedScope(Scope("obj", "ns/foo/*", ["update", "read"]))
ALICE = tokens.User("id-of-alice", "alice", "Alice Example")


def mint(
    *authorized: AuthorizedScope,
    key: keys.SigningKey = KEY,
    audience: str | None = AUDIENCE,
    lifetime: int = 900,
    user: tokens.User | None = ALICE,
    now: datetime | None = NOW,
) -> tokens.MintedToken:
    return tokens.mint(
        key, authorized or [READ], issuer=ISSUER, audience=audience, lifetime=lifetime, user=user, now=now
    )


def verify(
    token: str,
    keyring: Any = None,
    issuer: str = ISSUER,
    audience: str | None = AUDIENCE,
    now: datetime = NOW,
) -> tokens.VerifiedToken:
    ring = {KEY.kid: KEY.public} if keyring is None else keyring
    return tokens.verify(token, ring, issuer, audience, 900, now)


def forge(header=None, key=KEY, **claims):
    """A token with a good signature and other content; None removes a header or claim."""
    good = jwt.decode(mint(READ).token, options={"verify_signature": False})
    payload = {name: value for name, value in {**good, **claims}.items() if value is not None}
    head = {"alg": key.algorithm, "kid": key.kid, "typ": tokens.TYPE, **(header or {})}
    head = {name: value for name, value in head.items() if value is not None}
    return sign(head, payload, key)


def sign(header, payload, key=KEY):
    signed = f"{encode64(json.dumps(header).encode())}.{encode64(json.dumps(payload).encode())}"
    assert isinstance(key.key, ed25519.Ed25519PrivateKey)
    return f"{signed}.{encode64(key.key.sign(signed.encode()))}"


def refused(token, **kwargs):
    """The reason for which a token is refused."""
    with pytest.raises(InvalidToken) as raised:
        verify(token, **kwargs)
    assert raised.value.reason in get_args(TokenProblem)
    return raised.value.reason


# --- minting ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_a_token_says_read_by_somebody_else(algorithm):
    key = KEYS[algorithm]
    minted = mint(READ, UPDATE, key=key)
    header, claims = verified(minted.token, keys.jwks([key.public]))
    assert header == {"alg": algorithm, "kid": key.kid, "typ": "ckan-authz+jwt"}
    issued = int(NOW.timestamp())
    assert claims == {
        "iss": ISSUER,
        "sub": "id-of-alice",
        "preferred_username": "alice",
        "name": "Alice Example",
        "iat": issued,
        "nbf": issued,
        "exp": issued + 900,
        "jti": minted.jti,
        "scopes": ["ds:foo:read", "obj:ns/foo/*:read,update"],
        "refs": {"ds:foo:read": "id-of-foo"},
        "aud": AUDIENCE,
    }
    assert UUID(minted.jti).version == 4
    assert minted.expires_at == NOW + timedelta(seconds=900)
    other = keys.jwks([keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate()).public])["keys"][0]
    with pytest.raises((InvalidSignature, AssertionError, AttributeError, TypeError)):
        verified(minted.token, {"keys": [{**other, "kid": key.kid, "alg": algorithm}]})


def test_a_single_scope_is_text_and_an_anonymous_token_has_no_subject():
    _, claims = verified(mint(UPDATE, user=None, audience=None).token, keys.jwks([KEY.public]))
    assert set(claims) == {"iss", "iat", "nbf", "exp", "jti", "scopes"}
    assert claims["scopes"] == "obj:ns/foo/*:read,update"


def test_a_dataset_that_a_scope_names_by_its_id_is_not_named_twice():
    by_id = AuthorizedScope(Scope("ds", "id-of-foo", ["read"]), "id-of-foo")
    _, claims = verified(mint(by_id, READ).token, keys.jwks([KEY.public]))
    assert claims["scopes"] == ["ds:id-of-foo:read", "ds:foo:read"]
    assert claims["refs"] == {"ds:foo:read": "id-of-foo"}
    _, claims = verified(mint(by_id).token, keys.jwks([KEY.public]))
    assert "refs" not in claims


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_hundred_datasets_by_id_fit_into_a_token(algorithm):
    ids = [str(uuid4()) for _ in range(100)]
    many = [AuthorizedScope(Scope("ds", dataset_id, ["read"]), dataset_id) for dataset_id in ids]
    minted = mint(*many, key=KEYS[algorithm])
    assert len(minted.token) <= tokens.MAX_BYTES
    _, claims = verified(minted.token, keys.jwks([KEYS[algorithm].public]))
    assert len(claims["scopes"]) == 100


def test_the_same_scope_twice_is_one():
    _, claims = verified(mint(READ, READ).token, keys.jwks([KEY.public]))
    assert claims["scopes"] == "ds:foo:read"


def test_a_person_without_a_full_name():
    _, claims = verified(mint(READ, user=tokens.User("id", "bob")).token, keys.jwks([KEY.public]))
    assert "name" not in claims


def test_two_tokens_differ():
    assert mint().jti != mint().jti


def test_nothing_is_signed_for_nothing():
    with pytest.raises(ValueError, match="opens nothing"):
        tokens.mint(KEY, [], issuer=ISSUER, audience=None, lifetime=900)
    for lifetime in (0, -1):
        with pytest.raises(ValueError, match="at least a second"):
            mint(lifetime=lifetime)


class Wider(Scope):
    """Prints more than it is."""

    def __str__(self):
        return "ds:foo:purge"


class Smuggler(Scope):
    def __str__(self):
        return "ds:foo:read ds:*:purge"


@pytest.mark.parametrize(
    "authorized",
    [
        [AuthorizedScope(Scope("ds", "foo"))],  # no list of actions: others read that as all
        [AuthorizedScope(Wider("ds", "foo", ["read"]))],
        [AuthorizedScope(Smuggler("ds", "foo", ["read"]))],
        [READ, AuthorizedScope(READ.scope, "id-of-another")],
        [READ, AuthorizedScope(READ.scope, READ.scope.entity_id)],
    ],
)
def test_what_does_not_read_back_as_it_was_granted_is_not_signed(authorized):
    with pytest.raises(UnfaithfulScope):
        mint(*authorized)


def test_a_token_that_verifiers_would_refuse_for_its_size_is_not_issued():
    many = [
        AuthorizedScope(Scope("ds", f"dataset-{number:04}" + 80 * "x", ["read"])) for number in range(100)
    ]
    with pytest.raises(TokenTooLarge, match="fewer scopes") as raised:
        mint(*many)
    assert raised.value.size > raised.value.limit == 8192
    assert raised.value.scopes == 100


# --- verifying --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_was_minted_is_verified(algorithm):
    key = KEYS[algorithm]
    minted = mint(READ, UPDATE, key=key)
    assert verify(minted.token, keyring={k.kid: k.public for k in KEYS.values()}) == tokens.VerifiedToken(
        user_id="id-of-alice",
        user_name="alice",
        scopes=(READ.scope, UPDATE.scope),
        refs={"ds:foo:read": "id-of-foo"},
        jti=minted.jti,
        expires_at=NOW + timedelta(seconds=900),
    )


def test_an_anonymous_token_is_verified():
    found = verify(mint(UPDATE, user=None).token)
    assert (found.user_id, found.user_name, found.refs) == (None, None, {})


def test_without_a_given_time_the_clock_counts():
    assert tokens.verify(mint(now=None).token, {KEY.kid: KEY.public}, ISSUER, AUDIENCE, 900)
    with pytest.raises(InvalidToken):
        tokens.verify(
            mint(now=datetime(2020, 1, 1, tzinfo=timezone.utc)).token,
            {KEY.kid: KEY.public},
            ISSUER,
            AUDIENCE,
            900,
        )


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("", "malformed"),
        ("a.b", "malformed"),
        ("a.b.c", "malformed"),
        ("a.b.c.d.e", "malformed"),
        (None, "malformed"),
        (b"a.b.c", "malformed"),
        ("\u00e4.b.c", "malformed"),
        (8193 * "a", "too_large"),
        (encode64(b"[" * 6000) + ".e30.", "malformed"),  # deeper than Python's recursion limit
        (encode64(b'{"alg": ' + b"9" * 5000 + b"}") + ".e30.", "malformed"),
        (encode64(b'["alg"]') + ".e30.", "malformed"),
        (encode64(b"\xff\xfe") + ".e30.", "malformed"),
    ],
)
def test_what_is_not_a_token(token, reason):
    assert refused(token) == reason


def test_size_comes_first():
    assert refused(mint().token + 8192 * "A") == "too_large"


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ({"typ": "JWT"}, "wrong_type"),
        ({"typ": None}, "wrong_type"),
        ({"crit": ["b64"], "b64": True}, "critical_header"),
        ({"crit": []}, "critical_header"),
        ({"kid": "other"}, "unknown_key"),
        ({"kid": None}, "unknown_key"),
        ({"kid": ["x"]}, "unknown_key"),
        ({"kid": "../../etc/passwd"}, "unknown_key"),
        ({"alg": "none"}, "wrong_algorithm"),
        ({"alg": "HS256"}, "wrong_algorithm"),
        ({"alg": "RS256"}, "wrong_algorithm"),
        ({"alg": None}, "wrong_algorithm"),
    ],
)
def test_headers_that_are_refused(header, reason):
    assert refused(forge(header)) == reason


def test_keys_offered_by_the_token_are_not_looked_at():
    stranger = keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate())
    offer = {
        "jwk": stranger.public.as_jwk(),
        "jku": "https://evil.example/jwks.json",
        "x5u": "https://evil.example/",
    }
    assert verify(forge(offer)).user_id == "id-of-alice"
    assert refused(forge({**offer, "kid": KEY.kid}, key=stranger)) == "bad_signature"
    assert refused(forge(offer, key=stranger)) == "unknown_key"


def test_a_public_key_is_not_a_shared_secret():
    """The classic confusion: HMAC with the public key as secret (RFC 8725 §3.1)."""
    for algorithm in ("HS256", KEY.algorithm):
        header = encode64(json.dumps({"alg": algorithm, "kid": KEY.kid, "typ": tokens.TYPE}).encode())
        signed = f"{header}.{mint().token.split('.')[1]}"
        for secret in (
            KEY.public.pem.encode(),
            KEY.public.key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw),
        ):
            mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
            assert refused(f"{signed}.{encode64(mac)}") in ("wrong_algorithm", "bad_signature")


def test_a_signature_is_needed():
    header, payload, signature = mint().token.split(".")
    assert refused(f"{header}.{payload}.") == "bad_signature"
    assert refused(f"{header}.{encode64(b'{}')}.{signature}") == "bad_signature"


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_has_one_text_only(part):
    """Another text for the same bytes would be another token to whoever keeps tokens by their text."""
    parts = mint().token.split(".")
    for other in (parts[part] + "=", parts[part] + "\n", "!" + parts[part]):
        assert refused(".".join([*parts[:part], other, *parts[part + 1 :]])) == "malformed"
    if len(parts[part]) % 4:
        alphabet = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
        last = alphabet[alphabet.index(parts[part][-1]) + 1]  # differs in the bits that no byte needs
        assert decode64(parts[part][:-1] + last) == decode64(parts[part])
        assert refused(".".join([*parts[:part], parts[part][:-1] + last, *parts[part + 1 :]])) == "malformed"


@pytest.mark.parametrize(
    ("token", "checked", "reason"),
    [
        ({}, {"issuer": "https://data.example.org/"}, "wrong_issuer"),
        ({"iss": None}, {}, "wrong_issuer"),
        ({"iss": [ISSUER]}, {}, "wrong_issuer"),
        ({}, {"audience": ISSUER}, "wrong_audience"),
        ({}, {"audience": None}, "wrong_audience"),
        ({"aud": None}, {}, "wrong_audience"),
        ({"aud": [AUDIENCE, "https://other.example"]}, {}, "wrong_audience"),
    ],
)
def test_issuer_and_audience_are_exact(token, checked, reason):
    assert refused(forge(**token), **checked) == reason


def test_a_token_for_everybody_is_not_one_for_somebody():
    token = mint(audience=None).token
    assert verify(token, audience=None)
    assert refused(token, audience=AUDIENCE) == "wrong_audience"


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [(-11, "not_yet_valid"), (-10, None), (0, None), (909, None), (910, "expired"), (10_000, "expired")],
)
def test_clocks_may_differ_by_ten_seconds(seconds, reason):
    token, later = mint().token, NOW + timedelta(seconds=seconds)
    if reason:
        assert refused(token, now=later) == reason
    else:
        assert verify(token, now=later)


ISSUED = int(NOW.timestamp())


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"exp": ISSUED + 901}, "lifetime_too_long"),
        ({"iat": ISSUED - 1}, "lifetime_too_long"),
        ({"exp": ISSUED}, "lifetime_too_long"),
        ({"exp": 10**30, "iat": 10**30 - 900, "nbf": 0}, "not_yet_valid"),
        ({"nbf": ISSUED + 11}, "not_yet_valid"),
        ({"exp": None}, "bad_claim"),
        ({"iat": None}, "bad_claim"),
        ({"nbf": None}, "bad_claim"),
        ({"exp": str(ISSUED + 900)}, "bad_claim"),
        ({"exp": ISSUED + 900.5}, "bad_claim"),
        ({"exp": True}, "bad_claim"),
        ({"jti": None}, "bad_claim"),
        ({"jti": ""}, "bad_claim"),
        ({"sub": 7}, "bad_claim"),
        ({"sub": ""}, "bad_claim"),
        ({"preferred_username": ["alice"]}, "bad_claim"),
        ({"scopes": None}, "bad_claim"),
        ({"scopes": []}, "bad_claim"),
        ({"scopes": {"ds:foo:read": 1}}, "bad_claim"),
        ({"scopes": ""}, "bad_scope"),
        ({"scopes": "ds:foo:read ds:bar:read"}, "bad_scope"),
        ({"scopes": ["ds:foo:read", "ds:bar"]}, "bad_scope"),
        ({"scopes": ["ds:foo:read", "ds:bar:*"]}, "bad_scope"),
        ({"scopes": ["ds:foo:read", "ds:bar:a:b:c"]}, "bad_scope"),
        ({"scopes": ["ds:foo:read", "ds:bar:update,read"]}, "bad_scope"),
        ({"scopes": ["ds:foo:read", 7]}, "bad_scope"),
        ({"scopes": ["ds:foo:read", None]}, "bad_scope"),
        ({"refs": []}, "bad_claim"),
        ({"refs": {"ds:bar:read": "id"}}, "bad_claim"),
        ({"refs": {"ds:foo:read": ""}}, "bad_claim"),
        ({"refs": {"ds:foo:read": None}}, "bad_claim"),
    ],
)
def test_claims_that_fail_the_whole_token(claims, reason):
    assert refused(forge(**claims)) == reason


def test_errors_do_not_quote_the_token():
    token = mint().token
    with pytest.raises(InvalidToken) as raised:
        verify(token, keyring={})
    assert not any(part in str(raised.value) for part in token.split("."))


GOOD = mint(READ, UPDATE).token


@given(st.text(max_size=200) | st.text("eyJ.-_", max_size=80))
def test_any_text_is_refused_with_a_reason(text):
    refused(text)


@given(st.integers(0, len(GOOD) - 1), st.characters(max_codepoint=0x7F))
def test_any_change_of_a_character_is_refused(position, character):
    changed = GOOD[:position] + character + GOOD[position + 1 :]
    if changed == GOOD:
        return
    try:
        found = verify(changed)
    except InvalidToken:
        return
    # The last character of a part has bits that base64 does not use: what it says is then still the same.
    assert found == verify(GOOD)
