"""Who else needs stored files: the plugins that say so."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from ckan import plugins

from ckanext.external_storage import errors
from ckanext.external_storage.interfaces import IObjectReferences

#: Plugins of this distribution that keep references in a table, under all their names. The table stays when
#: the plugin is switched off, and nobody answers for it then.
_KEEPERS = {"versioning_resource_state": ("versioning", "package_versioning")}


def of_plugins(engine: sa.Engine) -> list[sa.Select[Any]]:
    """What the loaded plugins need, for `transfer.garbage`.

    Raises ReferencesUnknown if one that has references is not loaded.
    """
    with engine.connect() as connection:
        for table, names in _KEEPERS.items():
            if any(plugins.plugin_loaded(name) for name in names):
                continue
            if connection.execute(sa.select(sa.func.to_regclass(table))).scalar():
                raise errors.ReferencesUnknown(
                    f"The plugin {names[0]} is switched off, and its history may need files. Switch it on;"
                    f" or, to give it up for good, remove its tables: ckan db downgrade -p {names[0]}."
                )
    return [
        reference
        for plugin in plugins.PluginImplementations(IObjectReferences)
        for reference in plugin.object_references()
    ]
