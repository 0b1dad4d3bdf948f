from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ckan import plugins
from click.testing import CliRunner, Result
from werkzeug.serving import make_server

from ckanext.authz_service import keys


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a key, made once: what is tested with it does not depend on which key it is."""
    directory = tmp_path_factory.mktemp("keys")
    keys.generate(directory, "ES256")
    return directory


@pytest.fixture
def with_key(keys_dir: Path, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site has a signing key."""
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(keys_dir))
    return keys_dir


@pytest.fixture
def without_key(tmp_path: Path, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The site has a directory for keys with nothing in it."""
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path))
    return tmp_path


@pytest.fixture
def address(app, ckan_config, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The running CKAN at an address that other processes can open. It is the issuer of its tokens."""
    server = make_server("127.0.0.1", 0, app.flask_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_issuer", url)
    yield url
    server.shutdown()


@pytest.fixture
def run(with_plugins) -> Callable[..., Result]:
    """``ckan authz`` with these arguments."""
    # Through ``ckan`` itself the ini file would be read again, and with it another keys_dir.
    plugin: Any = plugins.get_plugin("authz_service")
    (authz,) = plugin.get_commands()
    assert authz.name == "authz"
    return lambda *arguments: CliRunner().invoke(authz, arguments)
