"""What the ledger adds to a token, counted in SQL statements."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan.tests import factories

from ckanext.authz_service import verifying
from tests.authz_service.ledger_rows import issued_to
from tests.statements import statements

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


def about_the_ledger(sent: list[str]) -> list[str]:
    return [statement for statement in sent if "authz_service_" in statement]


@pytest.mark.parametrize("count", [1, 8])
def test_one_statement_to_issue(count):
    user = factories.User()
    scopes = [f"ds:{factories.Dataset()['name']}:read" for _ in range(count)]
    issued_to(user, *scopes)
    with statements() as sent:
        assert len(issued_to(user, *scopes)["granted_scopes"]) == count
    assert len(about_the_ledger(sent)) == 1


def test_one_statement_to_check_and_nothing_else():
    token = issued_to(factories.User())["token"]
    with statements() as sent:
        verifying.any_token(token)
    assert len(sent) == len(about_the_ledger(sent)) == 1


def test_none_for_anonymous_users():
    scope = f"ds:{factories.Dataset()['name']}:read"
    with statements() as sent:
        verifying.any_token(issued_to(None, scope)["token"])
    assert about_the_ledger(sent) == []


def test_none_for_what_is_refused_anyway():
    with statements() as sent:
        tk.get_action("authz_verify")({"user": ""}, {"token": issued_to(None)["token"][:-5] + "AAAAA"})
    assert about_the_ledger(sent) == []
