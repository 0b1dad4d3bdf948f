from __future__ import annotations

from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.authz_service.permissions import (
    Check,
    Memory,
    active_user,
    allowed,
    context_for,
    fresh_context,
    once,
)
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


def test_within_one_memory_each_question_is_asked_once():
    private = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    memory = Memory()
    user = account(factories.User())
    for _ in range(3):
        context = context_for(user, memory)
        assert not allowed("package_show", context, {"id": private["id"]})
        assert not allowed("package_show", context, {"id": "unknown"})
        assert allowed("package_list", context)
        assert set(context) == {"user", "auth_user_obj", "authz_service_memory"}
    assert [(step.action, step.allowed) for step in memory.steps if isinstance(step, Check)] == [
        ("package_show", False),
        ("package_show", False),
        ("package_list", True),
    ]
    assert allowed("package_show", context_for(account(factories.Sysadmin()), memory), {"id": private["id"]})
    assert not allowed("package_show", context_for(None, memory), {"id": private["id"]})


def test_what_cannot_be_remembered_is_asked_each_time():
    memory = Memory()
    groups = [factories.Group()["id"]]
    for _ in range(2):
        assert not allowed("package_create", context_for(None, memory), {"groups": groups})
    assert len(memory.steps) == 2


def test_looked_up_once_within_a_memory_and_each_time_without():
    found: list[int] = []
    context = context_for(None, Memory())
    for _ in range(2):
        assert once(context, "key", lambda: found.append(1)) is None
    assert len(found) == 1
    for _ in range(2):
        once({"user": ""}, "key", lambda: found.append(1))  # type: ignore[typeddict-item]
    assert len(found) == 3


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
