"""Tokens in giftless's profile, from a running CKAN, on a real giftless: each opens its scope and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import requests
from ckan.tests import factories

from ckanext.authz_service import config, giftless, keys, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken
from ckanext.authz_service.giftless_profile import issue_for_giftless
from ckanext.authz_service.scope import Scope
from tests.giftless_server import Giftless, actions, running
from tests.portal import Portal, editor_and_dataset, oid_of, pointer

pytestmark = [
    pytest.mark.usefixtures("with_plugins", "with_giftless_profile"),
    pytest.mark.ckan_config("ckanext.authz_service.giftless_profile", True),
]

DATA = b"year,value\n2026,1\n"
OTHER = b"something else\n"


@pytest.fixture(scope="module")
def server(keys_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Giftless]:
    with running(keys.public_path(keys_dir, giftless.ROLE), tmp_path_factory.mktemp("giftless")) as found:
        yield found


@pytest.fixture
def with_giftless_profile(keys_dir: Path, ckan_config, monkeypatch) -> None:
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(keys_dir))


@pytest.fixture
def portal(app) -> Portal:
    return Portal(app)


@pytest.fixture
def published(portal: Portal) -> tuple[dict[str, Any], dict[str, Any]]:
    """An editor, and a dataset with a file."""
    editor, dataset = editor_and_dataset()
    portal.publish(editor, dataset, DATA)
    return editor, dataset


def token_for(user: dict[str, Any], dataset: dict[str, Any], action: str, data: bytes = DATA) -> str:
    minted = issue_for_giftless({"user": user["name"]}, "ckan", dataset["id"], oid_of(data), action)
    assert minted is not None
    return minted.token


def test_it_brings_a_file_and_gets_it_back(server: Giftless, published):
    editor, dataset = published
    repository = f"ckan/{dataset['id']}"

    found = actions(server.batch(repository, token_for(editor, dataset, "write"), "upload", pointer(DATA)))
    requests.put(
        found["upload"]["href"], data=DATA, headers=found["upload"]["header"], timeout=30
    ).raise_for_status()
    verify = found["verify"]
    requests.post(verify["href"], json=pointer(DATA), headers=verify["header"], timeout=30).raise_for_status()

    found = actions(server.batch(repository, token_for(editor, dataset, "read"), "download", pointer(DATA)))
    download = found["download"]
    assert requests.get(download["href"], headers=download.get("header"), timeout=30).content == DATA


def test_it_opens_nothing_else(server: Giftless, published):
    editor, dataset = published
    here, elsewhere = f"ckan/{dataset['id']}", f"ckan/{factories.Dataset(user=editor)['id']}"
    write, read = (token_for(editor, dataset, action) for action in ("write", "read"))
    assert actions(server.batch(here, write, "upload", pointer(DATA)))
    for repository, token, operation, data in (
        (here, write, "upload", OTHER),
        (elsewhere, write, "upload", DATA),
        (f"other/{dataset['id']}", write, "upload", DATA),
        (here, read, "upload", DATA),
        (here, write, "download", DATA),
        (here, read, "download", OTHER),
        (elsewhere, read, "download", DATA),
    ):
        response = server.batch(repository, token, operation, pointer(data))
        assert response.status_code == 403, (repository, operation, response.text)
    both = server.batch(here, write, "upload", pointer(DATA), pointer(OTHER))
    assert both.status_code == 403, "not even together with what it opens"


def test_other_tokens_are_refused(server: Giftless, published, portal: Portal, keys_dir: Path):
    editor, dataset = published
    repository = f"ckan/{dataset['id']}"
    ours = AuthorizedScope(Scope("obj", f"{repository}/{oid_of(DATA)}", ["write"]), dataset["id"])
    key, issuer = keys.load(keys_dir, giftless.ROLE), config.issuer()

    long_ago = datetime.now(timezone.utc) - timedelta(seconds=giftless.LIFETIME + 3 * tokens.LEEWAY)
    expired = giftless.mint(key, ours, issuer=issuer, now=long_ago).token
    normal = portal.token(editor, str(ours.scope))
    same_without_audience = tokens.mint(
        config.signing_key(), [ours], issuer=issuer, audience=None, lifetime=60
    ).token
    with_audience = tokens.mint(key, [ours], issuer=issuer, audience=config.lfs_audience(), lifetime=60).token
    for name, token in {
        "expired": expired,
        "for our own server": normal,
        "signed with our own key": same_without_audience,
        "with an audience": with_audience,
    }.items():
        response = server.batch(repository, token, "upload", pointer(DATA))
        assert response.status_code == 401, (name, response.text)


def test_our_own_servers_do_not_trust_its_key(app, published, portal: Portal, keys_dir: Path):
    editor, dataset = published
    token = token_for(editor, dataset, "read")
    kid = keys.load(keys_dir, giftless.ROLE).kid
    assert kid not in [jwk["kid"] for jwk in app.get("/authz/jwks.json").json["keys"]]
    assert kid not in config.verification_keys()
    with pytest.raises(InvalidToken) as raised:
        tokens.verify(
            token, config.verification_keys(), config.issuer(), config.lfs_audience(), config.max_lifetime()
        )
    assert raised.value.reason == "unknown_key"
    portal.batch(dataset, token, "download", pointer(DATA), status=401)


# --- tokens in the hands of browsers ----------------------------------------------------------------------


@pytest.mark.ckan_config("ckanext.authz_service.legacy_browser_tokens", True)
def test_an_older_upload_form_gets_a_token_for_the_dataset(server: Giftless, portal: Portal):
    editor, dataset = editor_and_dataset()
    repository = f"ckan/{dataset['id']}"
    answer = portal.action("authz_authorize", editor, scopes=[f"obj:{repository}/*:write"], lifetime=900)
    assert answer["granted_scopes"] == [f"obj:{repository}/*:write"]
    left = datetime.fromisoformat(answer["expires_at"]) - datetime.now(timezone.utc)
    assert left <= timedelta(seconds=60)
    for data in (DATA, OTHER):
        assert actions(server.batch(repository, answer["token"], "upload", pointer(data)))
    elsewhere = factories.Dataset(user=editor)["id"]
    assert server.batch(f"ckan/{elsewhere}", answer["token"], "upload", pointer(OTHER)).status_code == 403
    assert server.batch(repository, answer["token"], "download", pointer(OTHER)).status_code == 403
