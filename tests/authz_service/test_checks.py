"""``ckan authz check``: each thing that can be wrong is found, with what to do about it."""

from __future__ import annotations

import os
import re
from datetime import timedelta

import freezegun
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ckanext.authz_service import checks, keys, rotation
from tests.authz_service.ledger_rows import execute

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def check(run):
    return lambda: run("check")


@pytest.fixture
def site(without_key, ckan_config, monkeypatch):
    """A site that is set up well, but for what a test spoils with ``site(option, value)``."""
    without_key.chmod(0o700)
    keys.generate(without_key, "EdDSA")
    return lambda option, value: monkeypatch.setitem(ckan_config, f"ckanext.authz_service.{option}", value)


def found(check, *names):
    """The problems of exactly these checks, as text; the others are well."""
    result = check()
    assert result.exit_code == (1 if names else 0), result.output
    for name in checks.CHECKS:
        assert f"{name}: {'not well' if name in names else 'well'}\n" in result.output
    return result.output


def test_all_is_well(check, site):
    assert "  - " not in found(check)


def test_no_key(check, without_key):
    assert "Run: ckan authz keygen" in found(check, "keys")


def test_a_giftless_without_a_key(check, site, without_key):
    site("giftless_profile", True)
    assert "Run: ckan authz giftless-key" in found(check, "key for giftless")
    keys.generate(without_key, "RS256", "giftless")
    found(check)


def test_no_tables(check, site):
    execute("ALTER TABLE authz_service_token RENAME TO hidden_token")
    try:
        assert "ckan db upgrade -p authz_service" in found(check, "list of issued tokens")
    finally:
        execute("ALTER TABLE hidden_token RENAME TO authz_service_token")


def test_a_broken_key(check, site, without_key):
    keys.private_path(without_key).write_text("not a key")
    assert str(without_key) in found(check, "keys")


def test_an_algorithm_that_is_refused(check, site):
    site("jwt_algorithm", "HS256")
    assert "each server checking tokens would know" in found(check, "keys")


def test_a_key_of_another_algorithm_than_wanted(check, site, without_key):
    site("jwt_algorithm", "ES256")
    assert "ckan authz keys rotate" in found(check, "keys")


def test_a_public_file_of_another_key(check, site, without_key, tmp_path):
    keys.generate(tmp_path / "other", "EdDSA")
    site("jwt_private_key_file", str(keys.private_path(without_key)))
    site("jwt_public_key_file", str(keys.public_path(tmp_path / "other")))
    assert "public half is not in" in found(check, "keys")


def test_files_that_others_can_read_or_replace(check, site, without_key):
    private = keys.private_path(without_key)
    private.chmod(0o644)
    without_key.chmod(0o777)
    text = found(check, "permissions of files")
    assert f"chmod 600 {private}" in text
    assert text.count(f"chmod go-w {without_key}") == 1
    private.chmod(0o600)
    without_key.chmod(0o700)
    keys.generate(without_key, "EdDSA", "next")
    keys.private_path(without_key, "next").chmod(0o604)
    keys.public_path(without_key).chmod(0o666)
    text = found(check, "permissions of files")
    assert "next.pem" in text
    assert f"chmod go-w {keys.public_path(without_key)}" in text


def test_a_private_key_file_is_looked_at_too(check, site, without_key, tmp_path):
    given = tmp_path / "given" / "key.pem"
    keys.generate(given.parent, "EdDSA")
    keys.private_path(given.parent).replace(given)
    given.chmod(0o644)
    site("jwt_private_key_file", str(given))
    assert f"chmod 600 {given}" in found(check, "permissions of files")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_key_that_ckan_can_probably_not_read(check, site, without_key):
    os.chown(keys.private_path(without_key), 1234, 1234)
    assert f"chown --reference={without_key}" in found(check, "permissions of files")


@pytest.mark.parametrize(
    ("issuer", "problem"),
    [
        (None, None),
        ("my-portal", None),
        ("{site}/", "spelling"),
        ("{SITE}", "spelling"),
        ("https://elsewhere.example.org", "do not find them"),
    ],
)
def test_the_issuer(check, site, ckan_config, issuer, problem):
    address = ckan_config["ckan.site_url"]
    site("jwt_issuer", issuer and issuer.format(site=address, SITE=address.upper()))
    text = found(check, *(["issuer"] if problem else []))
    assert not problem or (problem in text and "jwt_issuer" in text)


@pytest.mark.parametrize(
    ("seconds", "order"),
    [(3600, r"3[56]\d\d seconds ahead of"), (-3600, r"3[67]\d\d seconds behind")],
)
def test_the_clock(check, site, seconds, order):
    with freezegun.freeze_time() as frozen:
        frozen.tick(timedelta(seconds=seconds))
        text = found(check, "clocks")
    for name in ("PostgreSQL", "Redis"):
        assert re.search(f"{order} that of {name}", text)


def test_a_clock_that_does_not_answer(check, site, ckan_config, monkeypatch):
    nobody = redis.Redis(port=1, retry=Retry(NoBackoff(), 0))
    monkeypatch.setattr(checks, "connect_to_redis", lambda: nobody)
    assert "The clock of Redis cannot be read" in found(check, "clocks")


def test_a_rotation_that_was_forgotten(check, site, without_key):
    rotation.advance(without_key, max_lifetime=900)
    assert "  - " not in found(check)
    with freezegun.freeze_time() as frozen:
        frozen.tick(timedelta(days=4))
        assert "due 4 days ago" in found(check, "rotation of keys", "clocks")
