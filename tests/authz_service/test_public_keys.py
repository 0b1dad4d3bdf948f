"""``/authz/jwks.json`` and ``/authz/public_key``."""

from __future__ import annotations

import logging

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from ckanext.authz_service import keys
from tests.authz_service.jose import public_key_of

pytestmark = pytest.mark.usefixtures("with_plugins")

URLS = ["/authz/jwks.json", "/authz/public_key"]


def test_the_key_set(app, with_key):
    response = app.get("/authz/jwks.json")
    assert response.headers["Content-Type"] == "application/jwk-set+json"
    (jwk,) = response.json["keys"]
    assert public_key_of(jwk) == keys.load(with_key).public.key
    assert jwk["kid"] == keys.load(with_key).kid


def test_the_pem(app, with_key):
    response = app.get("/authz/public_key")
    assert response.headers["Content-Type"] == "application/x-pem-file"
    assert load_pem_public_key(response.bytes) == keys.load(with_key).public.key


@pytest.mark.parametrize("url", URLS)
def test_they_may_be_cached_for_five_minutes(app, with_key, url):
    response = app.get(url)
    assert response.headers["Cache-Control"] == "public, max-age=300"
    assert "Set-Cookie" not in response.headers
    again = app.get(url, headers={"If-None-Match": response.headers["ETag"]}, status=304)
    assert again.body == ""
    assert again.headers["ETag"] == response.headers["ETag"]
    head = app.test_client().head(url)
    assert (head.headers["ETag"], head.get_data()) == (response.headers["ETag"], b"")


def test_a_new_key_has_a_new_etag(app, without_key):
    keys.generate(without_key, "EdDSA")
    before = [app.get(url).headers["ETag"] for url in URLS]
    (without_key / "current.pem").unlink()
    keys.generate(without_key, "EdDSA")
    for url, old in zip(URLS, before, strict=True):
        assert app.get(url, headers={"If-None-Match": old}, status=200).headers["ETag"] != old


@pytest.fixture
def rotating(without_key):
    """In the middle of a rotation, with a key for other purposes."""
    for role, algorithm in (("current", "ES256"), ("next", "EdDSA"), ("giftless", "RS256")):
        keys.generate(without_key, algorithm, role)
    keys.write_public(without_key, "previous", keys.generate(without_key / "old", "ES256").public)
    return without_key


def test_all_keys_of_a_rotation_are_published_and_no_others(app, rotating):
    jwks = app.get("/authz/jwks.json").json["keys"]
    assert [jwk["kid"] for jwk in jwks] == list(keys.verification_keys(rotating))
    assert [keys.thumbprint(public_key_of(jwk)) for jwk in jwks] == [jwk["kid"] for jwk in jwks]
    assert len(jwks) == 3
    other = keys.load(rotating, "giftless")
    assert other.kid not in {jwk["kid"] for jwk in jwks}
    assert load_pem_public_key(app.get("/authz/public_key").bytes) == keys.load(rotating).public.key


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_change_of_any_key_changes_the_etag(app, rotating, method):
    client = app.test_client()
    ask = getattr(client, method)
    etags = [ask("/authz/jwks.json").headers["ETag"]]
    for role in ("next", "previous"):
        assert ask("/authz/jwks.json", headers={"If-None-Match": etags[-1]}).status_code == 304
        keys.public_path(rotating, role).unlink()
        response = ask("/authz/jwks.json", headers={"If-None-Match": etags[-1]})
        assert response.status_code == 200
        assert response.headers["Cache-Control"] == "public, max-age=300"
        etags.append(response.headers["ETag"])
    assert len(set(etags)) == 3


def test_before_the_first_key(app, without_key):
    response = app.get("/authz/jwks.json")
    assert response.json == {"keys": []}
    assert response.headers["Cache-Control"] == "no-store"
    response = app.get("/authz/public_key", status=404)
    assert "ckan authz keygen" in response.body
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("url", URLS)
def test_a_broken_key_is_reported_to_the_log_only(app, without_key, caplog, url):
    (without_key / "current.pem").write_text("not a key")
    with caplog.at_level(logging.ERROR):
        response = app.get(url, status=503)
    assert str(without_key) not in response.body
    assert str(without_key) in caplog.text
    assert response.headers["Cache-Control"] == "no-store"
