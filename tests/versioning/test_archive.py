"""The zip file of a version and its checksums, judged by the tools that people have: unzip and sha256sum."""

from __future__ import annotations

import hashlib
import io
import subprocess
import zipfile
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ckanext.versioning import archive
from ckanext.versioning.archive import Member, WrongLength, checksums, file_names, zip_chunks, zip_length

WHEN = datetime(2026, 5, 1, 12, 0, 2, tzinfo=timezone.utc)

#: What somebody might call a file, to do harm or because they can.
HOSTILE = [
    "../../etc/passwd", "..\\..\\boot.ini", "/etc/passwd", "C:\\x", "a:b.txt", "CON", "nul.csv", "a\nb.csv",
    "a\\b.csv", "\u202egpj.exe", "\0", "", ".", "..", ". .", ".htaccess", "x" * 300 + ".csv",
    "é" * 150 + ".geojson", "\ud800.csv", "-rf", "A.CSV", "a.csv", "a-2.csv", "SHA256SUMS", "sha256sums",
    "<b>.html", "\uff21.csv",
]  # fmt: skip


def member(name: str, data: bytes) -> Member:
    return Member(name, len(data), lambda: io.BytesIO(data))


def zipped(*members: Member) -> bytes:
    return b"".join(zip_chunks(members, WHEN))


names = st.lists(st.text(max_size=30) | st.sampled_from(HOSTILE), max_size=12)


@given(names)
@example(HOSTILE + HOSTILE)
def test_names_are_harmless_unique_and_always_the_same(given: list[str]):
    made = file_names(given, ["SHA256SUMS"])
    assert made == file_names(given, ["SHA256SUMS"])
    assert len(made) == len(given)
    assert len({name.casefold() for name in [*made, "SHA256SUMS"]}) == len(made) + 1
    for name in made:
        assert name.isprintable()
        assert not set(name) & set('/\\<>:"|?*')
        assert not name.startswith(".")
        assert not name.endswith((".", " "))
        assert len(name.encode()) <= archive.MAX_NAME + 5
        assert name.partition(".")[0].lower() not in ("con", "nul")


def test_a_name_that_needs_no_change_is_kept():
    given = ["Values (é).csv", "data 2026-05.tar.gz", "日本.geojson", "README"]
    assert file_names(given) == given


def test_unzip_unpacks_what_sha256sum_approves(tmp_path: Path):
    contents = [f"{n}".encode() * n for n in range(len(HOSTILE))]
    made = file_names(HOSTILE, ["SHA256SUMS"])
    sums = checksums(
        (hashlib.sha256(data).hexdigest(), name) for name, data in zip(made, contents, strict=True)
    )
    files = [member(name, data) for name, data in zip(made, contents, strict=True)]
    content = zipped(*files, member("SHA256SUMS", sums.encode()))
    assert len(content) == zip_length([*files, member("SHA256SUMS", sums.encode())])
    (tmp_path / "version.zip").write_bytes(content)
    place = tmp_path / "unpacked"
    subprocess.run(["unzip", "-q", tmp_path / "version.zip", "-d", place], check=True)
    assert {path.name for path in place.iterdir()} == {*made, "SHA256SUMS"}
    checked = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=place, check=False
    )
    assert checked.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"version.zip", "unpacked"}


def test_checksums_are_as_sha256sum_writes_them(tmp_path: Path):
    # Names that no version has, since `file_names` is asked first; the format has them.
    odd = ["plain.csv", "back\\slash", "line\nend", "both\\\n", "carriage\rreturn", " blank"]
    for name in odd:
        (tmp_path / name).write_bytes(name.encode())
    theirs = subprocess.run(["sha256sum", "--", *odd], cwd=tmp_path, capture_output=True, check=True).stdout
    assert checksums((hashlib.sha256(name.encode()).hexdigest(), name) for name in odd).encode() == theirs


def test_the_same_files_give_the_same_bytes():
    assert zipped(member("a", b"1"), member("b", b"2")) == zipped(member("a", b"1"), member("b", b"2"))
    (info,) = zipfile.ZipFile(io.BytesIO(zipped(member("é", b"1")))).infolist()
    assert (info.filename, info.date_time) == ("é", (2026, 5, 1, 12, 0, 2))
    assert info.external_attr >> 16 == 0o100644
    assert zip_length([]) == len(zipped())


@given(st.lists(st.integers(0, 400), max_size=8), st.integers(1, 700))
def test_the_length_is_known_before_also_for_large_files(sizes: list[int], limit: int):
    # The same branches as beyond 2 GiB and 65,535 files, at sizes that fit into memory.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", limit)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
        members = [member(f"{n}é" * (n + 1), b"x" * size) for n, size in enumerate(sizes)]
        content = zipped(*members)
    assert len(content) == zip_length_with(members, limit)
    with zipfile.ZipFile(io.BytesIO(content)) as read:
        assert read.testzip() is None
        assert [info.file_size for info in read.infolist()] == sizes


def zip_length_with(members: list[Member], limit: int) -> int:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile, "ZIP64_LIMIT", limit)
        patch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 5)
        return zip_length(members)


def test_no_more_than_a_piece_of_a_file_is_in_memory():
    class Long(io.RawIOBase):
        """Bytes without end but for the size; remembers how much has been read."""

        given = 0

        def read(self, size: int = -1) -> bytes:
            assert 0 < size <= archive.CHUNK
            count = min(size, 50 * archive.CHUNK - self.given)
            self.given += count
            return bytes(count)

    source = Long()
    sent = 0
    for chunk in zip_chunks([Member("long", 50 * archive.CHUNK, lambda: source)], WHEN):  # type: ignore[arg-type,return-value]
        sent += len(chunk)
        assert source.given - sent <= archive.CHUNK
    assert sent > 50 * archive.CHUNK


@pytest.mark.parametrize("stored", [b"", b"12", b"1234"])
def test_a_file_of_another_length_ends_it_before_it_is_whole(stored: bytes):
    got: list[bytes] = []
    with pytest.raises(WrongLength):
        got.extend(zip_chunks([member("a", b"1"), Member("b", 3, lambda: io.BytesIO(stored))], WHEN))
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(got)))
