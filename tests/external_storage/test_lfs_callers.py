"""Who is asking, and under which address: what plain ``git lfs`` sends, and older clients."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk
import pytest
from ckan.tests import factories

from ckanext.authz_service import limits
from tests.portal import LFS_JSON, Portal, editor_and_dataset, organization, path, pointer, standing


@pytest.fixture(scope="module")
def site() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


@pytest.fixture
def address(site: Portal) -> dict[str, str]:
    """Of a network of its own, because wrong passwords are counted."""
    return {"REMOTE_ADDR": f"2001:db8:{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}::1"}


def basic(password: str, user: str = "whoever") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def ask(site: Portal, url: str, headers: dict[str, str], operation: str, *pointers: Any, **more: Any) -> Any:
    headers = {"Content-Type": f"{LFS_JSON}; charset=utf-8", "Accept": LFS_JSON, **headers}
    body = json.dumps({"operation": operation, "transfers": ["basic"], "ref": {}, "objects": pointers})
    return site.client.post(url, data=body, headers=headers, **more)


def url_of(dataset: dict[str, Any]) -> str:
    return f"/lfs/{organization(dataset)}/{dataset['name']}.git/info/lfs/objects/batch"


def first(response: Any) -> Any:
    assert response.status_code == 200, response.data
    return json.loads(response.data)["objects"][0]


def test_an_api_token_as_password_pushes_and_pulls(site, data):
    editor, dataset = editor_and_dataset(private=True)
    login = basic(editor["token"])
    actions = first(ask(site, url_of(dataset), login, "upload", pointer(data)))["actions"]
    site.put(actions["upload"], data)
    site.verify(actions["verify"], data)
    download = first(ask(site, url_of(dataset), login, "download", pointer(data)))["actions"]["download"]
    assert site.client.get(path(download["href"]), headers=download["header"]).data == data


def test_a_token_of_authz_authorize_as_password(site, data):
    editor, dataset = editor_and_dataset()
    login = basic(site.write_token(editor, dataset))
    assert "actions" in first(ask(site, url_of(dataset), login, "upload", pointer(data)))
    _, other = editor_and_dataset()
    ask(site, url_of(other), login, "upload", pointer(data), status=404)


def test_roles_of_api_tokens(site, data):
    editor, dataset = editor_and_dataset()
    site.publish(editor, dataset, data)
    private = editor_and_dataset(private=True)[1]
    login = basic(factories.UserWithToken()["token"])
    answer = first(ask(site, url_of(dataset), login, "download", pointer(data)))
    assert "download" in answer["actions"]
    ask(site, url_of(dataset), login, "upload", pointer(data), status=403)
    hidden = ask(site, url_of(private), login, "download", pointer(data), status=404)
    missing = ask(site, url_of({**dataset, "name": "none"}), login, "download", pointer(data), status=404)
    assert hidden.data == missing.data


def test_anonymous_callers_download_what_is_public(site, data):
    editor, dataset = editor_and_dataset()
    site.publish(editor, dataset, data)
    site.push(editor, dataset, data + b"unpublished")
    response = ask(site, url_of(dataset), {}, "download", pointer(data), pointer(data + b"unpublished"))
    published, unpublished = json.loads(response.data)["objects"]
    assert unpublished["error"]["code"] == 404
    download = published["actions"]["download"]
    assert site.client.get(path(download["href"]), headers=download["header"]).data == data
    # CKAN is asked again when the file is fetched.
    site.action("package_patch", editor, id=dataset["id"], private=True)
    site.client.get(path(download["href"]), headers=download["header"], status=404)


def test_anonymous_callers_are_asked_to_log_in_for_the_rest(site, data):
    editor, dataset = editor_and_dataset()
    site.push(editor, dataset, data)
    _, private = editor_and_dataset(private=True)
    answers = [
        ask(site, url_of(dataset), {}, "download", pointer(data)),
        ask(site, url_of(dataset), {}, "upload", pointer(data + b"new")),
        ask(site, url_of(private), {}, "download", pointer(data)),
        ask(site, url_of({**dataset, "name": "none"}), {}, "download", pointer(data)),
    ]
    for answer in answers:
        assert answer.status_code == 401
        assert answer.headers["LFS-Authenticate"].startswith("Basic ")
        assert "Basic" not in answer.headers["WWW-Authenticate"]  # browsers would ask
        assert "API token" in json.loads(answer.data)["message"]
    assert answers[2].data == answers[3].data


def test_a_site_may_want_accounts_for_all(site, data, monkeypatch):
    editor, dataset = editor_and_dataset()
    site.publish(editor, dataset, data)
    monkeypatch.setitem(tk.config, "ckanext.external_storage.anonymous_download", False)
    ask(site, url_of(dataset), {}, "download", pointer(data), status=401)
    reader = basic(factories.UserWithToken()["token"])
    assert "actions" in first(ask(site, url_of(dataset), reader, "download", pointer(data)))


def test_what_is_no_password(site, address):
    editor = factories.UserWithToken(password="correct horse")
    _, dataset = editor_and_dataset()
    expired = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngiLCJ0eXAiOiJja2FuLWF1dGh6K2p3dCJ9.e30.c2ln"
    headers = [basic(text) for text in ("correct horse", "", "x.y.z", expired)]
    headers += [
        basic("correct horse", editor["name"]),
        {"Authorization": "Basic"},
        {"Authorization": "Basic \xff"},
        {"Authorization": f"Basic {editor['token']}"},
        {"Authorization": f"Bearer {editor['token']}"},  # CKAN's tokens are not ours
        {"Authorization": editor["token"]},
    ]
    for login in headers:
        answer = ask(site, url_of(dataset), login, "download", environ_overrides=address)
        assert answer.status_code == 401, login


def test_an_address_with_many_wrong_passwords_waits(site, address):
    editor, dataset = editor_and_dataset()
    for _ in range(limits.FAILURES):
        ask(site, url_of(dataset), basic("x"), "download", environ_overrides=address, status=401)
    right = basic(editor["token"])
    answer = ask(site, url_of(dataset), right, "download", environ_overrides=address, status=429)
    assert 1 <= int(answer.headers["Retry-After"]) <= limits.WINDOW
    ask(site, url_of(dataset), right, "download", environ_overrides={"REMOTE_ADDR": "192.0.2.1"}, status=200)


@pytest.mark.parametrize("end", ["token revoked", "account deleted", "editor no more"])
def test_what_an_api_token_opened_ends_with_it(site, data, end):
    editor, dataset = editor_and_dataset()
    actions = first(ask(site, url_of(dataset), basic(editor["token"]), "upload", pointer(data)))["actions"]
    sysadmin = factories.SysadminWithToken()
    if end == "token revoked":
        site.action("api_token_revoke", sysadmin, token=editor["token"])
    elif end == "account deleted":
        site.action("user_delete", sysadmin, id=editor["id"])
    else:
        membership = {"id": dataset["organization"]["id"], "username": editor["name"]}
        site.action("organization_member_delete", sysadmin, **membership)
    site.put(actions["upload"], data, status=403 if end == "editor no more" else 401)


@pytest.fixture(scope="module")
def published(site: Portal) -> tuple[dict[str, Any], bytes]:
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    site.publish(editor, dataset, data)
    return dataset, data


class TestAddresses:
    @pytest.mark.parametrize(
        "address",
        [
            "/lfs/{org}/{name}.git/info/lfs/objects/batch",
            "/lfs/{org}/{id}.git/info/lfs/objects/batch",
            "/lfs/ckan/{id}.git/info/lfs/objects/batch",
            "/lfs/ministry/office/{org}/{name}.git/info/lfs/objects/batch",
            "/lfs/{org}/{name}/objects/batch",
            "/lfs/ckan/{name}/objects/batch",
            "/dataset/{name}.git/info/lfs/objects/batch",
            "/dataset/{id}.git/info/lfs/objects/batch",
        ],
    )
    def test_lead_to_the_same_dataset(self, site, published, address):
        dataset, data = published
        url = address.format(org=organization(dataset), **dataset)
        # A Host header never gets into an answer.
        headers = {"Host": "evil.example"}
        download = first(ask(site, url, headers, "download", pointer(data)))["actions"]["download"]
        assert download["href"].startswith(f"{tk.config['ckan.site_url']}/lfs/ckan/{dataset['id']}.git/")
        assert site.client.get(path(download["href"]), headers=download["header"]).data == data

    @pytest.mark.parametrize(
        "address", ["/lfs/other/{name}.git/info/lfs", "/lfs/{org}/other/{name}.git/info/lfs"]
    )
    def test_name_its_organisation(self, site, published, address):
        dataset, data = published
        url = address.format(org=organization(dataset), **dataset) + "/objects/batch"
        ask(site, url, {}, "download", pointer(data), status=401)

    def test_pages_of_datasets_are_the_sites_own(self, site, published):
        dataset, _ = published
        assert dataset["title"] in site.client.get(f"/dataset/{dataset['name']}", status=200).text


class TestContentNegotiation:
    @pytest.mark.parametrize(
        "accept", [LFS_JSON, f"{LFS_JSON}; charset=utf-8", "application/json", "*/*", ""]
    )
    def test_who_takes_json_gets_it(self, site, published, accept):
        dataset, _ = published
        answer = ask(site, url_of(dataset), {"Accept": accept}, "download", status=200)
        assert answer.headers["Content-Type"] == LFS_JSON

    @pytest.mark.parametrize(
        ("headers", "status"),
        [
            ({"Accept": "text/html"}, 406),
            ({"Accept": "application/json;q=0"}, 406),
            ({"Content-Type": "text/plain"}, 415),
            ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ],
        ids=str,
    )
    def test_others_are_told(self, site, published, headers, status):
        dataset, _ = published
        answer = ask(site, url_of(dataset), headers, "download", status=status)
        assert LFS_JSON in json.loads(answer.data)["message"]
