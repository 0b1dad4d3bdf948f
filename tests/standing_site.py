"""One application that stands for all tests which change nothing in how the site is set up.

To load the plugins and to make an application takes half a second, hundreds of times. Here a test that asks
for CKAN's fixtures ``app`` and ``with_plugins`` finds what an earlier one of the same process left: the same
plugins, the same configuration, and a client of its own. A test that has another configuration or other
plugins, or that makes applications itself, gets what CKAN's fixtures give.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ckan import plugins
from ckan.common import config
from ckan.config import middleware
from ckan.plugins import core as plugins_core
from ckan.tests import helpers

#: With one of these a test decides itself what the site is.
_OWN = {"make_app", "provide_plugin"}
_MARKERS = ("ckan_config", "with_plugins")


@dataclass
class _Site:
    """``before``, ``after``: the configuration without and with the plugins.

    ``generation``: how often plugins had been loaded or unloaded when it was made.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    generation: int
    app: Any
    request_context: Any


_site: _Site | None = None
_generation = 0
_plugins_update = plugins_core.plugins_update


def _count_update() -> None:
    global _generation
    _generation += 1
    _plugins_update()


plugins_core.plugins_update = _count_update


def _stands() -> bool:
    """Has nobody loaded or unloaded a plugin since?"""
    return _site is not None and _site.generation == _generation


def _stand() -> bool:
    """Put the site's configuration in place; False if the test has changed it before."""
    global _site
    if _site is not None and _stands() and dict(config) in (_site.before, _site.after):
        config.clear()
        config.update(_site.after)
        middleware._internal_test_request_context = _site.request_context
        return True
    if _site is not None and dict(config) != _site.before:
        return False
    before = dict(config)
    app = helpers._get_test_app()
    _site = _Site(
        before,
        dict(config),
        _generation,
        app,
        middleware._internal_test_request_context,
    )
    return True


def _leave() -> None:
    global _site
    if _stands():
        plugins.unload_all()
    _site = None


def _is_ordinary(request: pytest.FixtureRequest) -> bool:
    names = set(request.node.fixturenames)
    return not names & _OWN and not any(request.node.get_closest_marker(name) for name in _MARKERS)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test without CKAN's fixtures runs without plugins, as it would alone."""
    if not {"app", "with_plugins"} & set(getattr(item, "fixturenames", ())) and _stands():
        plugins.unload_all()


@pytest.fixture
def with_plugins(request: pytest.FixtureRequest, ckan_config: Any) -> Iterator[None]:
    if _is_ordinary(request) and _stand():
        yield
    else:
        _leave()
        request.getfixturevalue("with_plugins")
        yield


@pytest.fixture
def app(request: pytest.FixtureRequest, ckan_config: Any) -> Any:
    if _is_ordinary(request) and _stand():
        assert _site is not None
        return type(_site.app)(_site.app.app)
    _leave()
    return request.getfixturevalue("app")
