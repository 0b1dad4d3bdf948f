"""What the plugin is set up with: its options, read here and nowhere else, and the site's database.

Reading them touches no store and no network.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ckanext.authz_service.process import engine as engine
from ckanext.authz_service.process import options
from ckanext.external_storage import sizes
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.storage import registry
from ckanext.external_storage.storage.base import ObjectStore


def store() -> ObjectStore:
    """Where bytes go. Raises StoreNotConfigured."""
    return registry.from_options(options())


def quota() -> int | None:
    """Bytes that an organisation may keep unless it has a quota of its own; None: as many as there are.

    Raises ValueError.
    """
    value = str(options().get("ckanext.external_storage.quota") or "").strip()
    try:
        return sizes.parse(value) if value else None
    except ValueError as error:
        raise ValueError(f"ckanext.external_storage.quota: {error}") from None


def gc_grace() -> timedelta:
    """How long a file that nothing refers to is kept. Raises ValueError."""
    days = options()["ckanext.external_storage.gc_grace"]
    if days < 1:
        raise ValueError("ckanext.external_storage.gc_grace: 1 day is the least.")
    return timedelta(days=days)


def capability_secret_file() -> Path | None:
    """Where ``keygen`` writes the secret; None if not set."""
    return _path("ckanext.external_storage.capability_secret_file")


def capability_secret() -> bytes:
    """Raises SecretMissing."""
    return capability.load(capability_secret_file())


def namespace() -> str:
    """What stands for any organisation in LFS addresses and ``obj:`` scopes."""
    return options()["ckanext.external_storage.storage_namespace"]


def lfs_url() -> str:
    """Public base URL of the LFS server, without a slash at its end."""
    address = options().get("ckanext.external_storage.lfs_url")
    return address.rstrip("/") if address else f"{site_address()}/lfs"


def site_address() -> str:
    """Where CKAN is for those outside: its URL with the path that it is mounted at, in no language."""
    root = (options().get("ckan.root_path") or "").replace("/{{LANG}}", "").replace("{{LANG}}", "")
    return options()["ckan.site_url"].rstrip("/") + root.rstrip("/")


def proxy_hops() -> int:
    """How many proxies before a standalone LFS server are trusted to say how it was called."""
    return options()["ckanext.external_storage.proxy_hops"]


def cors_origins() -> frozenset[str]:
    """Origins whose pages may use the LFS server; ``*`` among them: all."""
    return frozenset(origin.rstrip("/") for origin in options()["ckanext.external_storage.cors_origins"])


def metrics_token_file() -> Path | None:
    """Where the secret is that opens the metrics; None: they are for this machine itself."""
    return _path("ckanext.external_storage.metrics_token_file")


def _path(option: str) -> Path | None:
    value = options().get(option)
    return Path(value) if value else None
