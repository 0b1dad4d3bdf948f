"""``res:`` scopes: who is granted what on which resource."""

from __future__ import annotations

import uuid
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz
from ckan.tests import factories, helpers

from tests.authz_service.site import ROLES, ask, granted, opened, people

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

EDIT = "delete,patch,read,update"
PUBLIC = {**dict.fromkeys(ROLES, "read"), **dict.fromkeys(("editor", "admin", "sysadmin"), EDIT)}
HIDDEN = {**dict.fromkeys(ROLES, ""), "member": "read"} | dict.fromkeys(("editor", "admin", "sysadmin"), EDIT)


def actions(user, ref):
    """What is granted on this ref when nothing particular is asked for; "" for nothing."""
    scopes = granted(user, f"res:{ref}")
    assert all(scope.startswith(f"res:{ref}:") for scope in scopes)
    return scopes[0].rpartition(":")[2] if scopes else ""


def dataset_with(count: int, **fields: Any) -> dict[str, Any]:
    resources = [{"url": f"http://example.org/{number}", "name": "table"} for number in range(count)]
    return factories.Dataset(resources=resources, **fields)


def with_create(expected: dict[str, str]) -> dict[str, str]:
    return {role: f"create,{names}" if "update" in names else names for role, names in expected.items()}


def only_create(expected: dict[str, str]) -> dict[str, str]:
    return {role: "create" if "update" in names else "" for role, names in expected.items()}


@pytest.mark.parametrize(
    ("visibility", "expected"),
    [("public", PUBLIC), ("private", HIDDEN), ("draft", HIDDEN), ("deleted", HIDDEN)],
)
def test_each_role_on_a_resource_of_each_kind_of_dataset(visibility, expected):
    organization, names = people()
    dataset = dataset_with(
        2,
        owner_org=organization["id"],
        private=visibility == "private",
        state="draft" if visibility == "draft" else "active",
    )
    if visibility == "deleted":
        helpers.call_action("package_delete", id=dataset["id"])
    resource = dataset["resources"][1]["id"]
    place = f"{organization['name']}/{dataset['name']}"
    for ref in (resource, f"{place}/{resource}", f"{organization['id']}/{dataset['id']}/{resource}"):
        assert {role: actions(names[role], ref) for role in ROLES} == expected
    assert {role: actions(names[role], f"{place}/*") for role in ROLES} == with_create(expected)
    assert {role: actions(names[role], f"{place}/") for role in ROLES} == only_create(expected)


def test_both_other_parts_must_be_true():
    organization, names = people()
    other = factories.Organization()
    first, second = (dataset_with(1, owner_org=organization["id"]) for _ in range(2))
    resource = first["resources"][0]["id"]
    for role in ROLES:
        for place in (
            f"{other['name']}/{first['name']}",
            f"-/{first['name']}",
            f"{organization['name']}/{second['name']}",
            f"{organization['name']}/no-such-dataset",
        ):
            assert actions(names[role], f"{place}/{resource}") == "", (role, place)
        assert actions(names[role], f"{other['name']}/{first['name']}/*") == ""
        assert actions(names[role], f"{other['name']}/{first['name']}/") == ""


def test_what_does_not_exist_is_granted_to_nobody():
    organization, names = people()
    dataset = dataset_with(2, owner_org=organization["id"])
    kept, gone = (resource["id"] for resource in dataset["resources"])
    helpers.call_action("resource_delete", id=gone)
    place = f"{organization['name']}/{dataset['name']}"
    for role in ROLES:
        for ref in (gone, str(uuid.uuid4()), f"{place}/{gone}", f"{place}/{uuid.uuid4()}"):
            assert actions(names[role], ref) == "", (role, ref)
    # Several resources may have one name, so a name is not a ref.
    assert actions(names["sysadmin"], "table") == ""
    assert actions(names["editor"], f"{place}/{kept}") == EDIT


def test_a_dataset_without_an_organisation():
    creator = factories.User()
    dataset = dataset_with(1, user=creator)
    resource = dataset["resources"][0]["id"]
    for ref in (resource, f"-/{dataset['name']}/{resource}", f"-/{dataset['id']}/{resource}"):
        assert actions(creator["name"], ref) == EDIT
        assert actions(None, ref) == "read"
    assert actions(creator["name"], f"-/{dataset['name']}/*") == f"create,{EDIT}"
    assert actions(creator["name"], f"-/{dataset['name']}/") == "create"


def test_every_resource_of_the_site_is_for_sysadmins():
    _, names = people()
    for role in ROLES:
        everything = [f"res:*:create,{EDIT}"] if role == "sysadmin" else []
        for scope in ("res", "res:*", "res:*:*"):
            assert granted(names[role], scope) == everything


@pytest.mark.parametrize("ref", ["a/b", "a/", "a/*", "a/b/c/d", "a/b/c/*"])
def test_another_number_of_parts_is_an_error_that_names_the_scope(ref):
    with pytest.raises(tk.ValidationError) as raised:
        ask(None, f"res:{ref}:read")
    errors: Any = raised.value.error_dict
    assert f"'res:{ref}:read'" in errors["scopes"][0]


def test_the_subscopes_follow_the_resource():
    resource = dataset_with(1)["resources"][0]["id"]
    assert granted(None, f"res:{resource}:data:read,update", f"res:{resource}:metadata:*") == [
        f"res:{resource}:data:read",
        f"res:{resource}:metadata:read",
    ]


def test_the_token_is_bound_to_the_dataset():
    dataset = dataset_with(1)
    resource = dataset["resources"][0]["id"]
    scopes = [f"res:{resource}:read", f"res:-/{dataset['name']}/*:read"]
    assert opened(ask(None, *scopes)).refs == dict.fromkeys(scopes, dataset["id"])


@pytest.mark.parametrize("chained", [False, True])
def test_all_resources_means_each_of_them_once_a_plugin_decides(monkeypatch, chained):
    """CKAN's own function says the same about all resources of a dataset; another one may not."""
    dataset = dataset_with(3)
    kept_back = dataset["resources"][2]["id"]
    core = authz._AuthFunctions.get("resource_show")
    assert core is not None

    def show(context: Any, data_dict: Any) -> Any:
        return {"success": data_dict["id"] != kept_back} if chained else core(context, data_dict)

    monkeypatch.setitem(
        authz._AuthFunctions._functions, "resource_show", tk.auth_allow_anonymous_access(show)
    )
    place = f"-/{dataset['name']}"
    expected = [] if chained else [f"res:{place}/*:read"]
    assert granted(None, f"res:{place}/*:read") == expected
    assert granted(None, f"res:{kept_back}:read") == ([] if chained else [f"res:{kept_back}:read"])
    first = dataset["resources"][0]["id"]
    assert granted(None, f"res:{first}:read") == [f"res:{first}:read"]
