"""A site whose files are in a real giftless: ``storage_service_url``."""

from __future__ import annotations

import io
import socket
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from ckan import model
from ckan.lib import search
from ckan.plugins import toolkit as tk
from werkzeug.datastructures import FileStorage

from ckanext.authz_service import giftless, keys
from ckanext.external_storage import config, ini, jobs
from ckanext.external_storage.model import upload as uploads
from ckanext.external_storage.storage.probe import probe
from ckanext.external_storage.transfer import hashing, verifying
from tests.giftless_server import Giftless, running
from tests.portal import Portal, editor_and_dataset, oid_of, path, pointer, standing
from tests.upload_client import Client

OPTION = "ckanext.external_storage."


@pytest.fixture(scope="module")
def server(keys_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Giftless]:
    public_key = keys.public_path(keys_dir, giftless.ROLE)
    with running(public_key, tmp_path_factory.mktemp("giftless"), action_lifetime=1) as found:
        yield found


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture(autouse=True)
def with_giftless(portal: Portal, server: Giftless, keys_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tk.config, "ckanext.authz_service.keys_dir", str(keys_dir))
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", f"{server.url}/")


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def send(
    portal: Portal, user: dict[str, Any], dataset: dict[str, Any], data: bytes, status: int = 200
) -> Any:
    """The file with the save itself, as ckanapi and the form without JavaScript send it."""
    response = portal.client.post(
        "/api/3/action/resource_create",
        data={"package_id": dataset["id"], "upload": (io.BytesIO(data), "data.csv")},
        headers={"Authorization": user["token"]},
        status=status,
    )
    return response.json["result" if status == 200 else "error"]


def lay(server: Giftless, dataset: dict[str, Any], data: bytes, oid: str | None = None) -> None:
    """Bring bytes into giftless behind CKAN's back, as a client with a token for giftless does."""
    place = server.files / "ckan" / dataset["id"] / (oid or oid_of(data))
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)


def save(
    portal: Portal, user: dict[str, Any], dataset: dict[str, Any], data: bytes, status: int = 200
) -> Any:
    given = {"url": "data.csv", "url_type": "upload", "sha256": oid_of(data), "size": len(data)}
    return portal.action("resource_create", user, status, package_id=dataset["id"], **given)


def check(dataset: dict[str, Any]) -> str:
    """What the background job makes of the dataset's upload, once nobody can write it any more."""
    with config.engine().connect() as connection:
        rows = connection.execute(uploads.select().where(uploads.c.package_id == dataset["id"])).all()
    state = "received"
    while state == "received":
        state = jobs.check_upload(rows[-1].id) or ""
    return state


def bytes_of(portal: Portal, resource: dict[str, Any], user: dict[str, Any] | None = None) -> bytes:
    found = portal.get(resource["url"], user, follow_redirects=False)
    assert found.status_code == 302
    assert "no-store" in found.headers["Cache-Control"]
    return requests.get(found.headers["Location"], timeout=30).content


def test_a_file_that_comes_with_the_save(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    resource = send(portal, editor, dataset, data)
    assert (resource["sha256"], resource["size"]) == (oid_of(data), len(data))
    assert (server.files / "ckan" / dataset["id"] / oid_of(data)).read_bytes() == data
    assert bytes_of(portal, resource) == data
    head = portal.client.head(path(resource["url"]))
    assert (head.status_code, head.content_length, head.get_etag()[0]) == (200, len(data), oid_of(data))


def test_a_file_that_comes_with_its_dataset(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    context: Any = {"user": editor["name"]}
    with portal.app.flask_app.test_request_context():
        created = tk.get_action("package_create")(
            context,
            {
                "name": f"with-a-file-{uuid.uuid4()}",
                "owner_org": dataset["owner_org"],
                "resources": [{"upload": FileStorage(io.BytesIO(data), "data.csv")}],
            },
        )
    (resource,) = created["resources"]
    assert bytes_of(portal, resource) == data


def test_the_same_file_in_two_datasets_is_there_twice(portal: Portal, server: Giftless, data: bytes):
    for _ in range(2):
        editor, dataset = editor_and_dataset()
        assert bytes_of(portal, send(portal, editor, dataset, data)) == data
        assert (server.files / "ckan" / dataset["id"] / oid_of(data)).exists()


def test_a_download_has_the_file_s_name(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    resource = send(portal, editor, dataset, data)
    resource = portal.action("resource_patch", editor, id=resource["id"], url="Été 2026.csv")
    found = portal.get(resource["url"], follow_redirects=False)
    answer = requests.get(found.headers["Location"], timeout=30)
    assert answer.headers["Content-Disposition"] == 'attachment; filename="Ete_2026.csv"'


def test_a_private_file_is_for_those_who_may_see_it(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset(private=True)
    resource = send(portal, editor, dataset, data)
    portal.get(resource["url"], status=404)
    assert bytes_of(portal, resource, editor) == data


def test_git_lfs_is_sent_on_and_the_file_checked(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", pointer(data))
    upload, verify = answer["actions"]["upload"], answer["actions"]["verify"]
    assert upload["href"].startswith(server.url)
    assert not verify["href"].startswith(server.url)
    portal.verify(verify, data, status=409)
    requests.put(upload["href"], data=data, headers=upload["header"], timeout=30).raise_for_status()
    portal.verify(verify, data, status=202)
    assert "being checked" in str(save(portal, editor, dataset, data, status=409))
    assert check(dataset) == "verified"
    portal.verify(verify, data)
    assert bytes_of(portal, save(portal, editor, dataset, data)) == data

    (answer,) = portal.batch(dataset, token, "download", pointer(data))
    download = answer["actions"]["download"]
    assert download["href"].startswith(server.url)
    assert requests.get(download["href"], headers=download["header"], timeout=30).content == data
    (answer,) = portal.batch(dataset, token, "upload", pointer(data))
    assert "actions" not in answer


def test_it_is_not_checked_while_somebody_can_still_write(portal: Portal, data: bytes, monkeypatch):
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    upload = answer["actions"]["upload"]
    requests.put(upload["href"], data=data, headers=upload["header"], timeout=30).raise_for_status()
    portal.verify(answer["actions"]["verify"], data, status=202)
    later = uploads.update().values(signed_until=sa.func.now() + timedelta(hours=1))
    with config.engine().begin() as connection:
        connection.execute(later.where(uploads.c.package_id == dataset["id"]))
        id = connection.execute(
            sa.select(uploads.c.id).where(uploads.c.package_id == dataset["id"])
        ).scalar_one()
    monkeypatch.setattr(jobs, "_NAP", 0)
    monkeypatch.setattr(jobs, "_SLOWEST", 1)
    assert jobs.check_upload(id) == "received"
    assert jobs.queue().jobs[-1].args == (id,)
    assert jobs.queue().jobs[-1].timeout == tk.config["ckan.jobs.timeout"] + len(data)
    assert hashing.check(config.engine(), config.store(), id) == "received"


def test_wrong_bytes_that_giftless_has_taken_are_rejected(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    lay(server, dataset, b"x" + data[1:], oid_of(data))
    assert "being checked" in str(save(portal, editor, dataset, data, status=409))
    assert check(dataset) == "rejected"
    assert "sha256" in str(save(portal, editor, dataset, data, status=409))
    assert "other bytes" in str(send(portal, editor, dataset, data, status=409))


def test_a_client_that_talks_to_giftless_itself_saves_again(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    assert "no uploaded file" in str(save(portal, editor, dataset, data, status=409))
    lay(server, dataset, data)
    assert "being checked" in str(save(portal, editor, dataset, data, status=409))
    assert check(dataset) == "verified"
    assert bytes_of(portal, save(portal, editor, dataset, data)) == data


def test_unverified_files_can_be_used_at_once(portal: Portal, server: Giftless, data: bytes, monkeypatch):
    monkeypatch.setitem(tk.config, OPTION + "verify_external", False)
    editor, dataset = editor_and_dataset()
    lay(server, dataset, data)
    resource = save(portal, editor, dataset, data)
    assert bytes_of(portal, resource) == data
    page = portal.get(f"/dataset/{dataset['name']}/resource/{resource['id']}").text
    assert "not verified" in page
    assert portal.action("get_resource_download_spec", id=resource["id"])["verified"] is False
    # Nobody else gets it for knowing its sha256, nor is held up by it.
    other, elsewhere = editor_and_dataset()
    lay(server, elsewhere, b"x" + data[1:], oid_of(data))
    wrong = save(portal, other, elsewhere, data)
    assert bytes_of(portal, wrong, other) == b"x" + data[1:]
    third, last = editor_and_dataset()
    right = send(portal, third, last, data)
    assert bytes_of(portal, right) == data
    assert portal.action("get_resource_download_spec", id=right["id"])["verified"] is True
    assert "not verified" not in portal.get(f"/dataset/{last['name']}/resource/{right['id']}").text


def test_a_site_that_has_a_store_of_its_own_by_now(
    portal: Portal, server: Giftless, data: bytes, monkeypatch
):
    """A file at the server cannot be had, and is brought again as if it were a new one."""
    monkeypatch.setitem(tk.config, OPTION + "verify_external", False)
    editor, dataset = editor_and_dataset()
    lay(server, dataset, data)
    resource = save(portal, editor, dataset, data)
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", "")
    assert "upload it again" in portal.get(resource["url"], status=503).text
    assert "href" in Client(portal, editor, dataset).begin(len(data), filename="data.csv", oid=oid_of(data))
    portal.push(editor, dataset, data)
    assert portal.get(resource["url"]).data == data


def test_verify_reads_the_copy_of_each_dataset(portal: Portal, server: Giftless, data: bytes):
    """And names the dataset whose copy is not what it was."""
    datasets = []
    for _ in range(3):
        editor, dataset = editor_and_dataset()
        send(portal, editor, dataset, data)
        datasets.append(dataset["id"])
    first, second, third = sorted(datasets)

    def found(which: verifying.Which) -> list[tuple[str, tuple[str, ...]]]:
        checked = verifying.check(config.engine(), config.store(), which)
        return [(each.what, each.package_ids) for each in checked if each.oid == oid_of(data)]

    def of_dataset(id: str) -> list[tuple[str, tuple[str, ...]]]:
        return found(verifying.Which(package_id=id))

    place = server.files / "ckan"
    assert [each for id in datasets for each in of_dataset(id)] == [("well", ())] * 3
    (place / second / oid_of(data)).write_bytes(b"x" + data[1:])
    (place / third / oid_of(data)).unlink()
    assert of_dataset(first) == [("well", ())]
    wrong = [("corrupt", (second,)), ("missing", (third,))]
    assert found(verifying.Which(after=(oid_of(data), ""))) == [("well", ()), *wrong]
    (begun, *_) = verifying.check(config.engine(), config.store(), verifying.Which((oid_of(data), "")))
    assert found(verifying.Which(after=(begun.oid, begun.key))) == wrong
    assert verifying.count(config.engine(), verifying.Which((begun.oid, begun.key))) >= 2


def test_files_of_before_there_were_records(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    lay(server, dataset, data)
    row = model.Resource(package_id=dataset["id"], url="data.csv", url_type="upload", size=len(data))
    row.position, row.extras = 0, {"sha256": oid_of(data), "lfs_prefix": f"ckan/{dataset['id']}"}
    model.Session.add(row)
    model.repo.commit()
    id = row.id
    search.rebuild(dataset["id"])
    resource = portal.action("resource_show", id=id)
    assert bytes_of(portal, resource) == data
    assert portal.action("resource_patch", editor, id=id, description="still editable")["sha256"] == oid_of(
        data
    )


def test_the_check_asks_the_server_and_leaves_nothing_there(server: Giftless):
    before = sorted(server.files.rglob("*"))
    assert [finding.ok for finding in probe(config.store(), [])] == [True]
    assert sorted(server.files.rglob("*")) == before


def test_a_server_that_is_down(portal: Portal, data: bytes, monkeypatch):
    editor, dataset = editor_and_dataset()
    resource = send(portal, editor, dataset, data)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", away)
    for page in ("", f"/resource/{resource['id']}"):
        assert portal.get(f"/dataset/{dataset['name']}{page}").status_code == 200
    for _ in range(3):
        portal.get(resource["url"], status=503)
    assert "cannot be reached" in str(send(portal, editor, dataset, data + b"2", status=409))
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data + b"3"))
    assert answer["error"]["code"] == 503


def test_an_upload_needs_the_sha256_first(portal: Portal):
    client = Client(portal, *editor_and_dataset())
    assert "sha256" in client.begin(5, status=428, filename="a.csv", fingerprint="x")["message"]


def test_an_upload_is_sent_to_the_server_and_checked(portal: Portal, server: Giftless, data: bytes):
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    upload = client.begin(len(data), filename="data.csv", oid=oid_of(data))
    assert (upload["transfer"], upload["state"]) == ("put", "open")
    assert upload["href"].startswith(server.url)
    client.complete(upload, status=409)
    requests.put(upload["href"], data=data, headers=upload["header"], timeout=30).raise_for_status()
    again = client.begin(len(data), status=200, oid=oid_of(data))
    assert again["id"] == upload["id"]
    assert "href" not in again, "the server has it"
    assert "ckan jobs worker" in client.complete(upload, status=503)["message"]
    assert check(dataset) == "verified"
    assert client.complete(upload)["oid"] == oid_of(data)
    resource = portal.action("resource_create", editor, package_id=dataset["id"], upload_id=upload["id"])
    assert bytes_of(portal, resource) == data
    assert client.begin(len(data), oid=oid_of(data))["state"] == "verified"


def test_an_upload_of_wrong_bytes_is_rejected(portal: Portal, server: Giftless, data: bytes):
    client = Client(portal, *editor_and_dataset())
    lay(server, client.dataset, b"x" + data[1:], oid_of(data))
    upload = client.begin(len(data), oid=oid_of(data))
    assert "href" not in upload
    client.complete(upload, status=503)  # received, and no worker runs here
    assert check(client.dataset) == "rejected"
    assert "sha256" in client.complete(upload, status=422)["message"]


def test_an_upload_that_nobody_checks(portal: Portal, server: Giftless, data: bytes, monkeypatch):
    monkeypatch.setitem(tk.config, OPTION + "verify_external", False)
    editor, dataset = editor_and_dataset()
    client = Client(portal, editor, dataset)
    upload = client.begin(len(data), oid=oid_of(data))
    requests.put(upload["href"], data=data, headers=upload["header"], timeout=30).raise_for_status()
    for _ in range(2):
        told = client.complete(upload)
        assert (told["state"], told["oid"]) == ("unverified", oid_of(data))
    assert bytes_of(portal, save(portal, editor, dataset, data)) == data


def test_an_empty_upload(portal: Portal, server: Giftless):
    editor, dataset = editor_and_dataset()
    upload = Client(portal, editor, dataset).begin(0, filename="empty.csv")
    assert upload["state"] == "verified"
    resource = portal.action("resource_create", editor, package_id=dataset["id"], upload_id=upload["id"])
    assert bytes_of(portal, resource) == b""


@pytest.mark.parametrize("prefix", ["ckanext.blob_storage", "ckanext.external_storage"])
def test_the_older_documentation_s_options(prefix: str, tmp_path: Path):
    (tmp_path / "ckan.ini").write_text(
        "[app:main]\nckan.site_url = http://localhost\nsqlalchemy.url = postgresql://localhost/none\n"
        f"{prefix}.storage_service_url = https://lfs.example.org/\n{prefix}.storage_namespace = my-portal\n"
    )
    options = ini.read(tmp_path / "ckan.ini", {})
    assert options["ckanext.external_storage.storage_service_url"] == "https://lfs.example.org/"
    assert options["ckanext.external_storage.storage_namespace"] == "my-portal"


@pytest.mark.parametrize("printed", ["'https://lfs.example.org'", '"https://lfs.example.org/"'])
def test_the_address_as_the_older_documentation_prints_it(printed: str, monkeypatch):
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", printed)
    config.check_storage_service_url()
    assert config.storage_service_url() == "https://lfs.example.org"


@pytest.mark.parametrize("url", ["lfs.example.org", "ftp://lfs.example.org", "https://u:p@lfs.example.org"])
def test_an_address_that_is_none_is_refused(url: str, monkeypatch):
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", url)
    with pytest.raises(ValueError, match="storage_service_url"):
        config.check_storage_service_url()
