"""Every action of ours, for each role, on a dataset in each state, from the table in tests/matrix.py."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import ckan.logic.action
import pytest
from ckan import plugins

from tests.matrix import ROLES, STATES, TABLE, Row, Site, make_site

PLUGINS = ("authz_service", "external_storage", "versioning")
CORE = {
    name
    for module in ("create", "delete", "get", "patch", "update")
    for name in vars(import_module(f"{ckan.logic.action.__name__}.{module}"))
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Made once, with the plugins loaded once: no row changes what the others see."""
    plugins.load_all()
    yield make_site()
    plugins.unload_all()


def our_actions() -> set[str]:
    modules = [f"ckanext.{plugin}.logic.action" for plugin in PLUGINS]
    return {name for m in modules if find_spec(m) for name in import_module(m).__all__} - CORE


def test_every_action_of_ours_is_in_the_table():
    assert our_actions(), "there is something to find"
    assert our_actions() - {row.action for row in TABLE} == set()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: f"{row.action} {row.case}".strip())
def test_who_is_answered_and_how_the_others_are_refused(site: Site, row: Row, state: str):
    assert {role: site.call(row, role, state) for role in ROLES} == row.expected(state)
