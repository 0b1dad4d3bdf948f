"""The `Authzzie` of this site: what all loaded plugins have registered."""

from __future__ import annotations

from ckan import plugins

from ckanext.authz_service.authorizer import Authzzie
from ckanext.authz_service.interfaces import IAuthorizationBindings

_built: tuple[tuple[IAuthorizationBindings, ...], Authzzie] | None = None


def authorizer() -> Authzzie:
    """The registry, built anew whenever other plugins are loaded or their order changes."""
    global _built
    # Sorting is stable: defaults first, and within both groups the order of ckan.plugins. Plugins that
    # implement the interface without inheriting from it do not have the attribute.
    implementations = tuple(
        sorted(
            plugins.PluginImplementations(IAuthorizationBindings),
            key=lambda plugin: not getattr(plugin, "authz_bindings_are_defaults", False),
        )
    )
    if _built is None or _built[0] != implementations:
        found = Authzzie()
        for plugin in implementations:
            plugin.register_authz_bindings(found)
        _built = (implementations, found)
    return _built[1]
