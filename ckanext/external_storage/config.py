"""What the plugin is set up with: its options, read here and nowhere else, and CKAN's database.

Reading them touches no store and no network.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model
from ckan.exceptions import CkanConfigurationException

from ckanext.external_storage import errors, sizes
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.storage.local import LocalStore


def store() -> ObjectStore:
    """Where bytes go. Raises StoreNotConfigured."""
    path = _path("ckanext.external_storage.local.path")
    if path is None:
        raise errors.StoreNotConfigured
    return LocalStore(path)


def quota() -> int | None:
    """Bytes that an organisation may keep unless it has a quota of its own; None: as many as there are.

    Raises CkanConfigurationException for a wrong value.
    """
    value = str(tk.config.get("ckanext.external_storage.quota") or "").strip()
    try:
        return sizes.parse(value) if value else None
    except ValueError as error:
        raise CkanConfigurationException(f"ckanext.external_storage.quota: {error}") from None


def gc_grace() -> timedelta:
    """How long a file that nothing refers to is kept."""
    days = int(tk.config["ckanext.external_storage.gc_grace"])
    if days < 1:
        raise CkanConfigurationException("ckanext.external_storage.gc_grace: 1 day is the least.")
    return timedelta(days=days)


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
