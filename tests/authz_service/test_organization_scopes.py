"""``org:`` scopes: who is granted what on which organisation."""

from __future__ import annotations

import uuid
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz
from ckan.tests import factories, helpers

from tests.authz_service.site import ROLES, ask, granted, opened, people

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

ALL = "delete,patch,purge,read,update"
# CKAN lets admins of an organisation change it and, unless the site forbids it, delete it.
ACTIVE = {**dict.fromkeys(ROLES, "read"), "admin": "delete,patch,read,update", "sysadmin": ALL}


def actions(user, ref):
    """What is granted on this ref when nothing particular is asked for; "" for nothing."""
    scopes = granted(user, f"org:{ref}")
    assert all(scope.startswith(f"org:{ref}:") for scope in scopes)
    return scopes[0].rpartition(":")[2] if scopes else ""


def test_each_role_on_an_organisation():
    organization, names = people()
    for ref in (organization["id"], organization["name"]):
        assert {role: actions(names[role], ref) for role in ROLES} == ACTIVE


def test_one_action_at_a_time_is_granted_like_all_together():
    organization, names = people()
    for role in ROLES:
        for action in ("read", "update", "patch", "delete", "purge", "create", "list", "nonsense"):
            scope = f"org:{organization['name']}:{action}"
            expected = [scope] if action in ACTIVE[role].split(",") else []
            assert granted(names[role], scope) == expected, (role, action)


@pytest.mark.ckan_config("ckan.auth.user_delete_organizations", False)
@pytest.mark.ckan_config("ckan.auth.user_create_organizations", True)
def test_the_options_of_the_site_count():
    organization, names = people()
    assert actions(names["admin"], organization["name"]) == "patch,read,update"
    everybody = {**dict.fromkeys(ROLES, "create,list"), "anonymous": "list"}
    everybody["sysadmin"] = "create,delete,list,patch,purge,read,update"
    for scope in ("org", "org:*", "org:*:*"):
        found = {role: granted(names[role], scope) for role in ROLES}
        assert found == {role: [f"org:*:{everybody[role]}"] for role in ROLES}


def test_a_deleted_organisation():
    organization, names = people()
    helpers.call_action("organization_delete", id=organization["id"])
    # CKAN ends all memberships with the organisation; what is left is to restore or purge it.
    expected = {**dict.fromkeys(ROLES, ""), "sysadmin": ALL}
    assert {role: actions(names[role], organization["id"]) for role in ROLES} == expected


def test_what_does_not_exist_is_granted_to_nobody():
    _, names = people()
    group = factories.Group(user={"name": names["admin"]})
    for role in ROLES:
        for ref in ("no-such-organisation", str(uuid.uuid4()), group["name"], group["id"], "-"):
            assert actions(names[role], ref) == "", (role, ref)


@pytest.mark.parametrize("ref", ["a/b", "a/", "a/*"])
def test_more_than_one_part_is_an_error_that_names_the_scope(ref):
    with pytest.raises(tk.ValidationError) as raised:
        ask(None, f"org:{ref}:read")
    errors: Any = raised.value.error_dict
    assert f"'org:{ref}:read'" in errors["scopes"][0]


def test_members_of_an_organisation_are_no_part_of_it():
    organization, names = people()
    with pytest.raises(tk.ValidationError):
        ask(names["admin"], f"org:{organization['name']}:member:create")


def test_the_token_is_about_no_dataset():
    organization, _ = people()
    assert opened(ask(None, f"org:{organization['name']}:read")).refs == {}


def test_a_check_that_looks_at_sysadmins_too_is_not_passed_by_for_everything(monkeypatch):
    refuse = tk.auth_sysadmins_check(lambda context, data_dict: {"success": False})
    authz.auth_functions_list()  # builds the table
    monkeypatch.setitem(authz._AuthFunctions._functions, "organization_update", refuse)
    organization, names = people()
    for ref in (organization["name"], "*"):
        assert granted(names["sysadmin"], f"org:{ref}:update") == []
        assert granted(names["sysadmin"], f"org:{ref}:delete") == [f"org:{ref}:delete"]
