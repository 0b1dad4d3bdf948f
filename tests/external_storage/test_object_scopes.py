"""``obj:`` scopes: who is granted what on which stored bytes."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz
from ckan.tests import factories, helpers

from ckanext.authz_service import verifying
from tests.authz_service.site import ROLES, ask, granted, opened, people
from tests.portal import Portal, oid_of

pytestmark = pytest.mark.usefixtures("with_plugins")

ALL = "read,update,write"
DATA = b"a,b\n1,2\n"


def actions(user, ref):
    """What is granted on this ref when nothing particular is asked for; "" for nothing."""
    scopes = granted(user, f"obj:{ref}")
    assert all(scope.startswith(f"obj:{ref}:") for scope in scopes)
    return scopes[0].rpartition(":")[2] if scopes else ""


@pytest.fixture
def portal(app) -> Portal:
    return Portal(app)


def published(portal: Portal, *contents: bytes, **fields: Any) -> dict[str, Any]:
    """A dataset with a resource for each of these contents, brought by an editor of its organisation."""
    editor = factories.UserWithToken()
    users = [{"name": editor["name"], "capacity": "editor"}]
    dataset = factories.Dataset(owner_org=factories.Organization(users=users)["id"], **fields)
    for content in contents:
        portal.publish(editor, dataset, content)
    return dataset


@pytest.mark.parametrize("visibility", ["public", "private", "draft", "deleted"])
def test_each_role_on_each_kind_of_dataset(visibility):
    organization, names = people()
    dataset = factories.Dataset(
        owner_org=organization["id"],
        private=visibility == "private",
        state="draft" if visibility == "draft" else "active",
    )
    if visibility == "deleted":
        helpers.call_action("package_delete", id=dataset["id"])
    expected = dict.fromkeys(ROLES, "read" if visibility == "public" else "")
    expected |= {"member": "read", **dict.fromkeys(("editor", "admin", "sysadmin"), ALL)}
    if visibility == "deleted":
        expected = dict.fromkeys(ROLES, "")
    for place in (
        f"{organization['name']}/{dataset['name']}",
        f"{organization['id']}/{dataset['id']}",
        f"ckan/{dataset['name']}",
    ):
        assert {role: actions(names[role], f"{place}/*") for role in ROLES} == expected


@pytest.mark.ckan_config("ckanext.external_storage.storage_namespace", "files")
def test_the_place_must_be_true():
    organization, names = people()
    dataset = factories.Dataset(owner_org=organization["id"])
    unowned = factories.Dataset(user=factories.User())
    other = factories.Organization()["name"]
    for place in ("ckan", other, "-", "unknown"):
        assert actions(names["sysadmin"], f"{place}/{dataset['name']}/*") == ""
    for place in ("ckan", other, organization["name"]):
        assert actions(names["sysadmin"], f"{place}/{unowned['name']}/*") == ""
    for place in ("files", "-"):
        assert actions(names["sysadmin"], f"{place}/{unowned['name']}/*") == ALL
    assert actions(names["sysadmin"], f"files/{dataset['name']}/*") == ALL


@pytest.mark.ckan_config("ckanext.versioning.unreleased_history", "editors")
def test_an_object_is_for_readers_of_something_that_has_it(portal):
    """A resource, here; tests/versioning/test_reading_old_bytes.py has what older revisions add to it."""
    dataset = published(portal, DATA)
    place = f"{dataset['organization']['name']}/{dataset['name']}"
    assert actions(None, f"{place}/{oid_of(DATA)}") == "read"
    assert actions(None, f"{place}/{oid_of(b'other')}") == ""
    (resource,) = helpers.call_action("package_show", id=dataset["id"])["resources"]
    helpers.call_action("resource_delete", id=resource["id"])
    assert actions(None, f"{place}/{oid_of(DATA)}") == ""
    assert actions(factories.Sysadmin()["name"], f"{place}/{oid_of(DATA)}") == ALL


@pytest.mark.parametrize("closed", [None, 0, 1])
def test_all_objects_need_every_resource(portal, monkeypatch, closed):
    dataset = published(portal, DATA, b"secret")
    place = f"{dataset['organization']['name']}/{dataset['name']}"
    resources = helpers.call_action("package_show", id=dataset["id"])["resources"]
    core = authz._AuthFunctions.get("resource_show")
    assert core is not None

    def show(context: Any, data_dict: Any) -> Any:
        hidden = closed is not None and data_dict["id"] == resources[closed]["id"]
        return {"success": False} if hidden else core(context, data_dict)

    monkeypatch.setitem(
        authz._AuthFunctions._functions, "resource_show", tk.auth_allow_anonymous_access(show)
    )
    assert actions(None, f"{place}/*") == ("read" if closed is None else "")
    expected = ["" if closed == number else "read" for number in range(2)]
    assert [actions(None, f"{place}/{oid_of(data)}") for data in (DATA, b"secret")] == expected


def test_write_and_update_are_one_action_whichever_is_asked_for():
    editor = factories.User()["name"]
    users = [{"name": editor, "capacity": "editor"}]
    organization = factories.Organization(users=users)
    dataset = factories.Dataset(owner_org=organization["id"])
    ref = f"obj:{organization['name']}/{dataset['name']}/*"
    for asked in ("write", "update", "update,write", "read,update"):
        assert granted(editor, f"{ref}:{asked}") == [f"{ref}:{asked}"]
    assert granted(None, f"{ref}:update,write") == []


@pytest.mark.parametrize("scope", ["obj:a/b/*:data:read", "obj:a/b/*:metadata:read"])
def test_there_are_no_subscopes(scope):
    """A server that does not know the part would take it for the whole."""
    with pytest.raises(tk.ValidationError, match="subscope"):
        ask(None, scope)


def test_the_token_is_bound_to_the_dataset():
    dataset = factories.Dataset()
    scope = f"obj:ckan/{dataset['name']}/*:read"
    assert verifying.lfs_token(ask(None, scope)["token"]).refs == {scope: dataset["id"]}
    assert opened(ask(None, f"ds:{dataset['name']}:read")).refs
