"""What an organisation may keep: at the beginning of an upload, when its bytes have come, side by side."""

from __future__ import annotations

import io
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model
from ckan.tests import factories, helpers

from ckanext.external_storage import config, errors, sizes
from ckanext.external_storage.transfer import beginning, quota, receiving, uploads
from tests.portal import Portal, editor_and_dataset, oid_of, pointer

OPTION = "ckanext.external_storage.quota"


@pytest.fixture
def engine(with_plugins) -> sa.Engine:
    assert ckan_model.meta.engine
    return ckan_model.meta.engine


def set_limit(engine: sa.Engine, owner_org: str, size: int | None) -> None:
    with engine.begin() as connection:
        quota.set_limit(connection, owner_org, size)


def begin(engine: sa.Engine, dataset: dict, data: bytes, user: str = "ann") -> uploads.Upload:
    now = datetime.now(timezone.utc)
    with engine.begin() as connection:
        opened = uploads.open_uploads(connection, user, dataset["id"], {oid_of(data): len(data)}, now)
    return opened[oid_of(data)]


def bring(engine: sa.Engine, dataset: dict, data: bytes) -> None:
    upload = begin(engine, dataset, data)
    receiving.receive(engine, config.store(), upload, io.BytesIO(data), datetime.now(timezone.utc))


def content(size: int) -> bytes:
    """16 bytes at least, that no other test has."""
    return uuid.uuid4().bytes.ljust(size, b".")


def test_more_than_the_quota_is_refused_with_the_numbers(portal: Portal, engine):
    editor, dataset = editor_and_dataset()
    set_limit(engine, dataset["owner_org"], 100)
    portal.push(editor, dataset, content(70))
    token = portal.write_token(editor, dataset)
    (refused,) = portal.batch(dataset, token, "upload", pointer(content(31)))
    assert refused["error"]["code"] == 507
    assert all(number in refused["error"]["message"] for number in ("100", "70", "31"))
    portal.push(editor, dataset, content(30))
    shown = portal.action("external_storage_quota_show", editor, id=dataset["owner_org"])
    assert shown == {"used": 100, "reserved": 0, "limit": 100}


def test_each_object_of_a_batch_has_its_own_answer(portal: Portal, engine):
    """One is too large for any file, one does not fit beside the others, and then there are too many."""
    editor, dataset = editor_and_dataset()
    set_limit(engine, dataset["owner_org"], 100)
    token = portal.write_token(editor, dataset)
    files = [pointer(content(size)) for size in (60, 200, 50, 40)]

    def codes() -> list[int | None]:
        answers = portal.batch(dataset, token, "upload", *files)
        assert [answer["oid"] for answer in answers] == [file["oid"] for file in files]
        assert all(("actions" in answer) != ("error" in answer) for answer in answers)
        return [answer.get("error", {}).get("code") for answer in answers]

    with helpers.changed_config("ckanext.external_storage.max_upload_size", "150 B"):
        assert codes() == [None, 413, 507, None]
        set_limit(engine, dataset["owner_org"], None)
        with helpers.changed_config("ckanext.external_storage.max_unfinished_uploads", 2):
            assert codes() == [429, 413, 429, 429]
        assert codes() == [None, 413, None, None]


@pytest.mark.ckan_config(OPTION, "0.1 KB")
def test_the_default_the_own_and_none(engine):
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    with pytest.raises(errors.QuotaExceeded) as refused:
        begin(engine, dataset, content(101))
    assert (refused.value.used, refused.value.limit, refused.value.needed) == (0, 100, 101)
    set_limit(engine, dataset["owner_org"], None)
    begin(engine, dataset, content(101))
    with engine.begin() as connection:
        quota.unset_limit(connection, dataset["owner_org"])
    with pytest.raises(errors.QuotaExceeded):
        begin(engine, dataset, content(16))
    begin(engine, factories.Dataset(), content(101))  # of no organisation


def test_every_way_to_begin_is_checked(engine):
    """By its sha256, by a file name in a dataset, and for a dataset to come; each reserves its size."""
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    organization, store, now = dataset["owner_org"], config.store(), datetime.now(timezone.utc)
    set_limit(engine, organization, 100)
    begin(engine, dataset, content(30))
    for id in (dataset["id"], None):
        with engine.begin() as connection:
            beginning.begin(connection, store, "ann", id, organization, 30, now, fingerprint="a")
        with pytest.raises(errors.QuotaExceeded), engine.begin() as connection:
            beginning.begin(connection, store, "ann", id, organization, 41, now, fingerprint="b")
    with engine.begin() as connection:
        assert quota.usage(connection, organization) == quota.Usage(0, 90, 100)


def test_what_is_there_already_makes_no_difference(engine):
    theirs = factories.Dataset(owner_org=factories.Organization()["id"])
    organization = factories.Organization()["id"]
    ours, also_ours = (factories.Dataset(owner_org=organization) for _ in range(2))
    known, new = content(60), content(60)
    set_limit(engine, organization, 100)
    bring(engine, theirs, known)
    bring(engine, ours, known)
    for data in (known, new):  # 40 are left
        with pytest.raises(errors.QuotaExceeded):
            begin(engine, also_ours, data)
    set_limit(engine, organization, 120)
    bring(engine, also_ours, known)
    with engine.begin() as connection:
        assert quota.usage(connection, organization) == quota.Usage(60, 0, 120), "counted once"


def test_a_moved_dataset_counts_where_it_is(portal: Portal, engine):
    editor, dataset = editor_and_dataset()
    other = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    set_limit(engine, other["id"], 10)
    portal.publish(editor, dataset, content(50))
    portal.action("package_patch", editor, id=dataset["id"], owner_org=other["id"])
    assert portal.action("external_storage_quota_show", editor, id=other["id"])["used"] == 50
    assert portal.action("external_storage_quota_show", editor, id=dataset["owner_org"])["used"] == 0
    with pytest.raises(errors.QuotaExceeded):
        begin(engine, dataset, content(16))


def test_a_limit_that_was_lowered_meanwhile_holds_when_the_bytes_have_come(engine):
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    data = content(60)
    upload = begin(engine, dataset, data)
    set_limit(engine, dataset["owner_org"], 59)
    now = datetime.now(timezone.utc)
    with pytest.raises(errors.QuotaExceeded):
        receiving.receive(engine, config.store(), upload, io.BytesIO(data), now)
    set_limit(engine, dataset["owner_org"], 60)
    receiving.receive(engine, config.store(), upload, io.BytesIO(data), now)
    with engine.begin() as connection:
        assert quota.usage(connection, dataset["owner_org"]) == quota.Usage(60, 0, 60)


@pytest.mark.proof(rounds=(1, 50), writers=(6, 20))
def test_uploads_that_begin_together_do_not_exceed_it(engine, counts):
    for _ in range(counts["rounds"]):
        organization = factories.Organization()["id"]
        datasets = [factories.Dataset(owner_org=organization) for _ in range(2)]
        set_limit(engine, organization, 40)
        ready = threading.Barrier(counts["writers"])

        def attempt(number: int, datasets=datasets, ready=ready) -> bool:
            ready.wait(60)
            try:
                begin(engine, datasets[number % 2], content(16 + number % 2), f"user {number}")
            except errors.QuotaExceeded:
                return False
            return True

        with ThreadPoolExecutor(counts["writers"]) as pool:
            begun = list(pool.map(attempt, range(counts["writers"])))
        assert begun.count(True) == 2
        with engine.begin() as connection:
            assert quota.usage(connection, organization).total <= 40


@pytest.mark.ckan_config(OPTION, "lots")
def test_a_default_that_is_no_size_is_refused():
    with pytest.raises(ValueError, match="lots"):
        config.quota()


@pytest.mark.parametrize("text", ["", "GB", "-1", "1e9", "10 apples", "9" * 15 + "PB"])
def test_what_is_no_size(text: str):
    with pytest.raises(ValueError, match=r"size|large"):
        sizes.parse(text)
