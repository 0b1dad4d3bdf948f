"""Wiring only: which part of the plugin answers which of CKAN's hooks."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import ckantoolkit as tk
from ckan import plugins
from ckan.exceptions import CkanConfigurationException

from ckanext.authz_service.translated import Translated
from ckanext.external_storage.interfaces import IObjectHolders, IObjectReferences
from ckanext.versioning import NAMES, access, activities, actor, messages, recording, references, revisions
from ckanext.versioning import config as options


@tk.blanket.actions
@tk.blanket.auth_functions
@tk.blanket.blueprints
@tk.blanket.cli
@tk.blanket.config_declarations
@tk.blanket.helpers
class VersioningPlugin(plugins.SingletonPlugin, Translated):
    plugins.implements(plugins.IConfigurable)
    plugins.implements(plugins.IConfigurer)
    plugins.implements(plugins.ITranslation)
    plugins.implements(plugins.IPackageController, inherit=True)
    plugins.implements(IObjectHolders)
    plugins.implements(IObjectReferences)

    def update_config(self, config: Any) -> None:
        if set(NAMES) <= set(tk.aslist(config["ckan.plugins"])):
            raise CkanConfigurationException(
                f"ckan.plugins has {' and '.join(NAMES)}, two names of the same plugin. Remove {NAMES[1]}."
            )
        tk.add_template_directory(config, "templates")
        tk.add_resource("assets", "versioning")

    def configure(self, config: Any) -> None:
        options.readers_see_unreleased()  # a wrong value is refused now, not when somebody reads
        recording.start()
        activities.start()

    def object_holders(
        self, context: Any, package_id: str, oids: Collection[str]
    ) -> Iterable[tuple[str, str]]:
        return revisions.holders(package_id, access.viewer(context, package_id), oids)

    def object_references(self) -> Iterable[Any]:
        return references.selects()

    def after_dataset_create(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)

    def after_dataset_update(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)
        messages.check_change(pkg_dict["id"])

    def after_dataset_delete(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        actor.note(context)
