"""Which stores there are. A new one is a module with ``from_options`` and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import ObjectStore

OPTION = "ckanext.external_storage.store"
#: Name → module. Imported when chosen: its packages may not be there on a site that uses another.
STORES = {
    "local": "ckanext.external_storage.storage.local",
    "s3": "ckanext.external_storage.storage.s3",
}
#: What `pip` calls the packages that a store needs.
EXTRAS = {"s3": "ckanext-publish[s3]"}


def from_options(options: Mapping[str, Any]) -> ObjectStore:
    """The store that a site's options choose. Touches no file and no network.

    Raises StoreNotConfigured.
    """
    name = options.get(OPTION) or "local"
    if name not in STORES:
        raise errors.StoreNotConfigured(f"Set {OPTION} to one of: {', '.join(STORES)}.")
    try:
        module = import_module(STORES[name])
    except ModuleNotFoundError as error:
        if name not in EXTRAS:
            raise
        raise errors.StoreNotConfigured(
            f"{OPTION} = {name} needs a package that is not installed ({error.name}). Install {EXTRAS[name]}."
        ) from error
    return module.from_options(options)
