from __future__ import annotations

import io
import logging
import os
import socket
import subprocess
import sys
import traceback
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from ckanext.external_storage import errors
from ckanext.external_storage.storage import registry, s3
from ckanext.external_storage.storage.s3 import S3Store
from ckanext.external_storage.storage.s3_reading import S3Reader
from services.settings import Settings
from tests.conformance.object_store import ObjectStoreSuite, new_key, oid_of
from tests.conformance.signing_store import SigningStoreSuite
from tests.s3 import make_bucket, options_for, remove_bucket, server_of_its_own

ROOT = Path(__file__).parents[2]


class TestS3Store(ObjectStoreSuite, SigningStoreSuite):
    @pytest.fixture
    def store(self, s3_store: S3Store) -> S3Store:
        return s3_store

    @pytest.fixture
    def lists_unfinished(self, request: pytest.FixtureRequest) -> bool:
        return request.config.option.s3_server != "minio"  # which names those of one whole key only


def stored(store: S3Store, data: bytes = b"text") -> str:
    key = new_key(data)
    store.put(key, io.BytesIO(data), len(data), oid_of(data))
    return key


def unfinished(s3_client: Any, store: S3Store) -> list[str]:
    listed = s3_client.list_multipart_uploads(Bucket=store.settings.bucket)
    return [upload["Key"] for upload in listed.get("Uploads", [])]


# --- large files ---

LARGE = 20 << 20


def test_a_large_body_is_sent_in_parts(s3_store: S3Store):
    data = os.urandom(LARGE)
    key = stored(s3_store, data)
    found = s3_store.stat(key)
    assert found
    assert found.etag.endswith('-2"')
    assert s3_store.put(key, io.BytesIO(data), len(data), oid_of(data)) == oid_of(data), (
        "again changes nothing"
    )
    assert s3_store.stat(key) == found


@pytest.mark.parametrize("sent", [bytes(LARGE), bytes(LARGE - 1)], ids=["wrong bytes", "too few"])
def test_of_a_wrong_large_body_nothing_is_left(s3_client, s3_store: S3Store, sent: bytes):
    key = new_key(b"large")
    with pytest.raises((errors.ChecksumMismatch, errors.WrongSize)):
        s3_store.put(key, io.BytesIO(sent), LARGE, oid_of(b"large"))
    assert s3_store.stat(key) is None
    assert not [name for name in unfinished(s3_client, s3_store) if name.endswith(key)]


def test_a_key_that_holds_other_bytes_is_not_written(s3_client, s3_store: S3Store):
    key = new_key(b"right")
    s3_client.put_object(Bucket=s3_store.settings.bucket, Key=f"portal/{key}", Body=b"other")
    with pytest.raises(errors.StoreUnavailable):
        s3_store.put(key, io.BytesIO(b"right"), 5, oid_of(b"right"))
    with s3_store.open(key) as file:
        assert file.read() == b"other"


@pytest.mark.proof(mebibytes=(0, 1024))
def test_memory_does_not_grow_with_the_file(s3_options, counts, record_property):
    program = f"""
import resource, sys
from ckanext.external_storage.storage import registry
from tests.conformance.object_store import new_key
class Zeros:
    def read(self, n=-1): return bytes(n)
store = registry.from_options({s3_options!r})
store.put(new_key(b"x"), Zeros(), 20 << 20, None)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
key = new_key(b"y")
store.put(key, Zeros(), {counts["mebibytes"]} << 20, None)
with store.open(key) as file:
    while file.read(1 << 20): pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert not done.returncode, done.stderr
    record_property("growth_kib", int(done.stdout))
    assert int(done.stdout) < 64 << 10


# --- reading ---


def test_what_was_opened_is_never_mixed_with_other_bytes(s3_client, s3_store: S3Store):
    data = bytes(3 << 20)
    key = stored(s3_store, data)
    with s3_store.open(key) as file:
        s3_client.put_object(Bucket=s3_store.settings.bucket, Key=f"portal/{key}", Body=b"1" * len(data))
        with pytest.raises(errors.StoreUnavailable):
            file.read()


def test_a_broken_connection_is_taken_up_where_it_broke(s3_store: S3Store):
    data = os.urandom(1000)
    key = stored(s3_store, data)
    asked = []

    class Breaking:
        """The real body, on a connection that breaks after some bytes."""

        def __init__(self, start: int):
            self.body = s3_store.connection.client.get_object(
                Bucket=s3_store.settings.bucket, Key=f"portal/{key}", Range=f"bytes={start}-"
            )["Body"]
            asked.append(start)
            self.left = 300

        def read(self, count: int) -> bytes:
            if not self.left:
                raise ConnectionResetError
            data = self.body.read(min(count, self.left))
            self.left -= len(data)
            return data

        def close(self) -> None:
            self.body.close()

    with io.BufferedReader(S3Reader(Breaking, len(data)), 64) as file:
        assert file.read() == data
        assert file.seek(-1, io.SEEK_END) == 999
        assert file.read() == data[-1:]
    assert asked == [0, 300, 600, 900, 999]


# --- buckets with versions ---


def test_in_a_bucket_with_versions_deleted_is_deleted(s3_client, s3_options):
    name = make_bucket(s3_client)
    try:
        enabled = {"Status": "Enabled"}
        s3_client.put_bucket_versioning(Bucket=name, VersioningConfiguration=enabled)
        store = s3.from_options({**s3_options, f"{s3.OPTION}bucket": name})
        key, other = stored(store), stored(store)
        for _ in range(2):
            store.delete(key)
        left = s3_client.list_object_versions(Bucket=name)
        assert [version["Key"] for version in left["Versions"]] == [f"portal/{other}"]
        assert "DeleteMarkers" not in left
    finally:
        remove_bucket(s3_client, name)


# --- addresses, accounts, faults ---


@pytest.mark.parametrize(
    ("options", "base"),
    [
        (
            {"endpoint_url": "", "region": "eu-central-1"},
            "https://{bucket}.s3.eu-central-1.amazonaws.com/portal/",
        ),
        (
            {"endpoint_url": "", "region": "eu-central-1", "addressing_style": "path"},
            "https://s3.eu-central-1.amazonaws.com/{bucket}/portal/",
        ),
        ({"endpoint_url": "http://minio:9000"}, "http://minio:9000/{bucket}/portal/"),
        (
            {"endpoint_url": "http://minio:9000", "public_endpoint_url": "https://files.example/"},
            "https://files.example/{bucket}/portal/",
        ),
        (
            {
                "public_endpoint_url": "https://files.example",
                "addressing_style": "virtual",
                "prefix": "/a/b/",
            },
            "https://{bucket}.files.example/a/b/",
        ),
        ({"endpoint_url": "http://minio:9000", "prefix": ""}, "http://minio:9000/{bucket}/"),
    ],
)
def test_addresses_that_clients_get(s3_options, options: dict[str, str], base: str):
    store = s3.from_options(s3_options | {s3.OPTION + name: value for name, value in options.items()})
    key = new_key(b"x")
    href = store.sign_get(key, "text/csv", "attachment", timedelta(minutes=1)).href
    assert href.startswith(base.format(bucket=store.settings.bucket) + key + "?")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"bucket": ""}, "s3.bucket"),
        ({"secret_access_key": ""}, "s3.secret_access_key"),
        ({"addressing_style": "dns"}, "auto, path, virtual"),
        ({"endpoint_url": "minio:9000"}, "http://"),
    ],
)
def test_options_that_cannot_be(s3_options, options: dict[str, str], word: str):
    with pytest.raises(errors.StoreNotConfigured, match=word):
        registry.from_options(s3_options | {s3.OPTION + name: value for name, value in options.items()})


def test_one_store_per_process_for_the_same_options(s3_options):
    assert registry.from_options(s3_options) is registry.from_options(dict(s3_options))


def test_a_store_that_nobody_knows_is_said():
    with pytest.raises(errors.StoreNotConfigured, match="local, s3"):
        registry.from_options({registry.OPTION: "gcs"})


def faults(store: S3Store, ref: str) -> dict[str, Any]:
    key = new_key(b"x")
    return {
        "put": lambda: store.put(key, io.BytesIO(b"x"), 1, oid_of(b"x")),
        "put in parts": lambda: store.put(key, io.BytesIO(bytes(LARGE)), LARGE, None),
        "open": lambda: store.open(key),
        "stat": lambda: store.stat(key),
        "delete": lambda: store.delete(key),
        "sweep": lambda: store.delete_unfinished(datetime.now(timezone.utc)),
        "begin": lambda: store.begin_multipart(key),
        "list": lambda: store.list_parts(key, ref),
        "complete": lambda: store.complete_multipart(key, ref, 1),
        "abort": lambda: store.abort_multipart(key, ref),
    }


@pytest.mark.parametrize("fault", ["nobody answers", "another account", "wrong secret", "no such bucket"])
def test_a_store_that_fails_is_said_without_any_secret(s3_options, caplog, fault: str):
    changes = {
        "nobody answers": {"endpoint_url": "http://127.0.0.1:1"},
        "another account": {"access_key_id": "stranger"},
        "wrong secret": {"secret_access_key": "not-it"},
        "no such bucket": {"bucket": "not-there"},
    }
    store = s3.from_options(s3_options | {s3.OPTION + k: v for k, v in changes[fault].items()})
    expected = errors.StoreDenied if fault == "wrong secret" else errors.StoreUnavailable
    told = repr(store) + repr(vars(store)) + repr(vars(store.connection))
    ref = str(uuid.uuid4())
    calls = faults(store, ref)
    if fault in ("no such bucket", "another account"):
        del calls["stat"]  # versitygw says 404 to both, and the answer to a HEAD has no words
    with caplog.at_level(logging.DEBUG):
        for call in calls.values():
            with pytest.raises(expected) as caught:
                call()
            told += "".join(traceback.format_exception(caught.value))
            logging.getLogger("site").error("it failed", exc_info=caught.value)
        told += store.sign_put(new_key(b"x"), oid_of(b"x"), 1, timedelta(minutes=1)).expires_at.isoformat()
    told += caplog.text
    assert "CreateMultipartUpload" in told
    for secret in (
        s3_options[s3.OPTION + "secret_access_key"],
        s3_options[s3.OPTION + "access_key_id"],
        "not-it",
        "stranger",
        ref,
        "X-Amz-Signature",
        "AWS4-HMAC",
    ):
        assert secret not in told


def test_without_any_account_it_is_said(s3_options, monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    nobody = {s3.OPTION + "access_key_id": "", s3.OPTION + "secret_access_key": ""}
    store = s3.from_options(s3_options | nobody | {s3.OPTION + "prefix": "nobody"})
    for call in (
        lambda: store.stat(new_key(b"x")),
        lambda: store.sign_get(new_key(b"x"), "a/b", "", timedelta(1)),
    ):
        with pytest.raises(errors.StoreDenied):
            call()


def test_the_account_of_the_environment(s3_options, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_options[s3.OPTION + "access_key_id"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_options[s3.OPTION + "secret_access_key"])
    options = {k: v for k, v in s3_options.items() if not k.endswith(("access_key_id", "secret_access_key"))}
    store = s3.from_options(options)
    assert store.stat(stored(store))


def test_a_forked_process_has_connections_of_its_own(s3_store: S3Store):
    key = stored(s3_store, bytes(2 << 20))
    with s3_store.open(key) as file:
        file.read(10)
        children = []
        for _ in range(3):
            if (pid := os.fork()) == 0:
                status = 1
                try:
                    for _ in range(5):
                        with s3_store.open(key) as own:
                            assert own.read() == bytes(2 << 20)
                    status = 0
                finally:
                    os._exit(status)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
        assert len(file.read()) == (2 << 20) - 10


def test_a_server_that_has_a_name_for_each_bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    resolve = socket.getaddrinfo

    def resolved(host: Any, *more: Any, **options: Any) -> Any:
        here = str(host).endswith(".files.test")  # which no other resolver knows
        return resolve("127.0.0.1" if here else host, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    settings = Settings.load()
    assert settings
    with server_of_its_own(tmp_path, "--virtual-domain", "files.test") as client:
        port = urlsplit(client.meta.endpoint_url).port
        own = {"addressing_style": "virtual", "endpoint_url": f"http://files.test:{port}"}
        options = options_for(settings, client, make_bucket(client))
        store = s3.from_options(options | {s3.OPTION + name: value for name, value in own.items()})
        data = os.urandom(LARGE)
        key = stored(store, data)
        with store.open(key) as file:
            assert file.read() == data
        signed = store.sign_get(key, "text/csv", "attachment", timedelta(minutes=1))
        assert urlsplit(signed.href).hostname == f"{store.settings.bucket}.files.test"
        assert requests.get(signed.href, headers=signed.header, timeout=60).content == data
        key = new_key(b"text")
        signed = store.sign_put(key, oid_of(b"text"), 4, timedelta(minutes=1))
        assert requests.put(signed.href, data=b"text", headers=signed.header, timeout=60).ok
        assert store.stat(key)
        ref = store.begin_multipart(key := new_key(data))
        part = store.sign_part(key, ref, 1, LARGE, timedelta(minutes=1))
        assert requests.put(part.href, data=data, headers=part.header, timeout=60).ok
        assert store.complete_multipart(key, ref, LARGE).size == LARGE
