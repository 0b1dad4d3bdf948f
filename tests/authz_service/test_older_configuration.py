"""The configuration that the documentation of ckanext-authz-service gave works as it was printed."""

from __future__ import annotations

import configparser
import subprocess

import ckantoolkit as tk
import pytest
from ckan.tests import factories
from ckan.tests.helpers import call_action

from ckanext.authz_service import config, keys
from tests.authz_service.jose import public_key_of, verified
from tests.authz_service.site import ask, opened

pytestmark = pytest.mark.usefixtures("with_plugins")

INI = """
[app:main]
ckanext.authz_service.jwt_algorithm = RS256
ckanext.authz_service.jwt_private_key_file = /path/to/jwt-rs256.key
ckanext.authz_service.jwt_public_key_file = /path/to/jwt-rs256.key.pub
ckanext.authz_service.jwt_include_user_email = true
"""


def configure(ckan_config, monkeypatch, options):
    monkeypatch.delitem(ckan_config, "ckanext.authz_service.keys_dir", raising=False)
    for key, value in options.items():
        monkeypatch.setitem(ckan_config, key, tk.asbool(value) if value in ("true", "false") else value)


@pytest.fixture(params=["PEM", "OpenSSH"])
def older(request, ckan_config, monkeypatch, tmp_path):
    """A site with that configuration and keys as people made them then, which are returned as a path."""
    key = tmp_path / "jwt-rs256.key"
    form = ["-m", "PEM"] if request.param == "PEM" else []
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", *form, "-N", "", "-f", key], check=True)
    public = tmp_path / "jwt-rs256.key.pub"
    assert public.read_text().startswith("ssh-rsa ")
    if request.param == "PEM":
        subprocess.run(
            ["openssl", "rsa", "-in", key, "-pubout", "-out", public], check=True, capture_output=True
        )
        assert public.read_text().startswith("-----BEGIN PUBLIC KEY-----")
    parser = configparser.ConfigParser()
    parser.read_string(INI.replace("/path/to", str(tmp_path)))
    configure(ckan_config, monkeypatch, parser["app:main"])
    return key


def test_the_older_configuration(app, older):
    user = factories.User()
    dataset = factories.Dataset(user=user)
    answer = ask(user["name"], f"ds:{dataset['name']}:read")
    assert opened(answer).user_id == user["id"]

    jwks = app.get("/authz/jwks.json").json
    header, claims = verified(answer["token"], jwks)
    assert (header["alg"], claims["email"]) == ("RS256", user["email"])
    assert claims["jti"]
    assert [jwk["kid"] for jwk in jwks["keys"]] == [keys.read_private(older).kid]
    pem = call_action("authz_public_key")["public_key"]
    assert pem == app.get("/authz/public_key").body
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    assert keys.thumbprint(public_key_of(jwks["keys"][0])) == header["kid"]


def test_addresses_are_nobodys_business_unless_asked_for(app, with_key):
    user = factories.User()
    dataset = factories.Dataset(user=user)
    answer = ask(user["name"], f"ds:{dataset['name']}:read")
    _, claims = verified(answer["token"], app.get("/authz/jwks.json").json)
    assert "email" not in claims


def test_a_key_in_the_configuration_itself(ckan_config, monkeypatch, tmp_path):
    key = keys.generate(tmp_path / "a", "ES256")
    text = keys.private_path(tmp_path / "a").read_text().replace("\n", "\\n")
    configure(ckan_config, monkeypatch, {"ckanext.authz_service.jwt_private_key": text})
    assert config.signing_key().kid == config.public_key().kid == key.kid


@pytest.mark.parametrize(
    ("algorithm", "reason"), [("HS256", "secret"), ("none", "signature"), ("dir", "JWE")]
)
def test_what_was_possible_and_is_refused(app, ckan_config, monkeypatch, caplog, algorithm, reason):
    options = {"jwt_algorithm": algorithm, "jwt_private_key": "a shared secret"}
    configure(
        ckan_config, monkeypatch, {f"ckanext.authz_service.{key}": value for key, value in options.items()}
    )
    with pytest.raises(tk.ObjectNotFound):
        call_action("authz_public_key")
    assert reason in caplog.text
    assert app.get("/authz/jwks.json", status=503)
    assert "a shared secret" not in caplog.text
