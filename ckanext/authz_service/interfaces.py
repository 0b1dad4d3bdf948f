"""The door through which plugins, ours included, bring the permissions behind scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from ckan import plugins

if TYPE_CHECKING:
    from ckanext.authz_service.authorizer import Authzzie


class IAuthorizationBindings(plugins.Interface):
    """Answer for a type of entity in scopes, or override who answers.

    A plugin that brings a type of its own sets ``authz_bindings_are_defaults = True``: its bindings are
    registered before those of plugins that do not, so that these can override them wherever they stand in
    ``ckan.plugins``.
    """

    authz_bindings_are_defaults: ClassVar[bool] = False

    def register_authz_bindings(self, authorizer: Authzzie) -> None:
        """Call the ``register_…`` methods of ``authorizer``. It is called again when plugins are loaded or
        unloaded, and must do nothing else.

        What an authorizer grants must come from CKAN's auth functions: ``permissions.allowed`` asks them.
        """
