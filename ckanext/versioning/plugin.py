"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import plugins

from ckanext.versioning import actor, recording


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.blueprints
class VersioningPlugin(plugins.SingletonPlugin):
    plugins.implements(plugins.IConfigurable)
    plugins.implements(plugins.IConfigurer)
    plugins.implements(plugins.IPackageController, inherit=True)

    def update_config(self, config: Any) -> None:
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "versioning")

    def configure(self, config: Any) -> None:
        recording.start()

    def after_dataset_create(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)

    def after_dataset_update(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)

    def after_dataset_delete(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)
