"""A token that was taken back opens nothing at the LFS server, from the very next request on."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.external_storage.lfs import app as lfs
from tests.portal import editor_and_dataset, pointer
from tests.statements import statements
from tests.upload_client import Client


@pytest.fixture
def data() -> bytes:
    return uuid.uuid4().bytes


def revoke_it(portal: Any, editor: Any, token: str) -> None:
    jti = portal.action("authz_verify", token=token)["payload"]["jti"]
    assert portal.action("authz_token_revoke", editor, jti=jti) == {"revoked": 1}


def revoke_all(portal: Any, editor: Any, token: str) -> None:
    assert portal.action("authz_token_revoke", editor, user_id=editor["name"])["revoked"] >= 1


def delete_account(portal: Any, editor: Any, token: str) -> None:
    portal.action("user_delete", factories.SysadminWithToken(), id=editor["id"])


def deactivate_by_sql(portal: Any, editor: Any, token: str) -> None:
    engine: Any = model.meta.engine
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE \"user\" SET state = 'deleted' WHERE id = %s", (editor["id"],))


@pytest.mark.parametrize("end", [revoke_it, revoke_all, delete_account, deactivate_by_sql])
def test_the_token_and_what_was_handed_out_for_it(portal, data, end):
    editor, dataset = editor_and_dataset()
    portal.push(editor, dataset, data)
    token = portal.write_token(editor, dataset)
    (new,) = portal.batch(dataset, token, "upload", pointer(data + b"x"))
    (old,) = portal.batch(dataset, token, "download", pointer(data))
    assert portal.action("authz_verify", token=token)["verified"] is True

    end(portal, editor, token)
    message = portal.batch(dataset, token, "upload", pointer(data), status=401)["message"]
    assert "Ask for a new one." in message or "ask for a new token" in message
    assert portal.action("authz_verify", token=token)["verified"] is False
    portal.put(new["actions"]["upload"], data + b"x", status=401)
    portal.verify(new["actions"]["verify"], data + b"x", status=401)
    download = old["actions"]["download"]
    portal.get(download["href"], headers=download["header"], status=401)


@pytest.mark.parametrize("end", [revoke_all, deactivate_by_sql])
def test_uploads_of_a_browser(portal, data, end):
    client = Client(portal, *(whose := editor_and_dataset()))
    upload = client.begin(len(data), fingerprint="a")
    end(portal, whose[0], client.auth["Authorization"].partition(" ")[2])
    client.begin(len(data), 401, fingerprint="b")
    client.show(upload, 401)
    client.tus("HEAD", upload, 401)
    client.patch(upload, 0, data, 401)
    client.complete(upload, 401)
    client.json("DELETE", f"/lfs/uploads/{upload['id']}", 401)


def test_another_token_of_the_same_user_goes_on(portal, data):
    editor, dataset = editor_and_dataset()
    token, other = (portal.write_token(editor, dataset) for _ in range(2))
    revoke_it(portal, editor, token)
    portal.batch(dataset, token, "upload", pointer(data), status=401)
    (answer,) = portal.batch(dataset, other, "upload", pointer(data))
    portal.put(answer["actions"]["upload"], data)


def test_anonymous_readers_need_no_ledger(portal, data):
    editor, dataset = editor_and_dataset()
    portal.publish(editor, dataset, data)
    token = portal.token(None, f"obj:{dataset['organization']['name']}/{dataset['name']}/*:read")
    with statements() as sent:
        (answer,) = portal.batch(dataset, token, "download", pointer(data))
        portal.get(answer["actions"]["download"]["href"], headers=answer["actions"]["download"]["header"])
    assert not any("authz_service_" in statement for statement in sent)


def test_one_statement_per_request(portal, data):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    with statements() as sent:
        (answer,) = portal.batch(dataset, token, "upload", pointer(data))
        portal.put(answer["actions"]["upload"], data)
    assert len([statement for statement in sent if "authz_service_token" in statement]) == 2


def test_without_the_ledgers_tables_the_server_says_so(portal, data, caplog):
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", pointer(data))
    engine: Any = model.meta.engine
    with engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE authz_service_user_cutoff RENAME TO hidden_cutoff")
    try:
        portal.batch(dataset, token, "upload", pointer(data), status=503)
        portal.put(answer["actions"]["upload"], data, status=503)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE hidden_cutoff RENAME TO authz_service_user_cutoff")
    assert "ckan db upgrade -p authz_service" in caplog.text
    assert lfs.log.name in {record.name for record in caplog.records}
