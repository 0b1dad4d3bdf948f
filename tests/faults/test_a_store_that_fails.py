"""The store is away, hangs, is slow, full or read-only: pages stand, uploads wait, nothing is lost."""

from __future__ import annotations

import io
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ckantoolkit as tk
import pytest
import requests

from ckanext.external_storage import errors, jobs
from ckanext.external_storage.storage import registry
from services.settings import Settings
from tests import small_disk
from tests.conformance.object_store import new_key
from tests.faults import gate
from tests.faults.gate import Gate
from tests.portal import Portal, editor_and_dataset, oid_of, path
from tests.portal import standing as standing_portal
from tests.s3 import OPTION, make_bucket, options_for, server_of_its_own
from tests.upload_client import Client

#: Bytes that our server sends to the store in parts.
LARGE = 20 << 20


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def way(monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]) -> Iterator[Gate]:
    """The only way from this site to its store."""
    with only_way(monkeypatch, s3_options) as way:
        yield way


@contextmanager
def only_way(monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]) -> Iterator[Gate]:
    real = urlsplit(s3_options[OPTION + "s3.endpoint_url"])
    assert real.hostname
    assert real.port
    with gate.before(real.hostname, real.port) as way:
        for name, value in {**s3_options, OPTION + "s3.endpoint_url": way.address}.items():
            monkeypatch.setitem(tk.config, name, value)
        yield way


class Publisher:
    """An editor with a published file, and another one half way to the store."""

    def __init__(self, portal: Portal, way: Gate):
        self.portal, self.way = portal, way
        self.editor, self.dataset = editor_and_dataset()
        self.client = Client(portal, self.editor, self.dataset)
        self.data = f"id\n{uuid.uuid4()}\n".encode()
        self.resource = self.publish(b"published " + self.data)
        self.upload = self.client.begin(len(self.data), fingerprint=str(uuid.uuid4()))
        (self.part,) = self.sign(self.upload)["parts"]

    def publish(self, data: bytes) -> dict[str, Any]:
        upload = self.client.begin(len(data), oid=oid_of(data))
        requests.put(upload["href"], data=data, headers=upload["header"], timeout=60)
        oid = self.client.complete(upload)["oid"]
        return self.portal.action(
            "resource_create", self.editor, package_id=self.dataset["id"],
            url="data.csv", url_type="upload", sha256=oid,
        )  # fmt: skip

    def sign(self, upload: Any, status: int = 200) -> Any:
        return self.client.json("POST", f"/lfs/uploads/{upload['id']}/parts", status, numbers=[1])

    def put(self, part: Any) -> requests.Response:
        return requests.put(part["href"], data=self.data, headers=part["header"], timeout=60)

    def bring(self, data: bytes, status: int = 200) -> Any:
        """A resource whose file comes through the site; the answer's ``result`` or ``error``."""
        answer = self.portal.client.post(
            "/api/action/resource_create",
            data={"package_id": self.dataset["id"], "upload": (io.BytesIO(data), "brought.csv")},
            headers={"Authorization": self.editor["token"]},
        )
        assert answer.status_code == status, answer.data
        return answer.json["result" if status == 200 else "error"]

    def download(self) -> str:
        """Where the site sends those who download the published file."""
        headers = {"Authorization": self.editor["token"]}
        answer = self.portal.client.get(path(self.resource["url"]), headers=headers, follow_redirects=False)
        return answer.headers["Location"]

    def resources(self) -> list[dict[str, Any]]:
        return self.portal.action("package_show", self.editor, id=self.dataset["id"])["resources"]

    def assert_pages_stand(self) -> None:
        """The pages of the dataset and of the file, and the way to a download, ask the store for nothing."""
        before = self.way.asked
        page = f"/dataset/{self.dataset['name']}"
        for address in (page, f"{page}/resource/{self.resource['id']}"):
            assert self.portal.get(address, self.editor).status_code == 200
        assert self.download().startswith(self.way.address)
        small = uuid.uuid4().bytes
        assert self.client.begin(len(small), fingerprint=small.hex(), oid=oid_of(small))["transfer"] == "put"
        assert self.way.asked == before

    def assert_all_refused_in_words(self) -> None:
        another = self.client.begin(len(self.data), fingerprint="another")  # of which the store hears later
        for refused in (
            self.client.show(self.upload, 503),
            self.client.complete(self.upload, 503),
            self.sign(another, 503),
        ):
            assert "Nothing was changed" in refused["message"], refused

    def assert_it_goes_on(self) -> None:
        assert self.client.show(self.upload)["state"] == "open"
        assert self.put(self.part).status_code == 200, "what was signed before still serves"
        self.client.complete(self.upload, 503)  # no worker runs here: it waits
        assert jobs.check_upload(self.upload["id"]) == "verified"
        assert self.client.complete(self.upload)["oid"] == oid_of(self.data)
        assert requests.get(self.download(), timeout=60).content == b"published " + self.data


def test_a_store_that_is_away(portal: Portal, way: Gate):
    publisher = Publisher(portal, way)
    way.close()
    with pytest.raises(requests.ConnectionError):
        publisher.put(publisher.part)
    publisher.assert_pages_stand()
    publisher.assert_all_refused_in_words()
    way.open()
    publisher.assert_it_goes_on()
    # The one that could not be begun at the store is in the table, and is begun there now.
    again = publisher.client.begin(len(publisher.data), 200, fingerprint="another")
    assert publisher.sign(again)["parts"]


@pytest.mark.proof(stores=(0, 1))
def test_a_store_that_hangs(portal: Portal, way: Gate, counts: Any):
    """All requests end by themselves, after half a minute."""
    publisher = Publisher(portal, way)
    way.stall()
    publisher.assert_pages_stand()
    publisher.assert_all_refused_in_words()
    way.open()
    publisher.assert_it_goes_on()


def test_a_store_that_is_slow(portal: Portal, way: Gate):
    publisher = Publisher(portal, way)

    def slowly(data: bytes) -> bytes:
        time.sleep(0.1)
        return data

    way.change = slowly
    data = bytes(2 << 20)
    assert publisher.bring(data)["sha256"] == oid_of(data)
    publisher.assert_pages_stand()
    publisher.assert_it_goes_on()


def test_a_store_that_is_full_and_then_read_only(
    portal: Portal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    disk, settings = tmp_path / "disk", Settings.load()
    assert settings
    disk.mkdir()
    with small_disk.at(disk, mebibytes=16), server_of_its_own(disk) as s3:
        options = options_for(settings, s3, make_bucket(s3))
        with only_way(monkeypatch, options) as way:
            publisher = Publisher(portal, way)
            with pytest.raises(errors.StoreFull):  # in parts, until there is no more room
                registry.from_options(options).put(new_key(b"large"), io.BytesIO(bytes(LARGE)), LARGE, None)
            small_disk.fill(disk)
            assert publisher.put(publisher.part).status_code == 507
            publisher.assert_pages_stand()
            assert "full" in str(publisher.bring(bytes(100_000), 409)["upload"])
            assert len(publisher.resources()) == 1
            small_disk.make_room(disk)

            small_disk.set_writable(disk, False)
            assert publisher.put(publisher.part).status_code >= 500
            publisher.assert_pages_stand()
            assert "Send the rest" in publisher.client.complete(publisher.upload, 409)["message"]
            small_disk.set_writable(disk, True)
            publisher.assert_it_goes_on()
