from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.authz_service.permissions import active_user, allowed, fresh_context
from tests.authz_service.site import account

pytestmark = pytest.mark.usefixtures("with_plugins")


def test_a_fresh_context_has_the_user_and_nothing_else():
    user = account(factories.User())
    context: Any = {
        "user": user.name,
        "auth_user_obj": user,
        "ignore_auth": True,
        "package": object(),
        "session": object(),
        "__auth_user_obj_checked": True,
    }
    assert fresh_context(context) == {"user": user.name, "auth_user_obj": user}
    assert fresh_context({"auth_user_obj": user}) == {"user": ""}
    assert fresh_context({"user": "other", "auth_user_obj": user}) == {"user": "other"}
    assert "package" in context


def test_missing_and_forbidden_are_both_no():
    dataset = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    assert not allowed("package_show", {"user": ""}, {"id": dataset["id"]})
    assert not allowed("package_show", {"user": ""}, {"id": "no-such-dataset"})
    assert allowed("package_show", {"user": factories.Sysadmin()["name"]}, {"id": dataset["id"]})


def test_a_check_looks_at_the_user_of_the_context_and_at_nothing_else_in_it():
    private = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    public = factories.Dataset()
    user, sysadmin = account(factories.User()), account(factories.Sysadmin())
    dirty: list[Any] = [
        {"user": user.name, "ignore_auth": True},
        {"user": user.name, "auth_user_obj": sysadmin},
        {"user": "", "auth_user_obj": sysadmin},
        {"auth_user_obj": sysadmin},
        {"user": user.name, "package": model.Package.get(public["id"])},
    ]
    for context in dirty:
        assert not allowed("package_show", context, {"id": private["id"]}), context


def test_neither_argument_is_changed():
    dataset = factories.Dataset()
    context: Any = {"user": factories.User()["name"]}
    data = {"id": dataset["id"]}
    assert allowed("package_show", context, data)
    assert set(context) == {"user"}
    assert data == {"id": dataset["id"]}


def test_a_check_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="no_such_check"):
        allowed("no_such_check", {"user": factories.User()["name"]})


def test_who_is_calling():
    user = factories.User()
    assert active_user({"user": user["name"]}) is account(user)
    assert active_user({"user": ""}) is None
    assert active_user({"user": "127.0.0.1"}) is None  # how older code writes an anonymous user
