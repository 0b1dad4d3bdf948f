"""Every action of ours, for each role, on a dataset in each state, from the table in tests/matrix.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import ckan.logic.action
import pytest
from ckan.tests import helpers

from tests.matrix import ROLES, TABLE, WRITERS, Row, Site, make_site
from tests.portal import standing

PLUGINS = ("authz_service", "external_storage", "versioning")
CORE = {
    name
    for module in ("create", "delete", "get", "patch", "update")
    for name in vars(import_module(f"{ckan.logic.action.__name__}.{module}"))
}


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """Made once, with the plugins loaded once: no row changes what the others see."""
    with standing() as portal:
        yield make_site(portal)


def our_actions() -> set[str]:
    modules = [f"ckanext.{plugin}.logic.action" for plugin in PLUGINS]
    return {name for m in modules if find_spec(m) for name in import_module(m).__all__} - CORE


def test_every_action_of_ours_is_in_the_table():
    assert our_actions(), "there is something to find"
    assert our_actions() - {row.action for row in TABLE} == set()


def name(row: Row) -> str:
    return f"{row.action} {row.case}".strip()


@pytest.mark.parametrize(
    ("row", "state"),
    [pytest.param(row, state, id=f"{name(row)}-{state}") for row in TABLE for state in row.whom],
)
def test_who_is_answered_and_how_the_others_are_refused(site: Site, row: Row, state: str):
    assert {role: site.call(row, role, state) for role in ROLES} == row.expected(state)


@pytest.mark.parametrize("row", [row for row in TABLE if row.of_the_past], ids=name)
def test_unreleased_history_for_editors_only(site: Site, row: Row):
    row = replace(row, whom={"moved": WRITERS})
    with helpers.changed_config("ckanext.versioning.unreleased_history", "editors"):
        assert {role: site.call(row, role, "moved") for role in ROLES} == row.expected("moved")
