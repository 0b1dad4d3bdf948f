"""Tokens for giftless: for what and for whom they are made. tests/interop shows them to a real one."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
from ckan.tests import factories

from ckanext.authz_service import audit, config, giftless, keys
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import GiftlessOff, GiftlessScope, MalformedScope, MissingGiftlessKey
from ckanext.authz_service.giftless_profile import issue_for_giftless
from ckanext.authz_service.scope import Scope
from tests.authz_service.jose import verified
from tests.authz_service.site import ask
from tests.giftless_server import keys_of_a_site
from tests.portal import editor_and_dataset

pytestmark = pytest.mark.usefixtures("with_giftless_key", "with_plugins")

OID = 64 * "a"
PROFILE = "ckanext.authz_service.giftless_profile"
LEGACY = "ckanext.authz_service.legacy_browser_tokens"

on = pytest.mark.ckan_config(PROFILE, True)
legacy = pytest.mark.ckan_config(LEGACY, True)


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory):
    return keys_of_a_site(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def with_giftless_key(keys_dir, ckan_config, monkeypatch):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(keys_dir))


def claims_of(token: str) -> dict[str, Any]:
    """Of a token that is signed with giftless's key."""
    directory = config.keys_dir()
    assert directory
    header, claims = verified(token, keys.jwks([keys.load(directory, giftless.ROLE).public]))
    assert header["alg"] == "RS256"
    return claims


def problem(user: str, *scopes: str) -> str:
    with pytest.raises(tk.ValidationError) as raised:
        ask(user, *scopes)
    errors: Any = raised.value.error_dict
    (message,) = errors["scopes"]
    return message


# --- for CKAN itself --------------------------------------------------------------------------------------


@on
def test_what_is_in_it():
    editor, dataset = editor_and_dataset()
    minted = issue_for_giftless({"user": editor["name"]}, "ckan", dataset["id"], OID, "write")
    assert minted is not None
    claims = claims_of(minted.token)
    assert claims["scopes"] == f"obj:ckan/{dataset['id']}/{OID}:write"
    assert claims["sub"] == editor["id"]
    assert claims["exp"] - claims["iat"] == 60
    assert "aud" not in claims


@on
def test_ckan_decides_who_gets_one():
    _, dataset = editor_and_dataset()
    stranger, somewhere_else = factories.User(), factories.Organization()["name"]
    for user in (stranger["name"], ""):
        assert issue_for_giftless({"user": user}, "ckan", dataset["id"], OID, "write") is None
        context: Any = {"user": user, "ignore_auth": True}
        assert issue_for_giftless(context, "ckan", dataset["id"], OID, "read") is None
    sysadmin = factories.Sysadmin()["name"]
    assert issue_for_giftless({"user": sysadmin}, somewhere_else, dataset["id"], OID, "write") is None
    assert issue_for_giftless({"user": sysadmin}, "ckan", "no-such-dataset", OID, "write") is None


@on
def test_one_object_of_a_dataset_by_its_id():
    editor, dataset = editor_and_dataset()
    context: Any = {"user": editor["name"]}
    for dataset_id, oid, error in (
        (dataset["name"], OID, GiftlessScope),
        (dataset["id"], "*", GiftlessScope),
        (dataset["id"], OID.upper(), MalformedScope),
        (dataset["id"], "..", MalformedScope),
        (f"{dataset['id']}/x", OID, MalformedScope),
        ("*", OID, MalformedScope),
    ):
        with pytest.raises(error):
            issue_for_giftless(context, "ckan", dataset_id, oid, "write")


def test_the_profile_is_off_unless_asked_for():
    editor, dataset = editor_and_dataset()
    with pytest.raises(GiftlessOff, match="giftless_profile"):
        issue_for_giftless({"user": editor["name"]}, "ckan", dataset["id"], OID, "write")


@on
def test_without_its_key_the_error_names_the_command(ckan_config, monkeypatch, tmp_path):
    keys.generate(tmp_path, "ES256")
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path))
    with pytest.raises(MissingGiftlessKey, match="giftless-key"):
        issue_for_giftless({"user": ""}, "ckan", "x", OID, "read")


@on
def test_they_are_in_the_audit_log(caplog):
    caplog.set_level("INFO", audit.__name__)
    editor, dataset = editor_and_dataset()
    minted = issue_for_giftless({"user": editor["name"]}, "ckan", dataset["id"], OID, "write")
    assert minted is not None
    assert '"audience": "giftless"' in caplog.text
    assert minted.jti in caplog.text
    assert minted.token not in caplog.text


@pytest.mark.parametrize(
    ("text", "dataset_id"),
    [
        ("ds:id:read", "id"),
        (f"obj:ckan/id/{OID}:meta:read", "id"),
        (f"obj:ckan/id/{OID}:read,verify", "id"),
        (f"obj:ckan/id/{OID}", "id"),
        (f"obj:ckan/id/{OID}:read", None),
        (f"obj:ckan/id/{OID}:read", "another"),
        (f"obj:ckan/id/{OID}/x:read", "id"),
        ("obj:ckan/id/abc:read", "id"),
        ("obj:ckan/id:read", "id"),
        ("obj:id:read", "id"),
        ("obj:*:read", "id"),
        ("obj:ckan/id/*:read", "id"),
    ],
)
def test_nothing_wider_is_signed_whoever_granted_it(keys_dir, text, dataset_id):
    key = keys.load(keys_dir, giftless.ROLE)
    with pytest.raises(GiftlessScope):
        giftless.mint(key, AuthorizedScope(Scope.from_string(text), dataset_id), issuer="https://x.example")


# --- for browsers -----------------------------------------------------------------------------------------


@on
def test_callers_of_the_action_get_tokens_for_our_own_server():
    editor, dataset = editor_and_dataset()
    answer = ask(editor["name"], f"obj:ckan/{dataset['id']}/*:write")
    _, claims = verified(answer["token"], keys.jwks(config.verification_keys().values()))
    assert claims["aud"] == config.lfs_audience()


@legacy
def test_the_older_tokens_need_the_profile():
    editor, dataset = editor_and_dataset()
    answer = ask(editor["name"], f"obj:ckan/{dataset['id']}/*:write")
    _, claims = verified(answer["token"], keys.jwks(config.verification_keys().values()))
    assert claims["aud"] == config.lfs_audience()


@on
@legacy
def test_older_tokens_say_what_giftless_understands():
    editor, dataset = editor_and_dataset()
    ref = f"obj:ckan/{dataset['id']}/*"
    for asked, granted in ((ref, "read,write"), (f"{ref}:update,write", "write"), (f"{ref}:read", "read")):
        answer = ask(editor["name"], asked, lifetime=30)
        assert answer["granted_scopes"] == [f"{ref}:{granted}"]
        claims = claims_of(answer["token"])
        assert claims["scopes"] == f"{ref}:{granted}"
        assert claims["exp"] - claims["iat"] == 30
    assert ask(editor["name"], f"{ref}:update")["token"] is None


@on
@legacy
def test_older_tokens_are_for_one_scope_and_by_id():
    editor, dataset = editor_and_dataset()
    by_id, by_name = (f"obj:ckan/{dataset[key]}/*:write" for key in ("id", "name"))
    assert "by its id" in problem(editor["name"], by_name)
    assert "unite" in problem(editor["name"], by_id, f"obj:ckan/{dataset['id']}/{OID}:write")
    assert claims_of(ask(editor["name"], by_id, by_id)["token"])
    stranger = factories.User()["name"]
    assert ask(stranger, by_id)["token"] is ask(stranger, by_name)["token"] is None


@on
@legacy
def test_other_tokens_stay_as_they_are():
    dataset = factories.Dataset()
    answer = ask(None, f"ds:{dataset['name']}:read", f"ds:{dataset['id']}:read")
    _, claims = verified(answer["token"], keys.jwks(config.verification_keys().values()))
    assert len(claims["scopes"]) == 2


# --- the command ------------------------------------------------------------------------------------------


def test_the_command_creates_the_key_once_and_prints_its_public_half(run, without_key):
    first, second = run("giftless-key"), run("giftless-key")
    assert first.exit_code == second.exit_code == 0, first.output + second.output
    public = (without_key / "giftless.pub.pem").read_text()
    assert public in first.output
    assert public in second.output
    assert "Created" in first.output
    assert "Created" not in second.output
    assert "PRIVATE" not in first.output
    assert keys.load(without_key, giftless.ROLE).algorithm == "RS256"
    assert not (without_key / "current.pem").exists()


def test_the_command_needs_a_directory_it_can_write(run, ckan_config, monkeypatch, tmp_path):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", None)
    assert "keys_dir" in run("giftless-key").output
    (tmp_path / "file").touch()
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path / "file"))
    failed = run("giftless-key")
    assert failed.exit_code == 1
    assert "Check that" in failed.output
