"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import plugins

from ckanext.authz_service import deactivation
from ckanext.authz_service.authorizer import Authzzie
from ckanext.authz_service.bindings import dataset, organization, resource
from ckanext.authz_service.interfaces import IAuthorizationBindings
from ckanext.authz_service.translated import Translated


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.blueprints
@tk.blanket.cli
@tk.blanket.config_declarations
class AuthzServicePlugin(plugins.SingletonPlugin, Translated):
    plugins.implements(plugins.IConfigurable)
    plugins.implements(plugins.IConfigurer)
    plugins.implements(plugins.ITranslation)
    plugins.implements(IAuthorizationBindings)

    authz_bindings_are_defaults = True

    def update_config(self, config: Any) -> None:
        tk.add_template_directory(config, "templates")

    def configure(self, config: Any) -> None:
        deactivation.watch()

    def register_authz_bindings(self, authorizer: Authzzie) -> None:
        for binding in (organization, dataset, resource):
            binding.register(authorizer)
