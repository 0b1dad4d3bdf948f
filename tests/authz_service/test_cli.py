"""``ckan authz keygen``"""

from __future__ import annotations

from typing import Any

import pytest
from ckan import plugins
from click.testing import CliRunner

from ckanext.authz_service import keys

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def run():
    # Through ``ckan`` itself the ini file would be read again, and with it another keys_dir.
    plugin: Any = plugins.get_plugin("authz_service")
    (authz,) = plugin.get_commands()
    assert authz.name == "authz"
    return lambda *arguments: CliRunner().invoke(authz, arguments)


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [((), "RS256"), (("--algorithm", "ES256"), "ES256"), (("--algorithm", "EdDSA"), "EdDSA")],
)
def test_keygen_makes_a_key_and_says_where(run, without_key, arguments, algorithm):
    result = run("keygen", *arguments)
    assert result.exit_code == 0, result.output
    key = keys.load(without_key)
    assert key.algorithm == algorithm
    for text in (str(without_key / "current.pem"), str(without_key / "current.pub.pem"), key.kid):
        assert text in result.output
    private = (without_key / "current.pem").read_text().splitlines()
    assert not any(line in result.output for line in private)


def test_keygen_does_not_overwrite(run, without_key):
    assert run("keygen", "--algorithm", "EdDSA").exit_code == 0
    before = (without_key / "current.pem").read_bytes()
    result = run("keygen")
    assert result.exit_code != 0
    assert "already a key" in result.output
    assert str(without_key / "current.pem") in result.output
    assert (without_key / "current.pem").read_bytes() == before


def test_keygen_needs_to_know_where(run, ckan_config, monkeypatch):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", None)
    result = run("keygen")
    assert result.exit_code != 0
    assert "ckanext.authz_service.keys_dir" in result.output


def test_keygen_knows_its_algorithms(run, without_key):
    result = run("keygen", "--algorithm", "HS256")
    assert result.exit_code != 0
    assert list(without_key.iterdir()) == []
