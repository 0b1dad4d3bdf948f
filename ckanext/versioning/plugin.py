"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import plugins
from ckan.exceptions import CkanConfigurationException

from ckanext.versioning import NAMES, actor, recording


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.blueprints
@tk.blanket.cli
@tk.blanket.helpers
class VersioningPlugin(plugins.SingletonPlugin):
    plugins.implements(plugins.IConfigurable)
    plugins.implements(plugins.IConfigurer)
    plugins.implements(plugins.IPackageController, inherit=True)

    def update_config(self, config: Any) -> None:
        if set(NAMES) <= set(tk.aslist(config["ckan.plugins"])):
            raise CkanConfigurationException(
                f"ckan.plugins has {' and '.join(NAMES)}, two names of the same plugin. Remove {NAMES[1]}."
            )
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
