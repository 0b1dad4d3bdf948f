"""What the plugin is set up with: its options, read here and nowhere else, and CKAN's database.

Reading them touches no store and no network.
"""

from __future__ import annotations

from pathlib import Path

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.storage.local import LocalStore


def store() -> ObjectStore:
    """Where bytes go. Raises StoreNotConfigured."""
    path = _path("ckanext.external_storage.local.path")
    if path is None:
        raise errors.StoreNotConfigured
    return LocalStore(path)


def capability_secret_file() -> Path | None:
    """Where ``keygen`` writes the secret; None if not set."""
    return _path("ckanext.external_storage.capability_secret_file")


def capability_secret() -> bytes:
    """Raises SecretMissing."""
    return capability.load(capability_secret_file())


def namespace() -> str:
    """What stands for any organisation in LFS addresses and ``obj:`` scopes."""
    return tk.config["ckanext.external_storage.storage_namespace"]


def lfs_url() -> str:
    """Public base URL of the LFS server."""
    return tk.config["ckan.site_url"].rstrip("/") + "/lfs"


def engine() -> sa.Engine:
    """CKAN's database; connections of it are independent of CKAN's session."""
    if model.meta.engine is None:
        raise RuntimeError("CKAN's model has not been initialised.")
    return model.meta.engine


def _path(option: str) -> Path | None:
    value = tk.config.get(option)
    return Path(value) if value else None
