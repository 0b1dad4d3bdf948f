"""One application that stands for all tests that want the same site.

To load the plugins and to make an application takes half a second, more than a thousand times. Here a test
that asks for CKAN's fixtures ``app`` and ``with_plugins`` finds what the one before it in the same process
left, if it has the same configuration: the same plugins, and a client of its own. A fixture that changes the
configuration is therefore named before ``with_plugins``. A test that makes applications itself gets what
CKAN's fixtures give.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from ckan import plugins
from ckan.common import config
from ckan.config import middleware
from ckan.lib.app_globals import _CONFIG_CACHE
from ckan.plugins import core as plugins_core
from ckan.tests import helpers

#: With this a test decides itself what the site is.
_OWN = "make_app"

_offered: dict[str, type] = {}
"""Plugins that the test has, as if they were installed."""


@dataclass
class _Site:
    """``before``, ``after``: the configuration without and with the plugins.

    ``offered``: the plugins that the test had beside the installed ones.
    ``generation``: how often plugins had been loaded or unloaded when it was made.
    """

    before: dict[str, Any]
    after: dict[str, Any]
    offered: dict[str, type]
    generation: int
    app: Any
    request_context: Any


_site: _Site | None = None
_generation = 0
_plugins_update = plugins_core.plugins_update
_installed = plugins_core._get_service


def _count_update() -> None:
    global _generation
    _generation += 1
    _plugins_update()


def _service(name: str) -> Any:
    kept = _site.offered if _site else {}  # which are asked for once more when they are unloaded
    offered = _offered.get(name) or kept.get(name)
    return offered(name=name) if offered else _installed(name)


plugins_core.plugins_update = _count_update
plugins_core._get_service = _service


def _stands() -> bool:
    """Has nobody loaded or unloaded a plugin since?"""
    return _site is not None and _site.generation == _generation


def _stand() -> _Site:
    """The site of the configuration that the test has made, which is in place then."""
    global _site
    wanted = _site is not None and _site.offered == _offered and dict(config) in (_site.before, _site.after)
    if _site is not None and wanted and _stands():
        config.clear()
        config.update(_site.after)
        middleware._internal_test_request_context = _site.request_context
        return _site
    _CONFIG_CACHE.clear()  # as CKAN's own fixture does
    before = dict(config)
    app = helpers._get_test_app()
    _site = _Site(
        before, dict(config), dict(_offered), _generation, app, middleware._internal_test_request_context
    )
    return _site


def _leave() -> None:
    if _stands():
        plugins.unload_all()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test without CKAN's fixtures runs without plugins, as it would alone."""
    if not {"app", "with_plugins"} & set(getattr(item, "fixturenames", ())):
        _leave()


@pytest.fixture
def provide_plugin() -> Iterator[Callable[[str, type], None]]:
    """Offer a class as a plugin of this name, as if it were installed. (CKAN has this from 2.12 on.)"""
    yield _offered.__setitem__
    _offered.clear()


@pytest.fixture
def with_plugins(request: pytest.FixtureRequest, ckan_config: Any) -> None:
    if _OWN in request.node.fixturenames:
        _leave()
        request.getfixturevalue("with_plugins")
    else:
        _stand()


@pytest.fixture
def app(request: pytest.FixtureRequest, ckan_config: Any) -> Any:
    if _OWN in request.node.fixturenames:
        _leave()
        return request.getfixturevalue("app")
    made = _stand().app
    return type(made)(made.app)
