from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.lfs.capability import Capability

SECRET = b"s" * 48
PERMIT = Capability("PUT", "dataset-id", "a" * 64, 5, "user-id", "jti", expires_at=1000)


def test_says_what_was_signed():
    assert capability.read(PERMIT.header(SECRET)["Authorization"], SECRET, now=999) == PERMIT


@pytest.mark.parametrize("now", [1000, 1001, 10**9])
def test_ends_at_its_expiry(now):
    with pytest.raises(errors.NotAuthenticated, match="expired"):
        capability.read(PERMIT.header(SECRET)["Authorization"], SECRET, now)


def test_another_secret_does_not_open():
    with pytest.raises(errors.NotAuthenticated):
        capability.read(PERMIT.header(b"t" * 48)["Authorization"], SECRET, 0)


def test_no_part_can_be_exchanged():
    """Each character of the header, changed to another one, makes it worthless."""
    header = PERMIT.header(SECRET)["Authorization"]
    for position in range(len(header)):
        other = "A" if header[position] != "A" else "B"
        forged = header[:position] + other + header[position + 1 :]
        try:
            assert capability.read(forged, SECRET, 0) == PERMIT  # spare bits of the last base64 digit
            assert position == len(header) - 1
        except errors.NotAuthenticated:
            pass


@pytest.mark.parametrize("header", [None, "", "Capability", "Capability ", "Bearer x.y.z", "Basic eA=="])
def test_other_headers_are_refused(header):
    with pytest.raises(errors.NotAuthenticated):
        capability.read(header, SECRET, 0)


def test_each_field_is_signed():
    headers = {
        replace(PERMIT, **change).header(SECRET)["Authorization"]
        for change in (
            {},
            {"method": "GET"},
            {"package_id": "other"},
            {"oid": "b" * 64},
            {"size": 6},
            {"user_id": None},
            {"expires_at": 1001},
        )
    }
    assert len(headers) == 7


def test_generated_secret_is_private_random_and_never_replaced(tmp_path: Path):
    first, second = tmp_path / "new" / "first", tmp_path / "second"
    capability.generate(first)
    capability.generate(second)
    assert capability.load(first) != capability.load(second)
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    before = first.read_bytes()
    with pytest.raises(FileExistsError):
        capability.generate(first)
    assert first.read_bytes() == before


@pytest.mark.parametrize("content", [None, "", "changeme\n"])
def test_there_is_no_default_secret(tmp_path: Path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(errors.SecretMissing, match="external-storage keygen"):
        capability.load(path)
    with pytest.raises(errors.SecretMissing, match="capability_secret_file"):
        capability.load(None)
