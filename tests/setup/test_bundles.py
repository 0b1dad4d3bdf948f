"""What CKAN's pages load: built from the sources that lie beside it, and small."""

from __future__ import annotations

import gzip
import json
from importlib.metadata import metadata
from pathlib import Path

import pytest

from services import node
from services.checkout import ROOT

ASSETS = ROOT / "assets" / "external_storage"
BUILT = ("js", "public")
#: Bytes of all that a page with the upload field loads, each file gzipped.
MOST = 30_000


def files(directory: Path, *parts: str) -> dict[str, bytes]:
    found = [path for part in parts for path in (directory / part).rglob("*") if path.is_file()]
    return {str(path.relative_to(directory)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    directory = tmp_path_factory.mktemp("assets")
    node.assets(directory)
    return files(directory, *BUILT)


def test_the_committed_bundles_are_those_of_the_sources(fresh: dict[str, bytes]):
    committed = {
        name: content for name, content in files(ASSETS, *BUILT).items() if not name.endswith(".css")
    }
    assert set(committed) == set(fresh)
    different = [name for name, content in fresh.items() if committed[name] != content]
    assert not different, "`make assets` builds them anew; commit what it writes"


def test_a_page_loads_little():
    loaded = {name: data for name, data in files(ASSETS, *BUILT).items() if name.endswith(".js")}
    loaded["CKAN makes one file of them"] = b"\n".join(files(ASSETS, "css").values())
    sizes = {name: len(gzip.compress(data, mtime=0)) for name, data in loaded.items()}
    assert sum(sizes.values()) <= MOST, sizes


def test_the_package_has_the_version_of_the_distribution():
    package = json.loads((ROOT / "sdk" / "package.json").read_text())
    distribution = metadata("ckanext-publish")
    assert package["version"] == distribution["Version"]
    assert package["license"] == distribution["License-Expression"]


def test_the_lock_file_names_no_registry():
    assert "http" not in (ROOT / "sdk" / "package-lock.json").read_text()
