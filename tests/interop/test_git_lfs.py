"""Real ``git lfs`` against a running site: repositories of files go in and come out."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.git_lfs import ListeningSite, listening, repository
from tests.portal import editor_and_dataset


@pytest.fixture(scope="module")
def site() -> Iterator[ListeningSite]:
    with listening() as found:
        yield found


def contents(chance: random.Random, files: int, megabytes: int) -> dict[str, bytes]:
    """Path → bytes: nothing, one byte, *megabytes*, names that are not plain, and small ones."""
    special = {
        "data/empty.csv": b"",
        "data/one byte.bin": chance.randbytes(1),
        "data/large.bin": b"".join(chance.randbytes(1 << 20) for _ in range(megabytes)),
        "data/Größe und Ünïcode/日本語 été.csv": chance.randbytes(1000),
        "data/'quotes' & [brackets] #1 100%.txt": chance.randbytes(1000),
    }
    plain = {f"data/plain/{n}.bin": chance.randbytes(chance.randint(1, 50_000)) for n in range(files)}
    return dict([*special.items(), *plain.items()][:files])


def lfs_url(site: ListeningSite, dataset: dict[str, Any]) -> str:
    return f"{site.url}/lfs/{dataset['organization']['name']}/{dataset['name']}.git/info/lfs"


@pytest.mark.proof(files=(12, 200), megabytes=(3, 300))
def test_a_repository_is_pushed_published_and_cloned(site, tmp_path: Path, counts, chance):
    editor, dataset = editor_and_dataset()
    wanted = contents(chance, counts["files"], counts["megabytes"])
    mine = repository(tmp_path / "mine", lfs_url(site, dataset), editor["token"], wanted)
    mine.git("push", "--quiet", "origin", "main")
    kept = mine.files()
    assert kept.keys() == {path for path, content in wanted.items() if content}
    sent = site.transfers()
    assert len(sent) >= len(kept)

    # Again: nothing is sent.
    mine.git("lfs", "push", "--all", "origin")
    assert site.transfers() == sent

    files = [{"path": path, "oid": oid} for path, oid in kept.items()]
    added = site.portal.action("external_storage_add_files", editor, package_id=dataset["id"], files=files)
    assert [file["path"] for file in added] == list(kept)
    theirs = mine.clone(tmp_path / "theirs")
    for path, content in wanted.items():
        assert (theirs.directory / path).read_bytes() == content, path


def test_a_cut_upload_goes_on_at_the_byte(site, tmp_path: Path, chance):
    editor, dataset = editor_and_dataset()
    content = chance.randbytes(6 << 20)
    mine = repository(tmp_path / "mine", lfs_url(site, dataset), editor["token"], {"data/large.bin": content})
    mine.git("config", "lfs.tustransfers", "true")
    site.proxy.cut_after(4 << 20)
    before, cuts = len(site.transfers()), site.proxy.cuts
    mine.git("push", "origin", "main")
    assert site.proxy.cuts == cuts + 1
    first, second = site.transfers()[before:]
    assert (first.method, first.offset, second.method) == ("PATCH", 0, "PATCH")
    assert second.offset
    assert second.offset >= 3 << 20  # what had arrived of the rest was on its way
    copy = mine.clone(tmp_path / "copy", editor["token"])
    assert (copy.directory / "data/large.bin").read_bytes() == content


@pytest.mark.usefixtures("files_on_s3")
def test_files_go_to_s3_and_come_from_there(site, tmp_path: Path, chance):
    editor, dataset = editor_and_dataset(private=True)
    wanted = {f"data/{n}.bin": chance.randbytes(n * 100_000) for n in range(1, 4)}
    mine = repository(tmp_path / "mine", lfs_url(site, dataset), editor["token"], wanted)
    before = len(site.transfers())
    mine.git("push", "--quiet", "origin", "main")
    assert site.transfers()[before:] == []  # nothing came through the site
    copy = mine.clone(tmp_path / "copy", editor["token"])
    assert {path: (copy.directory / path).read_bytes() for path in wanted} == wanted


def test_a_private_dataset_asks_for_a_token(site, tmp_path: Path):
    editor, dataset = editor_and_dataset(private=True)
    # The address that a clone of the dataset finds by itself.
    url = f"{site.url}/dataset/{dataset['name']}.git/info/lfs"
    wanted = {"data/secret.csv": b"name,salary\n"}
    mine = repository(tmp_path / "mine", url, editor["token"], wanted)
    mine.git("push", "--quiet", "origin", "main")
    mine.clone(tmp_path / "without a token", fails=True)
    stranger, _ = editor_and_dataset()
    mine.clone(tmp_path / "stranger", stranger["token"], fails=True)
    copy = mine.clone(tmp_path / "colleague", editor["token"])
    assert (copy.directory / "data/secret.csv").read_bytes() == b"name,salary\n"


def test_who_may_not_push_is_told(site, tmp_path: Path):
    _, dataset = editor_and_dataset()
    stranger, _ = editor_and_dataset()
    mine = repository(tmp_path / "mine", lfs_url(site, dataset), stranger["token"], {"data/a.csv": b"a"})
    assert "may not upload" in mine.git("push", "origin", "main", fails=True)
