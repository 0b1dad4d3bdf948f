"""``ckan authz tokens …``"""

from __future__ import annotations

from datetime import timedelta

import pytest
from ckan.tests import factories

from ckanext.authz_service import config
from tests.authz_service.ledger_rows import age, issued_to, jti_of, rows

pytestmark = pytest.mark.usefixtures("with_plugins")


def test_tokens_are_listed_without_being_shown(run, with_key):
    user = factories.User()
    live, revoked = issued_to(user), issued_to(user)
    assert run("tokens", "revoke", jti_of(revoked)).output == "Revoked 1 live tokens.\n"
    (line,) = run("tokens", "list", "--user", user["name"]).stdout.splitlines()
    assert line.startswith(jti_of(live))
    assert line.endswith(f"  live  {user['name']}  {live['granted_scopes'][0]}")
    result = run("tokens", "list", "--user", user["id"], "--all")
    assert [text.split()[3] for text in result.output.splitlines()] == ["revoked", "live"]
    assert live["token"].rpartition(".")[2] not in result.output
    output = run("tokens", "list", "--all", "--limit", "1").output
    assert output.count(" ds:") == 1
    assert "There are more" in output


def test_revoking_all_tokens_of_a_user(run, with_key):
    user = factories.User()
    for _ in range(2):
        issued_to(user)
    assert run("tokens", "revoke", "--user", user["name"]).output == "Revoked 2 live tokens.\n"
    assert run("tokens", "list", "--user", user["name"]).stdout == ""


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("revoke",), 2, "id of a token, or --user"),
        (("revoke", "x", "--user", "y"), 2, "id of a token, or --user"),
        (("revoke", "x"), 1, "no such token"),
        (("revoke", "--user", "no-such-user"), 1, "no user 'no-such-user'"),
        (("list", "--user", "no-such-user"), 1, "no user 'no-such-user'"),
    ],
)
def test_what_cannot_be_revoked_or_listed(run, arguments, code, says):
    result = run("tokens", *arguments)
    assert result.exit_code == code
    assert says in result.output


def test_pruning(run, with_key):
    run("tokens", "prune")
    user = factories.User()
    age(jti_of(issued_to(user)), config.ledger_retention() + timedelta(hours=1))
    assert run("tokens", "prune").output == "Forgot 1 tokens.\n"
    assert rows(user["id"]) == []
