from __future__ import annotations

from pathlib import Path

import pytest

from ckanext.authz_service import keys
from tests.authz_service.conftest import address  # noqa: F401
from tests.giftless_server import keys_of_a_site
from tests.interop import elsewhere


@pytest.fixture(scope="session")
def keys_by_algorithm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each algorithm a directory with a key."""
    directories = {name: tmp_path_factory.mktemp(name) for name in ("RS256", "ES256", "EdDSA")}
    for name, directory in directories.items():
        keys.generate(directory, name)
    return directories


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The keys of a site whose tokens giftless takes."""
    return keys_of_a_site(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="session")
def python() -> Path:
    """Python of a service that has nothing to do with CKAN."""
    return elsewhere.python("joserfc", "pyjwt[crypto]>=2.10")


@pytest.fixture(scope="session")
def node() -> Path:
    """A directory for programs of such a service in Node."""
    return elsewhere.node("jose@6")
