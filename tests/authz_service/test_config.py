from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan.common import config_declaration

from ckanext.authz_service import config, tokens, verifying
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken, MissingKey
from ckanext.authz_service.scope import Scope

pytestmark = pytest.mark.usefixtures("with_plugins")


def test_defaults(ckan_config, monkeypatch):
    prefix = "ckanext.authz_service."
    declared = {
        str(key): config_declaration[key].default
        for key in config_declaration.iter_options(pattern=prefix + "*")
    }
    assert declared == {
        prefix + "keys_dir": None,
        prefix + "jwt_max_lifetime": 900,
        prefix + "rate_limit_anonymous": 120,
        prefix + "rate_limit_user": 600,
        prefix + "giftless_profile": False,
        prefix + "legacy_browser_tokens": False,
        prefix + "jwt_issuer": None,
        prefix + "jwt_audience": None,
        prefix + "ledger_retention": 30,
        prefix + "jwt_algorithm": None,
        prefix + "jwt_private_key": None,
        prefix + "jwt_private_key_file": None,
        prefix + "jwt_public_key_file": None,
        prefix + "jwt_include_user_email": False,
        prefix + "jwt_include_token_id": False,
    }
    monkeypatch.setitem(ckan_config, prefix + "keys_dir", None)
    assert config.max_lifetime() == 900
    assert config.issuer() == tk.config["ckan.site_url"]
    assert config.lfs_audience() == tk.config["ckan.site_url"] + "/lfs"
    assert config.audience() is None
    assert config.keys_dir() is None
    with pytest.raises(MissingKey, match=r"ckanext\.authz_service\.keys_dir"):
        config.signing_key()
    assert config.verification_keys() == {}


def test_a_token_for_the_lfs_server(with_key):
    def token(audience):
        scope = AuthorizedScope(Scope("obj", "ns/ds/*", ["read"]), "id")
        return tokens.mint(
            config.signing_key(), [scope], issuer=config.issuer(), audience=audience, lifetime=60
        ).token

    assert verifying.lfs_token(token(config.lfs_audience())).refs == {"obj:ns/ds/*:read": "id"}
    for audience in (None, config.issuer()):
        with pytest.raises(InvalidToken):
            verifying.lfs_token(token(audience))
