from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.serving import make_server

from ckanext.authz_service import keys
from tests.interop import elsewhere


@pytest.fixture(scope="session")
def keys_by_algorithm(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """For each algorithm a directory with a key."""
    directories = {name: tmp_path_factory.mktemp(name) for name in ("RS256", "ES256", "EdDSA")}
    for name, directory in directories.items():
        keys.generate(directory, name)
    return directories


@pytest.fixture
def address(app, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The running CKAN at an address that other processes can open. It is the issuer of its tokens."""
    server = make_server("127.0.0.1", 0, app.flask_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_issuer", url)
    yield url
    server.shutdown()


@pytest.fixture(scope="session")
def python() -> Path:
    """Python of a service that has nothing to do with CKAN."""
    return elsewhere.python("joserfc", "pyjwt[crypto]>=2.10")


@pytest.fixture(scope="session")
def node() -> Path:
    """A directory for programs of such a service in Node."""
    return elsewhere.node("jose@6")
