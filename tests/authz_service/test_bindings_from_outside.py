"""A stranger's plugin uses `IAuthorizationBindings`: it adds a type of its own and overrides ours."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan import plugins
from ckan.tests import factories

from ckanext.authz_service import registry, verifying
from ckanext.authz_service.authzzie import Authzzie as OlderAuthzzie
from ckanext.authz_service.authzzie import Scope as OlderScope
from ckanext.authz_service.errors import BindingError
from ckanext.authz_service.interfaces import IAuthorizationBindings
from tests.authz_service.site import ask, granted


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
    for older in (Older, Wider, File):
        provide_plugin(older.__name__, older)


pytestmark = pytest.mark.usefixtures("strangers", "with_key", "with_plugins")

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


class Older(plugins.SingletonPlugin):
    """Written for ckanext-authz-service: its imports, its names, answers as sets, a normalizer."""

    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        assert isinstance(authorizer, OlderAuthzzie)
        authorizer.register_type_alias("dataset", "ds")
        authorizer.register_entity_ref_parser("story", lambda ref: {"id": ref})
        authorizer.register_authorizer(
            "story", self.tell, actions={"tell", "end", None}, subscopes=(None, "end")
        )
        authorizer.register_scope_normalizer("story", self.shorten)

    def tell(self, id, context):
        return {"tell", "end"}

    def shorten(self, requested, granted):
        return OlderScope("story", granted.entity_id, granted.actions - {"end"} or granted.actions)


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(names, marks=pytest.mark.ckan_config("ckan.plugins", names), id=names)
        for names in ("Older authz_service", "authz_service Older")
    ],
)
def test_a_plugin_written_for_the_older_extension(order):
    name = factories.Dataset()["name"]
    assert granted(None, f"dataset:{name}", "story:x", "story:x:end", "story:x:end:*") == [
        f"dataset:{name}:read",
        "story:x:tell",
        "story:x:end",
        "story:x:end:end,tell",
    ]


class Wider(plugins.SingletonPlugin):
    """Its normalizer writes what older consumers read as "everything"."""

    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        authorizer.register_scope_normalizer("ds", lambda requested, granted: OlderScope("ds"))


@pytest.mark.ckan_config("ckan.plugins", "authz_service Wider")
def test_a_normalizer_that_widens_gets_no_token():
    name = factories.Dataset()["name"]
    with pytest.raises(BindingError):
        granted(factories.Sysadmin()["name"], f"ds:{name}:read")


class File(plugins.SingletonPlugin):
    """An alias must not lead a token for the LFS server to another audience."""

    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        authorizer.register_type_alias("file", "obj")


@pytest.mark.ckan_config("ckan.plugins", "File authz_service external_storage")
def test_an_alias_has_the_audience_of_its_type():
    scope = f"file:ckan/{factories.Dataset()['name']}/*:read"
    assert verifying.lfs_token(ask(None, scope)["token"])
    with pytest.raises(tk.ValidationError, match="token of their own"):
        ask(None, scope, "ds:x:read")


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
