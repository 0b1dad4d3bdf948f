"""``authz_verify``: what is a good token, and what is said of the others."""

from __future__ import annotations

import base64
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
import pytest
from ckan.tests import factories
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ckanext.authz_service import config, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.scope import Scope
from tests.authz_service.jose import encode64
from tests.authz_service.jose import verified as by_another_library
from tests.authz_service.ledger_rows import issued_to

URL = "/api/3/action/authz_verify"
pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


def verify(token: Any, **more: Any) -> dict[str, Any]:
    return tk.get_action("authz_verify")({"user": "", "ignore_auth": False}, {"token": token, **more})


def signed(**options: Any) -> str:
    """A token with the site's own key that the site has not issued."""
    defaults = {"issuer": config.issuer(), "audience": config.audience(), "lifetime": 60}
    scope = AuthorizedScope(Scope("ds", "foo", ["read"]), "id-of-foo")
    return tokens.mint(config.signing_key(), [scope], **{**defaults, **options}).token


def token_of(header: bytes, payload: bytes) -> str:
    return ".".join(map(encode64, (header, payload, b"signature")))


def tampered(token: str) -> str:
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["scopes"] = "ds:everything:purge"
    return f"{head}.{encode64(json.dumps(claims).encode())}.{signature}"


def test_a_good_token_over_the_api_without_an_account(app):
    user = factories.User(fullname="Alice Example")
    answer = issued_to(user)
    response = app.post(URL, json={"token": answer["token"]})
    _, claims = by_another_library(answer["token"], app.get("/authz/jwks.json").json)
    assert response.json["result"] == {"verified": True, "payload": claims}
    assert claims["sub"] == user["id"]


def test_a_good_token_of_an_anonymous_user():
    answer = verify(issued_to(None)["token"])
    assert answer["verified"] is True
    assert "sub" not in answer["payload"]


def test_why_a_token_is_refused():
    long_ago = datetime.now(timezone.utc) - timedelta(hours=1)
    user = tokens.User("no-such-user", "nobody")
    cases = {
        "": "malformed",
        "a.b.c": "malformed",
        "a\0.b.c": "malformed",
        "\ud800": "malformed",
        "x" * 9000: "too_large",
        tampered(issued_to(None)["token"]): "bad_signature",
        signed(issuer="https://elsewhere.example"): "wrong_issuer",
        signed(audience="https://elsewhere.example"): "wrong_audience",
        signed(now=long_ago): "expired",
        signed(now=long_ago + timedelta(hours=2)): "not_yet_valid",
        signed(lifetime=config.max_lifetime() + 1): "lifetime_too_long",
        signed(user=user): "not_recorded",
        token_of(b'{"alg": "none"}', b"{}"): "wrong_type",
    }
    answers = {token: verify(token) for token in cases}
    assert {token: answer["reason"] for token, answer in answers.items()} == cases
    for answer in answers.values():
        assert set(answer) == {"verified", "reason", "message"}
        assert answer["verified"] is False
        assert answer["message"].startswith("The token is not accepted: ")


def test_a_key_that_was_taken_away(keys_dir, ckan_config, monkeypatch, tmp_path):
    token = issued_to(factories.User())["token"]
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path))
    assert verify(token)["reason"] == "unknown_key"


# --- an unverified payload ----------------------------------------------------------------------------------


def test_what_a_bad_token_says_is_shown_on_demand_only_and_never_as_verified():
    bad = tampered(issued_to(factories.User())["token"])
    assert "payload" not in verify(bad)
    assert "payload" not in verify(bad, strict="true")
    for no in (False, "false", "False"):
        answer = verify(bad, strict=no)
        assert answer["payload"]["scopes"] == "ds:everything:purge"
        assert (answer["verified"], answer["reason"]) == (False, "bad_signature")
        assert "proves nothing" in answer["message"]
    good = issued_to(None)["token"]
    assert verify(good, strict=False) == verify(good)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"a": NaN}',
        b'{"a": ' + b"9" * 5000 + b"}",
        b'{"a": ' + b"[" * 2500 + b"]" * 2500 + b"}",
        b'{"a":' * 900 + b"1" + b"}" * 900,
    ],
    ids=lambda text: text[:12],
)
def test_what_cannot_be_shown_is_left_out(app, payload):
    token = token_of(b'{"alg": "RS256"}', payload)
    result = app.post(URL, json={"token": token, "strict": False}).json["result"]
    assert set(result) == {"verified", "reason", "message"}


def test_what_can_be_shown_is_plain_json(app):
    payload = {"a": ["\0", "\ud800", None, 1e300, {"b": []}], "<script>": True}
    token = token_of(b"{}", json.dumps(payload).encode())
    assert app.post(URL, json={"token": token, "strict": False}).json["result"]["payload"] == payload


# --- any input ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({}, "token"),
        ({"token": None}, "token"),
        ({"token": 7}, "token"),
        ({"token": ["a.b.c"]}, "token"),
        ({"token": "a.b.c", "strict": "maybe"}, "strict"),
        ({"token": "a.b.c", "strict": 0}, "strict"),
    ],
)
def test_what_is_not_a_question(app, wrong, field):
    assert set(app.post(URL, json=wrong, status=409).json["error"]) == {"__type", field}


_PARTS = st.one_of(
    st.text(),
    st.text("abcXYZ019-_.=", max_size=80),
    st.binary().map(encode64),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ).map(lambda value: encode64(json.dumps(value).encode())),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=st.lists(_PARTS, max_size=4), separator=st.sampled_from([".", ".", ".", "..", " "]))
def test_any_text_gets_an_answer(parts, separator):
    answer = verify(separator.join(parts), strict=False)
    assert answer["verified"] is False
    json.dumps(answer, allow_nan=False)
