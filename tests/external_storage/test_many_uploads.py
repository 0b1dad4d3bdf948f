"""Many files begun by one request: of a folder that was dropped into a browser, say."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ckantoolkit as tk
import pytest
import requests
import sqlalchemy as sa
from ckan.tests import helpers

from ckanext.external_storage import config, model
from ckanext.external_storage.transfer import beginning, quota, standing
from ckanext.external_storage.transfer.beginning import File
from tests.bare_dataset import make_dataset
from tests.portal import Portal, editor_and_dataset, oid_of
from tests.portal import standing as standing_portal
from tests.statements import statements
from tests.upload_client import Client


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        yield portal


@pytest.fixture
def client(portal) -> Client:
    return Client(portal, *editor_and_dataset())


def contents(number: int) -> list[bytes]:
    """That no other test has; the first one is the shortest."""
    return [f"id\n{uuid.uuid4()}\n".encode().ljust(100 + place) for place in range(number)]


def described(bodies: list[bytes], **more: Any) -> list[dict[str, Any]]:
    return [
        {"size": len(body), "filename": f"{place}.csv", "fingerprint": f"{place}.csv {len(body)}", **more}
        for place, body in enumerate(bodies)
    ]


def statuses(answers: list[dict[str, Any]]) -> list[int | None]:
    return [answer.get("error", {}).get("status") for answer in answers]


def test_a_folder_in_one_request(client):
    """In the order of the request; a second request, in another order, goes on with the same uploads."""
    bodies = contents(5)
    begun = client.begin_many(*described(bodies))
    assert [answer["filename"] for answer in begun] == [f"{place}.csv" for place in range(5)]
    assert len({answer["id"] for answer in begun}) == 5
    assert begun[0]["id"] == client.begin(status=200, **described(bodies)[0])["id"]
    for upload, body in zip(begun, bodies, strict=True):
        client.patch(upload, 0, body)
        assert client.complete(upload)["oid"] == oid_of(body)
    more = contents(3)
    begun = client.begin_many(*described(more))
    again = client.begin_many(*reversed(described(more)))
    assert [answer["id"] for answer in again] == [answer["id"] for answer in reversed(begun)]


def test_one_that_is_wrong_leaves_the_others(client):
    files = [
        {"size": 5},
        {"size": -1},
        "x",
        {"size": 7, "oid": "x"},
        {"size": 8, "filename": ""},
        {"size": 9},
    ]
    answers = client.begin_many(*files)
    assert statuses(answers) == [None, 422, 422, 422, 422, None]
    assert (answers[0]["size"], answers[5]["size"]) == (5, 9)
    with helpers.changed_config("ckanext.external_storage.max_upload_size", "100"):
        answers = client.begin_many({"size": 101}, {"size": 100})
    assert statuses(answers) == [413, None]
    assert "at most 100 bytes" in answers[0]["error"]["message"]


def test_the_sum_must_fit_the_quota(client):
    owner_org = client.dataset["owner_org"]
    with config.engine().begin() as connection:
        quota.set_limit(connection, owner_org, 100)
    answers = client.begin_many({"size": 60, "fingerprint": "a"}, {"size": 50}, {"size": 40}, {"size": 1})
    assert statuses(answers) == [None, 507, None, 507]
    assert "60 are used or promised" in answers[1]["error"]["message"]
    assert "100 are used or promised" in answers[3]["error"]["message"]
    with config.engine().begin() as connection:
        assert quota.usage(connection, owner_org).reserved == 100
    again = client.begin_many({"size": 60, "fingerprint": "a"}, {"size": 1})
    assert (again[0]["id"], statuses(again)) == (answers[0]["id"], [None, 507])


def test_the_number_must_fit_the_limit_of_unfinished_uploads(client):
    first = client.begin(5, fingerprint="first")
    with helpers.changed_config("ckanext.external_storage.max_unfinished_uploads", 3):
        files = [{"size": 5, "fingerprint": name} for name in ("a", "first", "b", "c")]
        answers = client.begin_many(*files)
        assert statuses(answers) == [None, None, None, 429]
        assert answers[1]["id"] == first["id"]
        client.json("DELETE", f"/lfs/uploads/{first['id']}", 204)
        assert statuses(client.begin_many(files[3])) == [None]


def test_the_same_file_twice_is_one_upload(client):
    body = contents(1)[0]
    by_name, by_oid = {"size": 5, "fingerprint": "a"}, {"size": len(body), "oid": oid_of(body)}
    answers = client.begin_many(by_name, by_oid, by_name, by_oid, {"size": 5}, {"size": 5})
    ids = [answer["id"] for answer in answers]
    assert ids[:2] == ids[2:4]
    assert len(set(ids)) == 4, "of what has no name nobody knows that it is the same"
    assert client.begin_many({**by_oid, "size": 5, "fingerprint": "a"})[0]["id"] == ids[0], (
        "it was begun before it was hashed"
    )


def test_what_is_there_and_what_is_empty_need_not_be_sent(client):
    known, new = contents(2)
    client.patch(client.begin(len(known), oid=oid_of(known)), 0, known)
    with config.engine().begin() as connection:
        quota.set_limit(connection, client.dataset["owner_org"], len(known) + len(new))
    answers = client.begin_many(
        {"size": len(new), "oid": oid_of(new)}, {"size": len(known), "oid": oid_of(known)}, {"size": 0}
    )
    assert [answer["state"] for answer in answers] == ["open", "verified", "verified"]
    assert [answer.get("oid") for answer in answers[1:]] == [oid_of(known), oid_of(b"")]
    assert client.complete(answers[1])["oid"] == oid_of(known)


@pytest.mark.parametrize(
    ("files", "status"), [([], 422), ({}, 422), (None, 422), ([{"size": 1}] * 101, 413)], ids=str
)
def test_how_many(client, files, status):
    message = client.json("POST", client.begin_url, status, files=files)["message"]
    assert "At most 100" in message if status == 413 else '"files" must be a list' in message


def test_the_database_is_asked_as_often_for_many_as_for_two(client):
    client.begin(1)
    counts = []
    for number in (2, 100):
        with statements() as sent:
            assert statuses(client.begin_many(*described(contents(number)))) == [None] * number
        counts.append(len(sent))
    assert counts[0] == counts[1] <= 25


def test_two_tabs_begin_the_same_files_in_another_order(portal):
    engine, store, dataset = config.engine(), config.store(), make_dataset(config.engine())
    files = [File(5, fingerprint=str(place)) for place in range(50)]
    ready = threading.Barrier(2)

    def begin(files: list[File]) -> list[Any]:
        ready.wait(60)
        with engine.begin() as connection:
            now = standing.database_now(connection)
            return beginning.begin_all(connection, store, "ann", dataset, None, files, now)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(begin, [files, files[::-1]])
    assert [upload.id for upload, _ in one] == [upload.id for upload, _ in other[::-1]]
    with engine.connect() as connection:
        rows = sa.select(sa.func.count()).where(model.upload.c.package_id == dataset)
        assert connection.execute(rows).scalar_one() == 50


class TestOnS3:
    @pytest.fixture
    def client(self, portal, monkeypatch, s3_options: dict[str, str]) -> Client:
        for name, value in s3_options.items():
            monkeypatch.setitem(tk.config, name, value)
        return Client(portal, *editor_and_dataset())

    def test_small_and_large_ones(self, client):
        """Nothing is asked of the store before a file is sent."""
        bodies = contents(3)
        files = described(bodies)
        for file, body in zip(files[:2], bodies, strict=False):
            file["oid"] = oid_of(body)
        answers = client.begin_many(*files)
        assert [answer["transfer"] for answer in answers] == ["put", "put", "multipart"]
        for answer, body in zip(answers[:2], bodies, strict=False):
            sent = requests.put(answer["href"], body, headers=answer["header"], timeout=60)
            assert sent.status_code == 200
            assert client.complete(answer)["oid"] == oid_of(body)
        large = answers[2]
        assert "parts" not in client.show(large)
        assert "Send the rest" in client.complete(large, 409)["message"]
        url = f"/lfs/uploads/{large['id']}/parts"
        first, second = (client.json("POST", url, numbers=[1])["parts"][0] for _ in range(2))
        assert requests.put(first["href"], bodies[2], headers=first["header"], timeout=60).status_code == 200
        assert (
            requests.put(second["href"], bodies[2], headers=second["header"], timeout=60).status_code == 200
        )
        assert client.show(large)["parts"] == [{"number": 1, "size": len(bodies[2])}]
