"""``ckan authz explain``"""

from __future__ import annotations

from typing import Any

import pytest
from ckan import model, plugins
from ckan.tests import factories
from click.testing import CliRunner, Result

from ckanext.authz_service.interfaces import IAuthorizationBindings
from tests.authz_service.site import account, granted

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


def run(*arguments: str) -> Result:
    # Through ``ckan`` itself the ini file would be read again.
    plugin: Any = plugins.get_plugin("authz_service")
    (authz,) = plugin.get_commands()
    return CliRunner().invoke(authz, ["explain", *arguments])


def explained(*arguments: str) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def about(output: str, action: str) -> str:
    """What is told about one action, without the lines about others."""
    lines = output.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{action}: "))
    rest = (
        number for number, line in enumerate(lines[start + 1 :], start + 1) if not line.startswith("    ")
    )
    return "\n".join(lines[start : next(rest)])


def test_what_is_granted_and_what_refused_and_by_whom():
    editor = factories.User()["name"]
    organization = factories.Organization(users=[{"name": editor, "capacity": "editor"}])
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    scope = f"ds:{dataset['name']}:read,update,purge,nonsense"
    output = explained(editor, scope)
    for action, check in (("read", "package_show"), ("update", "package_update")):
        told = about(output, action)
        assert told.startswith(f"{action}: granted\n")
        assert f"CKAN allows {check}(id={dataset['id']})" in told
        assert "granted by ckanext.authz_service.bindings.dataset." in told
    told = about(output, "purge")
    assert told.startswith("purge: refused\n")
    assert f"CKAN refuses dataset_purge(id={dataset['id']})" in told
    assert "package_show" not in told
    told = about(output, "nonsense")
    assert "no authorizer answers" in told
    assert "create, delete, list, patch, purge, read, update" in told
    assert f"granted  ds:{dataset['name']}:read,update\n" in output
    assert f"dataset  {dataset['id']}\n" in output
    assert granted(editor, scope) == [f"ds:{dataset['name']}:read,update"]


def test_ckans_own_words_for_a_refusal():
    dataset = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    user = factories.User()["name"]
    output = explained(user, f"ds:{dataset['id']}:read")
    assert f"User {user} not authorized to read package {dataset['id']}" in about(output, "read")
    assert "granted  nothing\n" in output


def test_all_actions_are_explained_if_none_is_asked_for():
    dataset = factories.Dataset()
    output = explained("-", f"obj:ckan/{dataset['name']}/*")
    assert "user     anonymous\n" in output
    assert about(output, "read").startswith("read: granted\n")
    assert "is another name for 'write'" in about(output, "update")
    assert f"granted  obj:ckan/{dataset['name']}/*:read\n" in output


@pytest.mark.parametrize(
    ("scope", "reason"),
    [
        ("ds:unknown:read", "there is no dataset 'unknown'"),
        ("ds:unknown/*:read", "there is no organisation 'unknown'"),
        ("org:unknown:read", "there is no organisation 'unknown'"),
        ("org:unknown:create", "not about one organisation"),
        ("res:unknown:read", "there is no resource 'unknown'"),
        ("res:unknown:create", "place for resources"),
        ("obj:ckan/unknown/*:read", "there is no dataset 'unknown'"),
        ("ds:{org}/{name}:create", "place for datasets"),
        ("ds:{org}/:read", "asks for all"),
        ("ds:{org}/*:read", "no role in '{org}'"),
        ("ds:other/{name}:read", "is in '{org}' and not in 'other'"),
        ("res:-/{name}/*:read", "is in '{org}' and not in '-'"),
        ("ds:*:read", "CKAN refuses sysadmin()"),
    ],
)
def test_reasons_that_are_not_ckans(scope, reason):
    organization = factories.Organization()
    dataset = factories.Dataset(owner_org=organization["id"])
    names = {"org": organization["name"], "name": dataset["name"]}
    output = explained(factories.User()["name"], scope.format(**names))
    assert reason.format(**names) in output
    assert "granted  nothing\n" in output


def test_a_user_by_id_and_a_sysadmin():
    sysadmin = factories.Sysadmin()
    dataset = factories.Dataset()
    output = explained(sysadmin["id"], f"ds:{dataset['name']}:purge")
    assert f"user     {sysadmin['name']} (id {sysadmin['id']}, sysadmin)\n" in output
    assert about(output, "purge").startswith("purge: granted\n")


def test_an_account_that_is_not_active_gets_nothing():
    user = factories.User()
    account(user).state = model.State.DELETED
    model.Session.commit()
    output = explained(user["name"], f"ds:{factories.Dataset()['name']}:read")
    assert "The account is deleted" in output
    assert "granted" not in output


@pytest.mark.parametrize(
    ("user", "scope", "message"),
    [
        ("no-such-user", "ds:x:read", "no user with the name or id 'no-such-user'"),
        ("-", "ds:x:", "list of actions is empty"),
        ("-", "database:x:read", "Known types: ds, obj, org, res"),
        ("-", "ds:x:part:read", "Known subscopes: data, metadata"),
        ("-", "res:a/b:read", "its ref must be"),
    ],
)
def test_what_cannot_be_explained(user, scope, message):
    result = run(user, scope)
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


class Names(plugins.SingletonPlugin):
    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        authorizer.register_type_alias("dataset", "ds")
        authorizer.register_authorizer("ds", self.cite, actions=["cite"])

    def cite(self, id, organization_id, context):
        return ["cite"]


def test_what_other_plugins_bring(provide_plugin):
    provide_plugin("Names", Names)
    plugins.load("Names")
    try:
        output = explained("-", f"dataset:{factories.Dataset()['name']}:cite")
    finally:
        plugins.unload("Names")
    assert "'dataset' is another name for 'ds'" in output
    assert "granted by tests.authz_service.test_explain.Names.cite" in about(output, "cite")
