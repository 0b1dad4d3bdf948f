"""A stranger's plugin uses `IAuthorizationBindings`: it adds a type of its own and overrides ours."""

from __future__ import annotations

import pytest
from ckan import plugins
from ckan.tests import factories

from ckanext.authz_service import registry
from ckanext.authz_service.interfaces import IAuthorizationBindings
from tests.authz_service.site import granted


class Stranger(plugins.SingletonPlugin):
    """Written as its author would write it: without inheriting from the interface."""

    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        authorizer.register_entity_ref_parser("table", lambda ref: {"table": ref})
        authorizer.register_authorizer("table", self.tables, actions=["select", "drop"])
        authorizer.register_action_alias("query", "select", "table")
        # Its site does not let tokens update anything, and has an action of its own for datasets.
        authorizer.register_authorizer("ds", self.nothing, actions=["update"])
        authorizer.register_authorizer("ds", self.cite, actions=["cite"], append=True)

    def tables(self, table, context):
        return ["select"] if table == "public" else []

    def nothing(self, id, organization_id, context):
        return []

    def cite(self, id, organization_id, context):
        return ["cite", "purge"]  # it may speak of citing only


class Modern(plugins.SingletonPlugin, IAuthorizationBindings):
    """The same interface by inheritance, as CKAN recommends since 2.11."""

    authz_bindings_are_defaults = True

    def register_authz_bindings(self, authorizer):
        authorizer.register_authorizer("table", lambda **ref: ["select", "drop"], actions=["select", "drop"])


@pytest.fixture
def strangers(provide_plugin):
    """Makes both known to CKAN, as if they were installed. Whether they are loaded, ckan.plugins says."""
    provide_plugin("Stranger", Stranger)
    provide_plugin("Modern", Modern)


pytestmark = pytest.mark.usefixtures("strangers", "with_plugins", "with_key")

orders = pytest.mark.parametrize(
    "order",
    [
        pytest.param(names, marks=pytest.mark.ckan_config("ckan.plugins", names), id=names)
        for names in ("Stranger authz_service", "authz_service Stranger")
    ],
)


@orders
def test_adding_and_overriding_in_both_orders(order):
    assert [plugin.name for plugin in plugins.PluginImplementations(IAuthorizationBindings)] == order.split()
    user = factories.User()
    name = factories.Dataset(user=user)["name"]
    assert granted(user["name"], f"ds:{name}") == [f"ds:{name}:cite,delete,patch,read"]
    assert granted(user["name"], f"ds:{name}:update") == []
    assert granted(None, "table:public") == ["table:public:query,select"]
    assert granted(None, "table:public:query", "table:secret:query") == ["table:public:query"]


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(names, marks=pytest.mark.ckan_config("ckan.plugins", names), id=names)
        for names in ("Stranger Modern authz_service", "Modern authz_service Stranger")
    ],
)
def test_a_stranger_can_bring_defaults_that_others_override(order):
    assert granted(None, "table:secret:drop") == []
    assert granted(None, "table:public:drop,select") == ["table:public:select"]


@pytest.mark.ckan_config("ckan.plugins", "authz_service")
def test_the_registry_is_built_once_and_anew_for_other_plugins():
    first = registry.authorizer()
    assert registry.authorizer() is first
    assert first.entity_types == ("ds", "org", "res")
    plugins.load("Stranger")
    try:
        assert registry.authorizer().entity_types == ("ds", "org", "res", "table")
    finally:
        plugins.unload("Stranger")
    assert registry.authorizer().entity_types == ("ds", "org", "res")
