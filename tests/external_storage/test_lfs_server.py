"""The Git LFS server inside CKAN: who may move which bytes, and what the answers are."""

from __future__ import annotations

import json
import uuid

import pytest
from ckan.tests import factories

from tests.portal import editor_and_dataset, path, pointer


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def test_push_then_pull(portal, data):
    editor, dataset = editor_and_dataset()
    oid = portal.push(editor, dataset, data)
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "download", pointer(data))
    download = answer["actions"]["download"]
    response = portal.app.get(path(download["href"]), headers=download["header"])
    assert response.data == data
    assert response.headers["ETag"] == f'"{oid}"'
    part = portal.app.get(
        path(download["href"]), headers={**download["header"], "Range": "bytes=3-"}, status=206
    )
    assert part.data == data[3:]


def test_what_is_there_is_not_asked_for_again(portal, data):
    editor, dataset = editor_and_dataset()
    portal.push(editor, dataset, data)
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    assert "actions" not in answer
    assert answer["authenticated"] is True


def test_what_another_dataset_has_is_asked_for_like_anything_else(portal, data):
    """Otherwise anybody could learn which files exist, and claim them by their sha256."""
    editor, dataset = editor_and_dataset(private=True)
    portal.push(editor, dataset, data)
    stranger, other = editor_and_dataset()
    (known,) = portal.batch(other, portal.write_token(stranger, other), "upload", pointer(data))
    (unknown,) = portal.batch(other, portal.write_token(stranger, other), "upload", pointer(data + b"x"))
    assert known.keys() == unknown.keys()
    assert known["actions"].keys() == unknown["actions"].keys() == {"upload", "verify"}
    portal.action(
        "resource_create",
        stranger,
        status=409,
        package_id=other["id"],
        url="x",
        url_type="upload",
        sha256=pointer(data)["oid"],
    )


def test_an_empty_file(portal):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, b"", "empty.csv")
    assert resource["size"] == 0
    assert portal.get(resource["url"]).data == b""


def test_wrong_bytes_are_refused_and_leave_nothing(portal, data):
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    actions = answer["actions"]
    message = portal.put(actions["upload"], b"?" * len(data), status=422)
    assert "sha256" in json.loads(message.data)["message"]
    portal.verify(actions["verify"], data, status=404)
    (again,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    assert "actions" in again
    portal.put(again["actions"]["upload"], data)
    portal.verify(again["actions"]["verify"], data)


@pytest.mark.parametrize(("change", "status"), [(b"x", 413), (None, 400)], ids=["longer", "shorter"])
def test_a_body_of_another_length_is_refused_before_it_is_read(portal, data, change, status):
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    portal.put(answer["actions"]["upload"], data + change if change else data[:-1], status=status)


def test_a_body_without_length_is_refused(portal, data):
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    action = answer["actions"]["upload"]
    portal.client.put(
        path(action["href"]),
        headers=action["header"],
        environ_overrides={"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True},
        status=411,
    )


def test_a_capability_moves_its_own_object_its_own_way(portal, data):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    one, two = portal.batch(dataset, token, "upload", pointer(data), pointer(data + b"2"))
    mixed = {**one["actions"]["upload"], "href": two["actions"]["upload"]["href"]}
    portal.put(mixed, data, status=403)
    portal.put({**one["actions"]["upload"], "header": one["actions"]["verify"]["header"]}, data, status=403)
    elsewhere = mixed["href"].replace(dataset["id"], editor_and_dataset()[1]["id"])
    portal.put(
        {**one["actions"]["upload"], "href": elsewhere.replace(two["oid"], one["oid"])}, data, status=404
    )


def test_one_bad_object_does_not_spoil_the_batch(portal, data):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    bad, good = portal.batch(dataset, token, "upload", {"oid": "x", "size": 1}, pointer(data))
    assert bad["error"]["code"] == 422
    assert "upload" in good["actions"]


class TestPermission:
    """Missing and forbidden look alike; a token opens one dataset."""

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30."])
    def test_with_a_token_that_is_none(self, portal, token):
        _, dataset = editor_and_dataset()
        portal.batch(dataset, token, "upload", status=401)

    def test_an_api_token_is_not_one_of_ours(self, portal):
        editor, dataset = editor_and_dataset()
        portal.batch(dataset, editor["token"], "upload", status=401)

    def test_a_token_for_another_kind_of_thing(self, portal):
        editor, dataset = editor_and_dataset()
        token = portal.token(editor, f"ds:{dataset['organization']['name']}/{dataset['name']}:update")
        portal.batch(dataset, token, "upload", status=401)

    def test_one_dataset_only(self, portal, data):
        editor, dataset = editor_and_dataset()
        _, other = editor_and_dataset()
        token = portal.write_token(editor, dataset)
        hidden = portal.batch(other, token, "upload", pointer(data), status=404)
        missing = portal.batch({**other, "name": "no-such-dataset"}, token, "upload", status=404)
        assert hidden == missing

    def test_a_name_taken_over_opens_nothing(self, portal, data):
        editor, dataset = editor_and_dataset()
        token = portal.write_token(editor, dataset)
        portal.action("package_patch", editor, id=dataset["id"], name=dataset["name"] + "-renamed")
        portal.action("package_create", editor, name=dataset["name"], owner_org=dataset["organization"]["id"])
        portal.batch(dataset, token, "upload", pointer(data), status=404)
        renamed = {**dataset, "name": dataset["name"] + "-renamed"}
        portal.batch(renamed, token, "upload", pointer(data))

    def test_a_deleted_dataset_and_a_deactivated_account(self, portal, data):
        editor, dataset = editor_and_dataset()
        token = portal.write_token(editor, dataset)
        (answer,) = portal.batch(dataset, token, "upload", pointer(data))
        portal.action("package_delete", editor, id=dataset["id"])
        portal.batch(dataset, token, "upload", pointer(data), status=404)
        portal.put(answer["actions"]["upload"], data, status=404)
        sysadmin = factories.SysadminWithToken()
        portal.action("package_patch", sysadmin, id=dataset["id"], state="active")
        portal.action("user_delete", sysadmin, id=editor["id"])
        portal.put(answer["actions"]["upload"], data, status=401)
        portal.batch(dataset, token, "upload", pointer(data), status=401)

    def test_readers_read_and_cannot_write(self, portal, data):
        editor, dataset = editor_and_dataset()
        portal.publish(editor, dataset, data)
        reader = factories.UserWithToken()
        scope = f"obj:{dataset['organization']['name']}/{dataset['name']}/*"
        granted = portal.action("authz_authorize", reader, scopes=[f"{scope}:read,write"])
        assert granted["granted_scopes"] == [f"{scope}:read"]
        (answer,) = portal.batch(dataset, granted["token"], "download", pointer(data))
        assert "download" in answer["actions"]
        portal.batch(dataset, granted["token"], "upload", pointer(data), status=403)

    def test_readers_get_current_files_only(self, portal, data):
        """Uploaded but in no resource, or no longer: not for readers, still for editors."""
        editor, dataset = editor_and_dataset()
        portal.push(editor, dataset, data)
        scope = f"obj:{dataset['organization']['name']}/{dataset['name']}/*:read"
        token = portal.token(factories.UserWithToken(), scope)
        (answer,) = portal.batch(dataset, token, "download", pointer(data))
        assert answer["error"]["code"] == 404
        (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "download", pointer(data))
        assert "download" in answer["actions"]

    def test_a_scope_for_one_file(self, portal, data):
        editor, dataset = editor_and_dataset()
        portal.publish(editor, dataset, data)
        portal.publish(editor, dataset, data + b"2")
        scope = f"obj:{dataset['organization']['name']}/{dataset['name']}/{pointer(data)['oid']}:read"
        token = portal.token(None, scope)
        one, two = portal.batch(dataset, token, "download", pointer(data), pointer(data + b"2"))
        assert "download" in one["actions"]
        assert two["error"]["code"] == 404

    @pytest.mark.parametrize("who", ["anonymous", "reader", "member of another organisation"])
    def test_private_data(self, portal, data, who):
        editor, dataset = editor_and_dataset(private=True)
        portal.publish(editor, dataset, data)
        user = {"anonymous": None, "reader": factories.UserWithToken()}.get(who, editor_and_dataset()[0])
        prefix = f"obj:{dataset['organization']['name']}/{dataset['name']}"
        for scope in (f"{prefix}/*:read", f"{prefix}/{pointer(data)['oid']}:read"):
            granted = portal.action("authz_authorize", user, scopes=[scope])
            assert granted["granted_scopes"] == []

    @pytest.mark.parametrize("ref", ["x", "*", "org/ds", "org/ds/oid", "org/ds/*/x", "*/ds/*", "org/*/*"])
    def test_refs_that_are_none_are_named(self, portal, ref):
        error = portal.action("authz_authorize", factories.UserWithToken(), 409, scopes=[f"obj:{ref}:read"])
        assert ref in json.dumps(error)

    def test_the_namespace_stands_for_any_organisation(self, portal, data):
        editor, dataset = editor_and_dataset()
        token = portal.token(editor, f"obj:ckan/{dataset['id']}/*:write")
        portal.batch({"name": dataset["id"]}, token, "upload", pointer(data))
        wrong = {"name": dataset["id"], "organization": {"name": "another"}}
        portal.batch(wrong, token, "upload", pointer(data), status=404)


@pytest.mark.parametrize(
    "address", ["/lfs/", "/lfs/x", "/lfs/o/d.git/info/lfs/locks", "/lfs/o/d.git/info/lfs/locks/verify"]
)
def test_unknown_addresses_answer_json(portal, address):
    assert json.loads(portal.app.post(address, status=404).data)["message"]


def test_cookies_open_nothing(portal, data):
    """A page of another site can make a browser send cookies, never the Authorization header."""
    editor = factories.UserWithToken(password="correct horse")
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    dataset = factories.Dataset(owner_org=organization["id"])
    url = f"/lfs/{organization['name']}/{dataset['name']}.git/info/lfs/objects/batch"
    body = json.dumps({"operation": "upload", "objects": [pointer(data)]})
    form = {"login": editor["name"], "password": "correct horse"}
    portal.client.post("/user/login", data=form, follow_redirects=False, status=302)
    assert editor["name"] in portal.client.get("/dashboard/datasets").text
    portal.client.post(url, data=body, status=401)
