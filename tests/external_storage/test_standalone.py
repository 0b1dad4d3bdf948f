"""The LFS server in processes of its own, without CKAN, under a role that may do nothing else."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import psycopg2
import pytest
import requests
import sqlalchemy as sa
from ckan import model
from ckan.lib import jobs
from ckan.plugins import toolkit as tk

from ckanext.external_storage import model as tables
from ckanext.external_storage import roles
from services.sandbox import Sandbox
from tests.conftest import SANDBOX
from tests.external_storage import standalone, test_lfs_server, test_many_uploads
from tests.portal import LFS_JSON, Portal, editor_and_dataset, oid_of, path, pointer
from tests.upload_client import Client

# The same tests as for the server inside CKAN, those in which what lies behind it matters.
test_push_then_pull = test_lfs_server.test_push_then_pull
test_what_is_there_is_not_asked_for_again = test_lfs_server.test_what_is_there_is_not_asked_for_again
test_an_empty_file = test_lfs_server.test_an_empty_file
test_wrong_bytes_are_refused = test_lfs_server.test_wrong_bytes_are_refused_and_leave_nothing
data = test_lfs_server.data
test_a_folder_in_one_request = test_many_uploads.test_a_folder_in_one_request
test_what_need_not_be_sent = test_many_uploads.test_what_is_there_and_what_is_empty_need_not_be_sent
client = test_many_uploads.client


class TestPermission:
    _same = test_lfs_server.TestPermission
    test_with_a_token_that_is_none = _same.test_with_a_token_that_is_none
    test_one_dataset_only = _same.test_one_dataset_only
    test_a_deleted_dataset_and_a_deactivated_account = _same.test_a_deleted_dataset_and_a_deactivated_account
    test_readers_get_current_files_only = _same.test_readers_get_current_files_only


@pytest.fixture(scope="module")
def box(request: pytest.FixtureRequest) -> Sandbox:
    return request.config.stash[SANDBOX]


@pytest.fixture(scope="module")
def role(box: Sandbox) -> str:
    return standalone.own_role(box)


@pytest.fixture(scope="module")
def server(box: Sandbox, role: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    directory = tmp_path_factory.mktemp("standalone")
    (directory / "metrics").mkdir()
    ini = standalone.write_ini(box, directory / "lfs.ini", **{"sqlalchemy.url": role})
    with standalone.gunicorn(ini, PROMETHEUS_MULTIPROC_DIR=str(directory / "metrics")) as address:
        yield address


@pytest.fixture(scope="module")
def portal(server: str) -> Iterator[Portal]:
    with standalone.portal_before(server) as portal:
        yield portal


def upload_action(portal: Portal, data: bytes, server: str) -> tuple[str, dict[str, str]]:
    """Where and with which headers these bytes go to the server itself."""
    editor, dataset = editor_and_dataset()
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    action = answer["actions"]["upload"]
    return server + path(action["href"]), action["header"]


def connected(url: str, headers: dict[str, str]) -> socket.socket:
    """A connection on which the head of a PUT has been sent."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=60)
    lines = [f"PUT {parts.path} HTTP/1.1", "Host: x", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    return connection


def status_of(connection: socket.socket) -> int:
    with connection, connection.makefile("rb") as answer:
        return int(answer.readline().split()[1])


def test_it_is_without_ckan():
    program = (
        "import sys, ckanext.external_storage.standalone\n"
        "print(sorted({'ckan', 'ckantoolkit', 'flask'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_without_a_configuration_it_says_so():
    program = "from ckanext.external_storage.wsgi import app"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={})
    assert "CKAN_INI" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT email FROM "user"',
        'SELECT password FROM "user"',
        "SELECT * FROM api_token",
        "SELECT title FROM package",
        "SELECT url FROM resource",
        "UPDATE package SET state = 'deleted'",
        "DELETE FROM authz_service_user_cutoff",
        "UPDATE authz_service_token SET revoked_at = NULL",
        "SELECT * FROM versioning_revision",
        "CREATE TABLE mine (a int)",
        "ALTER TABLE external_storage_upload DISABLE TRIGGER ALL",
    ],
)
def test_its_role_may_do_nothing_else(role, statement):
    connection = psycopg2.connect(role)
    try:
        with connection.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute(statement)
    finally:
        connection.close()


def test_the_command_prints_what_the_role_needs(cli, box):
    from ckan.cli.cli import ckan

    printed = cli.invoke(ckan, ["-c", str(box.ini), "external-storage", "grant-role", 'o"dd'])
    assert printed.exit_code == 0, printed.output
    assert roles.grants('o"dd', box.options["ckan.site_id"], "public") in printed.output
    assert 'FROM "o""dd";' in printed.output


@pytest.mark.parametrize("scheme", ["Bearer {}", "{}", "Basic {}"])
def test_an_api_token_is_told_which_token_to_get(server, scheme):
    editor, dataset = editor_and_dataset()
    answer = requests.post(
        f"{server}/lfs/{dataset['organization']['name']}/{dataset['name']}.git/info/lfs/objects/batch",
        json={"operation": "download", "objects": []},
        headers={"Authorization": scheme.format(editor["token"]), "Accept": LFS_JSON},
        timeout=60,
    )
    assert answer.status_code == 401
    assert "authz_authorize" in answer.json()["message"]
    assert answer.headers["LFS-Authenticate"]


def test_a_body_without_length_is_refused(portal, server, data):
    url, headers = upload_action(portal, data, server)
    answer = requests.put(url, data=iter([data]), headers=headers, timeout=60)  # chunked
    assert answer.status_code == 411


def test_a_client_that_goes_away_leaves_nothing_behind(portal, server, data):
    url, headers = upload_action(portal, data, server)
    for sent in (b"", data[:5]):
        connected(url, {**headers, "Content-Length": str(len(data))}).sendall(sent)  # and is closed
    assert requests.put(url, data=data, headers=headers, timeout=60).status_code == 200


def test_a_slow_client_keeps_nobody_waiting(portal, server, data):
    url, headers = upload_action(portal, data, server)
    slow = [connected(url, {**headers, "Content-Length": str(len(data))}) for _ in range(6)]
    for connection in slow:
        connection.sendall(data[:5])
    assert requests.get(f"{server}/lfs/health", timeout=60).status_code == 200
    for connection in slow:
        connection.sendall(data[5:])
    assert [status_of(connection) for connection in slow] == [200] * 6


@pytest.mark.parametrize(
    ("headers", "statuses"),
    [
        ({"X-Long": "x" * 70_000}, (400, 431)),
        ({f"X-{n}": "x" for n in range(1000)}, (400, 431)),
        ({"Authorization": "Bearer " + "x" * 8192}, (401,)),
    ],
    ids=["long", "many", "the longest token"],
)
def test_large_headers(portal, server, headers, statuses):
    assert status_of(connected(f"{server}/lfs/o/d.git/info/lfs/objects/{'0' * 64}", headers)) in statuses
    assert requests.get(f"{server}/lfs/health", timeout=60).status_code == 200


@pytest.mark.usefixtures("with_test_worker", "clean_queues")
def test_the_worker_of_ckan_checks_what_has_arrived(
    portal, data, box, role, s3_options, tmp_path, monkeypatch
):
    for name, value in s3_options.items():
        monkeypatch.setitem(tk.config, name, value)
    ini = standalone.write_ini(box, tmp_path / "lfs.ini", **{"sqlalchemy.url": role, **s3_options})
    with standalone.gunicorn(ini) as server, standalone.lfs_at(portal, server):
        client = Client(portal, *editor_and_dataset())
        upload = client.begin(len(data))
        assert upload["transfer"] == "multipart"
        (part,) = client.json("POST", f"/lfs/uploads/{upload['id']}/parts", numbers=[1])["parts"]
        assert requests.put(part["href"], data, headers=part["header"], timeout=60).status_code == 200
        assert "ckan jobs worker" in client.complete(upload, 503)["message"]
        (job,) = [jobs.dictize_job(job) for job in jobs.get_queue().jobs]
        assert upload["id"] in job["title"]
        worker = jobs.Worker()
        worker.register_birth()
        client.complete(upload, 202)
        worker.register_death()
        jobs.Worker().work(burst=True)
        assert client.complete(upload)["oid"] == oid_of(data)


def test_fifty_uploads_side_by_side(portal, server):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    bodies = [bytes([n]) * 10_000 for n in range(50)]
    answers = portal.batch(dataset, token, "upload", *map(pointer, bodies))

    def send(n: int) -> int:
        action = answers[n]["actions"]["upload"]
        url = server + path(action["href"])
        return requests.put(url, data=bodies[n], headers=action["header"], timeout=300).status_code

    with ThreadPoolExecutor(50) as pool:
        assert set(pool.map(send, range(50))) == {200}
    again = portal.batch(dataset, token, "upload", *map(pointer, bodies))
    assert [answer for answer in again if "actions" in answer] == []


def test_metrics_of_all_workers(portal, server, data):
    portal.push(*editor_and_dataset(), data)
    route = "/<path:organization>/<dataset>.git/info/lfs/objects/batch"
    shown = requests.get(f"{server}/lfs/metrics", timeout=60)
    assert shown.status_code == 200
    assert f'external_storage_lfs_requests_total{{method="POST",route="{route}",status="200"}}' in shown.text
    received = sa.select(sa.func.count()).where(tables.upload.c.state == "received")  # by other tests, too
    waiting = float(model.Session.execute(received).scalar_one())
    assert f'external_storage_uploads{{state="received"}} {waiting}' in shown.text
    proxied = requests.get(f"{server}/lfs/metrics", headers={"X-Forwarded-For": "127.0.0.1"}, timeout=60)
    assert proxied.status_code == 403
    assert json.loads(proxied.content)["message"]
