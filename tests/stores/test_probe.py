"""What `probe` tells an administrator of real stores, good and bad ones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ckanext.external_storage.storage import s3, s3_examining
from ckanext.external_storage.storage.base import Signed
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.storage.probe import Finding, probe
from ckanext.external_storage.storage.s3 import S3Store
from tests.s3 import make_bucket, remove_bucket
from tests.stores.test_lfs_client import refusing_url, store_at

ORIGIN = "https://data.example"
PAGE = Path(__file__).parents[2] / "docs" / "external_storage_stores.rst"


def printed_rules() -> dict[str, Any]:
    """The CORS rule that the documentation prints."""
    blocks = re.findall(r"code-block:: json\n\n((?:    .*\n|\n)+)", PAGE.read_text())
    (rules,) = [block for block in map(json.loads, blocks) if "CORSRules" in block]
    return rules


def by_name(found: list[Finding]) -> dict[str, bool]:
    for finding in found:
        assert finding.ok or finding.to_do, "a problem without advice"
    return {finding.name: finding.ok for finding in found}


@pytest.fixture
def store(s3_client: Any, s3_options: dict[str, str]) -> Iterator[S3Store]:
    """With a bucket of its own."""
    name = make_bucket(s3_client)
    yield s3.from_options({**s3_options, f"{s3.OPTION}bucket": name})
    remove_bucket(s3_client, name)


def test_a_directory(tmp_path: Path):
    found = probe(LocalStore(tmp_path), [ORIGIN])
    assert by_name(found) == {"round trip": True, "deletion": True}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_directory_that_is_not_there():
    (found,) = probe(LocalStore(Path("/proc/nowhere")), [])
    assert not found.ok
    assert "directory" in found.to_do


def test_a_directory_that_the_store_makes_is_not_for_everybody(tmp_path: Path):
    root = tmp_path / "a" / "store"
    probe(LocalStore(root), [])
    assert root.stat().st_mode & 0o007 == 0


def test_an_lfs_server_that_is_away():
    (found,) = probe(store_at(refusing_url()), [])
    assert not found.ok
    assert "storage_service_url" in found.to_do


def test_a_bucket_as_the_documentation_has_it(s3_client, store: S3Store):
    s3_client.put_bucket_cors(Bucket=store.settings.bucket, CORSConfiguration=printed_rules())
    found = by_name(probe(store, [ORIGIN]))
    assert found == dict.fromkeys(
        [
            "round trip",
            "deletion",
            "wrong checksum",
            "longer body",
            "second PUT",
            "clock",
            "versions",
            "object lock",
            "replication",
            "unfinished uploads",
            "CORS",
        ],
        True,
    )
    assert "Contents" not in s3_client.list_objects_v2(Bucket=store.settings.bucket)


def test_a_bucket_that_browsers_cannot_use_and_that_keeps_versions(s3_client, store: S3Store):
    s3_client.put_bucket_versioning(
        Bucket=store.settings.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    found = by_name(probe(store, [ORIGIN]))
    assert (found["CORS"], found["deletion"]) == (False, True)


class Careless(S3Store):
    """Signs without the checksum, as an adapter or a server might that looks like S3."""

    def sign_put(self, key: str, oid: str, size: int, lifetime: timedelta) -> Signed:
        signer = self.connection.signer
        return signer.sign("PUT", self._where(key)["Key"], lifetime, {"Content-Type": "text/plain"})


def test_a_store_that_takes_anything(store: S3Store):
    found = by_name(probe(Careless(store.settings), []))
    assert (found["wrong checksum"], found["longer body"], found["second PUT"]) == (False, False, False)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("endpoint_url", "http://127.0.0.1:1", "reached"),
        ("secret_access_key", "not-it", "rights"),
        ("bucket", "not-there", "address"),
    ],
)
def test_what_is_set_up_wrong_is_said_once(s3_options, name: str, value: str, word: str):
    (finding,) = probe(s3.from_options({**s3_options, s3.OPTION + name: value}), [ORIGIN])
    assert not finding.ok
    assert word in finding.to_do
    for secret in (s3_options[s3.OPTION + "secret_access_key"], "not-it"):
        assert secret not in finding.what


def test_a_clock_that_is_off(store: S3Store, monkeypatch):
    """This machine's, as the check sees it; the server's is the real one."""

    class Late(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(minutes=10)

    monkeypatch.setattr(s3_examining, "datetime", Late)
    clock = next(finding for finding in probe(store, []) if finding.name == "clock")
    assert not clock.ok
    assert "seconds apart" in clock.what
