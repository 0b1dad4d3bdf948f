"""Files that a revert brought back go to the site's data loaders, as new files do.

Core tells loaders of new addresses, but a file that comes back may have the address of the one before.
"""

from __future__ import annotations

import logging
from typing import Any

import ckantoolkit as tk
from ckan import model, plugins

log = logging.getLogger(__name__)

#: Plugin → its action, and the option with the formats that it loads.
_LOADERS = {
    "datapusher": ("datapusher_submit", "ckan.datapusher.formats"),
    "xloader": ("xloader_submit", "ckanext.xloader.formats"),
}


def submit(context: Any, resources: list[dict[str, Any]]) -> None:
    """Hand *resources*, as shown, to the loaders that the site has. A failure is logged and hurts nothing."""
    for plugin, (action, option) in _LOADERS.items():
        if not plugins.plugin_loaded(plugin):
            continue
        formats = {name.lower() for name in tk.aslist(tk.config.get(option) or [])}
        for resource in resources:
            # Others (datastore, tabledesigner) have their tables from elsewhere.
            loadable = not resource.get("url_type") or resource["url_type"] == "upload"
            if not loadable or (formats and (resource.get("format") or "").lower() not in formats):
                continue
            try:
                wanted = {"resource_id": resource["id"]}
                tk.get_action(action)(tk.fresh_context(context, ignore_auth=True), wanted)
            except Exception:
                model.Session.rollback()
                log.exception(
                    "The file of resource %s was reverted, but %s failed: the datastore may still have the "
                    "data of the file before. Submit the resource again.",
                    resource["id"],
                    action,
                )
