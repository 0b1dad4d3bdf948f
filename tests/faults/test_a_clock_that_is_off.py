"""The site's clock is ten minutes away from those of the database and of the store."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
import freezegun
import pytest
import requests
from ckan.lib import api_token

from ckanext.external_storage import config, jobs
from ckanext.external_storage.transfer import standing, sweeping
from tests.portal import Portal, editor_and_dataset, oid_of, path, pointer
from tests.portal import standing as standing_portal
from tests.upload_client import Client

OFF = timedelta(minutes=10)
#: Of waiting for tests on a busy machine, in either direction.
TOLERANCE = timedelta(minutes=5)


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def known(portal: Portal) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dataset's editor who has had an API token for a while, and the dataset."""
    editor, dataset = editor_and_dataset()
    made: Any = api_token.decode(editor["token"])
    return {**editor, "token": api_token.encode({**made, "iat": made["iat"] - 3600})}, dataset


@pytest.fixture(params=[OFF, -OFF], ids=["ahead", "behind"])
def client(request: pytest.FixtureRequest, portal: Portal, known: Any) -> Iterator[Client]:
    """While the whole site has the wrong time."""
    with wrong(request.param):
        yield Client(portal, *known)


@contextmanager
def wrong(off: timedelta) -> Iterator[None]:
    # What measures this test has the right time.
    ignored = ["_pytest", "pluggy", "threading", "queue", "selectors"]
    with freezegun.freeze_time(datetime.now(timezone.utc) + off, tick=True, ignore=ignored):
        difference = datetime.now(timezone.utc) - database_now() - off
        assert abs(difference) < TOLERANCE, "the database has the right time"
        yield


def database_now() -> datetime:
    with config.engine().connect() as connection:
        return standing.database_now(connection)


def sweep(later: timedelta) -> None:
    sweeping.sweep(config.engine(), config.store(), database_now() + later)


def test_an_upload_in_pieces_lives_for_its_day_and_arrives(client: Client):
    data = f"id\n{uuid.uuid4()}\n".encode()
    upload = client.begin(len(data), fingerprint="clock")
    client.patch(upload, 0, data[:10])
    sweep(timedelta(hours=23))
    assert client.show(upload)["offset"] == 10
    client.patch(upload, 10, data[10:])
    assert client.complete(upload)["oid"] == oid_of(data)


def test_what_the_batch_api_hands_out_is_good_for_the_upload(client: Client, known: Any):
    (editor, dataset), portal = known, client.portal
    data = uuid.uuid4().bytes
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", pointer(data))
    sweep(timedelta(hours=23))
    portal.put(answer["actions"]["upload"], data)
    portal.verify(answer["actions"]["verify"], data)
    (answer,) = portal.batch(dataset, token, "download", pointer(data))
    action = answer["actions"]["download"]
    got = portal.client.get(path(action["href"]), headers=action["header"])
    assert got.data == data


def test_what_is_signed_for_the_store_is_good_for_the_upload(
    client: Client, monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]
):
    """S3 lets clocks differ by 15 minutes; a signed request lives as long, less what the clock is behind."""
    for name, value in s3_options.items():
        monkeypatch.setitem(tk.config, name, value)
    data = f"id\n{uuid.uuid4()}\n".encode()
    upload = client.begin(len(data), fingerprint="clock")
    (part,) = client.json("POST", f"/lfs/uploads/{upload['id']}/parts", numbers=[1])["parts"]
    assert requests.put(part["href"], data=data, headers=part["header"], timeout=60).status_code == 200
    client.complete(upload, 503)  # no worker runs here: it waits
    assert jobs.check_upload(upload["id"]) == "verified"
    assert client.complete(upload)["oid"] == oid_of(data)


def test_a_token_from_another_machine_whose_clock_is_right(portal: Portal, known: Any):
    """Clocks may differ by the leeway of 10 seconds: a token of the future is refused until its time comes.

    One that seems to have been issued minutes ago is good for the rest of its 15 minutes.
    """
    client = Client(portal, *known)
    with wrong(-OFF):
        assert client.begin(5, 401)["message"]
    with wrong(OFF):
        assert client.begin(5)["state"] == "open"
    with wrong(2 * OFF):
        assert client.begin(5, 401)["message"]
