"""``ds:`` scopes: who is granted what on which dataset."""

from __future__ import annotations

import uuid
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz, plugins
from ckan.lib.plugins import DefaultPermissionLabels
from ckan.tests import factories, helpers

from ckanext.authz_service.bindings import dataset as dataset_binding
from tests.authz_service.site import ROLES, ask, granted, opened, people

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

EDIT = "delete,patch,read,update"
ALL = "delete,patch,purge,read,update"
PUBLIC = {
    "anonymous": "read",
    "reader": "read",
    "member": "read",
    "editor": EDIT,
    "admin": EDIT,
    "other admin": "read",
    "sysadmin": ALL,
}
HIDDEN = {
    "anonymous": "",
    "reader": "",
    "member": "read",
    "editor": EDIT,
    "admin": EDIT,
    "other admin": "",
    "sysadmin": ALL,
}


def actions(user, ref):
    """What is granted on this ref when nothing particular is asked for; "" for nothing."""
    scopes = granted(user, f"ds:{ref}")
    assert all(scope.startswith(f"ds:{ref}:") for scope in scopes)
    return scopes[0].rpartition(":")[2] if scopes else ""


@pytest.mark.parametrize(
    ("visibility", "expected"),
    [("public", PUBLIC), ("private", HIDDEN), ("draft", HIDDEN), ("deleted", HIDDEN)],
)
def test_each_role_on_each_kind_of_dataset(visibility, expected):
    organization, names = people()
    dataset = factories.Dataset(
        owner_org=organization["id"],
        private=visibility == "private",
        state="draft" if visibility == "draft" else "active",
    )
    if visibility == "deleted":
        helpers.call_action("package_delete", id=dataset["id"])
    for ref in (
        dataset["id"],
        dataset["name"],
        f"{organization['name']}/{dataset['name']}",
        f"{organization['id']}/{dataset['id']}",
    ):
        assert {role: actions(names[role], ref) for role in ROLES} == expected


def test_one_action_at_a_time_is_granted_like_all_together():
    organization, names = people()
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    for role in ROLES:
        for action in ("read", "update", "patch", "delete", "purge", "create", "list", "nonsense"):
            scope = f"ds:{dataset['name']}:{action}"
            expected = [scope] if action in HIDDEN[role].split(",") else []
            assert granted(names[role], scope) == expected, (role, action)


def test_organisation_as_a_place_for_datasets():
    organization, names = people()
    expected = dict.fromkeys(ROLES, "list")
    expected |= {"editor": "create,list", "admin": "create,list", "sysadmin": "create,list"}
    for ref in (organization["name"], organization["id"]):
        assert {role: actions(names[role], f"{ref}/") for role in ROLES} == expected


@pytest.mark.parametrize("datasets", [0, 4])
def test_every_dataset_of_an_organisation(datasets):
    organization, names = people()
    kinds: list[dict[str, Any]] = [{}, {"private": True}, {"state": "draft"}, {"state": "deleted"}]
    for kind in kinds[:datasets]:
        factories.Dataset(owner_org=organization["id"], **kind)
    expected = {
        **dict.fromkeys(ROLES, "list"),
        "member": "list,read",
        "editor": "create,delete,list,patch,read,update",
        "admin": "create,delete,list,patch,read,update",
        "sysadmin": "create,delete,list,patch,purge,read,update",
    }
    for ref in (organization["name"], organization["id"]):
        assert {role: actions(names[role], f"{ref}/*") for role in ROLES} == expected


def test_one_dataset_that_ckan_refuses_is_enough_to_refuse_all(monkeypatch):
    organization, names = people()
    datasets = [factories.Dataset(owner_org=organization["id"]) for _ in range(3)]
    core = authz._AuthFunctions.get("package_update")
    assert core is not None

    def update(context: Any, data_dict: Any) -> Any:
        closed = data_dict["id"] == datasets[1]["id"]
        return {"success": False} if closed else core(context, data_dict)

    monkeypatch.setitem(
        authz._AuthFunctions._functions, "package_update", tk.auth_allow_anonymous_access(update)
    )
    assert actions(names["editor"], f"{organization['name']}/*") == "create,list,read"
    assert actions(names["editor"], f"{organization['name']}/{datasets[0]['name']}") == EDIT


class Embargo(plugins.SingletonPlugin, DefaultPermissionLabels):
    """Only sysadmins read datasets under embargo, whatever the roles."""

    plugins.implements(plugins.IPermissionLabels)

    def get_dataset_labels(self, dataset_obj):
        if dataset_obj.version == "embargo":
            return ["embargo"]
        return super().get_dataset_labels(dataset_obj)


def test_permission_labels_are_honoured(provide_plugin):
    provide_plugin("Embargo", Embargo)
    organization, names = people()
    dataset = factories.Dataset(owner_org=organization["id"], version="embargo")
    factories.Dataset(owner_org=organization["id"])
    plugins.load("Embargo")
    try:
        for role in ROLES:
            expected = [f"ds:{dataset['id']}:read"] if role == "sysadmin" else []
            assert granted(names[role], f"ds:{dataset['id']}:read") == expected
        assert granted(names["member"], f"ds:{organization['name']}/*:read") == []
    finally:
        plugins.unload("Embargo")
    assert granted(names["member"], f"ds:{organization['name']}/*:read")


def test_a_role_that_ckan_makes_less_of_is_worth_less(monkeypatch):
    """Without permission in the organisation, what comes later would not be theirs, whatever is there now."""
    organization, names = people()
    factories.Dataset(owner_org=organization["id"])
    for role in ("anonymous", "reader", "other admin"):
        assert actions(names[role], f"{organization['name']}/*") == "list"
    monkeypatch.setitem(authz.ROLE_PERMISSIONS, "member", [])
    assert actions(names["member"], f"{organization['name']}/*") == "list"


@pytest.mark.ckan_config("ckan.auth.allow_dataset_collaborators", True)
def test_a_collaborator_on_every_dataset_is_not_in_the_organisation():
    organization, names = people()
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    helpers.call_action(
        "package_collaborator_create", id=dataset["id"], user_id=names["reader"], capacity="editor"
    )
    assert actions(names["reader"], dataset["name"]) == EDIT
    assert actions(names["reader"], f"{organization['name']}/*") == "list"


def test_ckan_is_not_asked_about_each_dataset_of_a_large_organisation(monkeypatch):
    monkeypatch.setattr(dataset_binding, "MAX_IN_ORGANIZATION", 2)
    organization, names = people()
    for expected in (EDIT, EDIT, ""):
        factories.Dataset(owner_org=organization["id"])
        found = actions(names["editor"], f"{organization['name']}/*").split(",")
        assert ",".join(name for name in found if name not in ("create", "list")) == expected
    everything = "create,delete,list,patch,purge,read,update"
    assert actions(names["sysadmin"], f"{organization['name']}/*") == everything


def test_every_dataset_of_the_site_is_for_sysadmins():
    _, names = people()
    for role in ROLES:
        everything = ["ds:*:create,delete,list,patch,purge,read,update"] if role == "sysadmin" else []
        for scope in ("ds", "ds:*", "ds:*:*"):
            assert granted(names[role], scope) == everything


def test_what_does_not_exist_is_granted_to_nobody():
    organization, names = people()
    group = factories.Group(user={"name": names["admin"]})
    gone = factories.Organization()
    helpers.call_action("organization_delete", id=gone["id"])
    for role in ROLES:
        for ref in (
            "no-such-dataset",
            str(uuid.uuid4()),
            f"{organization['name']}/no-such-dataset",
            "no-such-organisation/",
            "no-such-organisation/*",
            f"{group['name']}/",  # a group is not an organisation
            f"{gone['name']}/",
        ):
            assert actions(names[role], ref) == "", (role, ref)


def test_the_organisation_part_must_be_true():
    organization, names = people()
    other = factories.Organization()
    owned = factories.Dataset(owner_org=organization["id"])
    unowned = factories.Dataset(user=factories.User())
    for role in ROLES:
        assert actions(names[role], f"{other['name']}/{owned['name']}") == ""
        assert actions(names[role], f"{organization['name']}/{unowned['name']}") == ""


def test_a_dataset_without_an_organisation():
    creator = factories.User()
    dataset = factories.Dataset(user=creator)
    assert actions(None, dataset["name"]) == "read"
    assert actions(creator["name"], dataset["name"]) == EDIT  # test.ini lets users create such datasets
    assert actions(creator["name"], f"-/{dataset['name']}") == EDIT
    owned = factories.Dataset(owner_org=factories.Organization()["id"])
    assert actions(None, f"-/{owned['name']}") == ""


def test_no_organisation_as_a_place_for_datasets(monkeypatch):
    organization, names = people()
    factories.Dataset(owner_org=organization["id"])
    users = {**dict.fromkeys(ROLES, "create,list"), "anonymous": "list"}
    assert {role: actions(names[role], "-/") for role in ROLES} == users
    users["sysadmin"] = "create,delete,list,patch,purge,read,update"
    assert {role: actions(names[role], "-/*") for role in ROLES} == users
    # Here CKAN's auth function still says yes to the editors of some organisation.
    monkeypatch.setitem(tk.config, "ckan.auth.create_unowned_dataset", False)
    assert {role: actions(names[role], "-/") for role in ROLES} == dict.fromkeys(ROLES, "list")


def test_three_parts_are_an_error_that_names_the_scope():
    with pytest.raises(tk.ValidationError) as raised:
        ask(None, "ds:a/b/c:read")
    errors: Any = raised.value.error_dict
    assert "'ds:a/b/c:read'" in errors["scopes"][0]


def test_the_subscopes_follow_the_dataset():
    name = factories.Dataset()["name"]
    assert granted(None, f"ds:{name}:data:read,update", f"ds:{name}:metadata:*") == [
        f"ds:{name}:data:read",
        f"ds:{name}:metadata:read",
    ]


@pytest.mark.ckan_config("ckan.auth.allow_dataset_collaborators", True)
def test_collaborators_are_honoured():
    organization, names = people()
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    for role, capacity in (("reader", "member"), ("other admin", "editor")):
        helpers.call_action(
            "package_collaborator_create", id=dataset["id"], user_id=names[role], capacity=capacity
        )
    expected = {**HIDDEN, "reader": "read", "other admin": EDIT}
    assert {role: actions(names[role], dataset["name"]) for role in ROLES} == expected


def test_the_token_is_bound_to_the_dataset_and_not_to_its_name():
    user = factories.User()
    first = factories.Dataset(user=user)
    scope = f"ds:{first['name']}:read"
    before = opened(ask(user["name"], scope))
    assert before.refs == {scope: first["id"]}
    helpers.call_action("package_patch", id=first["id"], name=f"{first['name']}-old")
    second = factories.Dataset(user=user, name=first["name"])
    assert opened(ask(user["name"], scope)).refs == {scope: second["id"]}
    assert first["id"] != second["id"]


def test_scopes_about_no_single_dataset_are_not_bound():
    organization, _ = people()
    assert opened(ask(None, f"ds:{organization['name']}/:list")).refs == {}
