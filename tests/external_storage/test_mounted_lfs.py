"""The LFS server inside CKAN: beside CKAN's own answers, and beside plugins that wrap CKAN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ckan import plugins

from tests.portal import Portal, editor_and_dataset, path, standing


class Wrapper:
    """What some middleware is: not Flask, and hiding it."""

    def __init__(self, app: Any):
        self._hidden = app.wsgi_app

    def __call__(self, environ: Any, start_response: Any) -> Any:
        environ["wrapped"] = True

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("X-Wrapped", "yes")], *rest)

        return self._hidden(environ, start)


class WrappingPlugin(plugins.SingletonPlugin):
    plugins.implements(plugins.IMiddleware, inherit=True)

    def make_middleware(self, app: Any, config: Any) -> Any:
        return Wrapper(app)


@pytest.fixture
def wrapped(provide_plugin, ckan_config, monkeypatch) -> Iterator[Portal]:
    """A portal around which another plugin has put something before ours had its turn."""
    provide_plugin("wrapping", WrappingPlugin)
    monkeypatch.setitem(ckan_config, "ckan.plugins", ["wrapping", *ckan_config["ckan.plugins"]])
    with standing() as portal:
        portal.app.flask_app.wsgi_app = portal.app.app  # which CKAN's test client leaves out
        yield portal


def test_a_plugin_that_wraps_ckan_is_no_obstacle(wrapped):
    assert "X-Wrapped" in wrapped.get("/about").headers
    editor, dataset = editor_and_dataset()
    resource = wrapped.publish(editor, dataset, b"a,b\n")
    shown = wrapped.get(resource["url"])
    assert shown.data == b"a,b\n"
    assert "sandbox" in shown.headers["Content-Security-Policy"]


@pytest.mark.ckan_config("ckan.cors.origin_allow_all", True)
@pytest.mark.ckan_config("ckanext.external_storage.cors_origins", ["https://maps.example.org"])
def test_ckans_own_cors_says_nothing_here(portal):
    headers = {"Origin": "https://evil.example.org"}
    core = portal.get("/api/3/action/status_show", headers=headers)
    assert core.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Origin" not in portal.get("/lfs/health", headers=headers).headers
    good = portal.get("/lfs/health", headers={"Origin": "https://maps.example.org"})
    assert good.headers["Access-Control-Allow-Origin"] == "https://maps.example.org"
    assert good.json == {"healthy": True, "database": "ok", "store": "ok", "secret": "ok"}


@pytest.fixture
def below_a_path(ckan_config, monkeypatch) -> Iterator[Portal]:
    """A portal that is served below a path, with the language after it."""
    monkeypatch.setitem(ckan_config, "ckan.root_path", "/data/{{LANG}}")
    with standing() as portal:
        yield portal


def test_addresses_are_those_of_the_configuration(below_a_path):
    portal = below_a_path
    editor, dataset = editor_and_dataset()
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", {"oid": "0" * 64, "size": 1})
    for action in answer["actions"].values():
        assert action["href"].startswith("http://test.ckan.net/data/lfs/")
        assert path(action["href"]).startswith("/data/lfs/")
