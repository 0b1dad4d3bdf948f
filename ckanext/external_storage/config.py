"""What the plugin is set up with: its options, read here and nowhere else, and the site's database.

Reading them touches no store and no network.
"""

from __future__ import annotations

import functools
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from ckanext.authz_service import giftless_key
from ckanext.authz_service.config import redis_url as redis_url
from ckanext.authz_service.errors import KeysError
from ckanext.authz_service.process import engine as engine
from ckanext.authz_service.process import options
from ckanext.external_storage import download, errors, sizes
from ckanext.external_storage.client import LfsServer
from ckanext.external_storage.lfs import capability
from ckanext.external_storage.storage import registry
from ckanext.external_storage.storage.base import ObjectStore
from ckanext.external_storage.storage.lfs_server import LfsServerStore
from ckanext.external_storage.transfer.beginning import Limits


def store() -> ObjectStore:
    """Where bytes go. Raises StoreNotConfigured."""
    if server := storage_service_url():
        timeout = options()["ckanext.external_storage.storage_service_timeout"]
        return _server_store(server, namespace(), timeout)
    return registry.from_options(options())


def quota() -> int | None:
    """Bytes that an organisation may keep unless it has a quota of its own; None: as many as there are.

    Raises ValueError.
    """
    return _size("ckanext.external_storage.quota")


def gc_grace() -> timedelta:
    """How long a file that nothing refers to is kept. Raises ValueError."""
    days = options()["ckanext.external_storage.gc_grace"]
    if days < 1:
        raise ValueError("ckanext.external_storage.gc_grace: 1 day is the least.")
    return timedelta(days=days)


def inline_types() -> frozenset[str]:
    """Media types of files that a page may ask to be shown instead of saved.

    Raises ValueError for one that a browser would run.
    """
    types = frozenset(options()["ckanext.external_storage.inline_types"])
    if dangerous := sorted(filter(download.is_active, types)):
        raise ValueError(
            f"ckanext.external_storage.inline_types has {', '.join(dangerous)}, which browsers run or read as"
            " pages: uploaded files could act in the name of whoever looks at them. Remove these."
        )
    return types


def handed_to_web_server(key: str) -> dict[str, str] | None:
    """The header by which the web server in front of CKAN is asked to send the file itself; None: we do."""
    how = options()["ckanext.external_storage.local.sendfile"]
    path = _path("ckanext.external_storage.local.path")
    if how == "none" or path is None:
        return None
    if how == "x-sendfile":
        return {"X-Sendfile": str(path / key)}
    prefix = options()["ckanext.external_storage.local.sendfile_prefix"].rstrip("/")
    return {"X-Accel-Redirect": f"{prefix}/{key}"}


def storage_service_url() -> str | None:
    """The LFS server that has the site's files instead of a store of ours, without a slash at its end.

    Older documentation prints it in quotes.
    """
    given = options()["ckanext.external_storage.storage_service_url"] or ""
    return given.strip(" '\"").rstrip("/") or None


def verify_external() -> bool:
    """Whether what clients bring to that server is hashed before a dataset has it."""
    return options()["ckanext.external_storage.verify_external"]


def hash_first_max() -> int | None:
    """Bytes of the largest file that a browser sends to that server; None for any, and where there is none.

    Raises ValueError.
    """
    return _size("ckanext.external_storage.hash_first_max") if storage_service_url() else None


def check_storage_service_url() -> None:
    """Raises ValueError for a wrong value. Nothing is asked but the option."""
    url = storage_service_url()
    if url is None:
        return
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
        raise ValueError(
            "ckanext.external_storage.storage_service_url must be an address like https://lfs.example.org,"
            " without a user, a password or a question mark."
        )


@functools.lru_cache(maxsize=4)  # one, but for tests: it remembers whether the server answers
def _server_store(url: str, namespace: str, timeout: int) -> LfsServerStore:
    def token(package_id: str, oid: str, action: Literal["read", "write"]) -> str:
        try:
            return giftless_key.own_token(namespace, package_id, oid, action)
        except KeysError as error:
            raise errors.ServerKeyMissing(str(error)) from None

    return LfsServerStore(LfsServer(url, timeout), namespace, token)


def capability_secret_file() -> Path | None:
    """Where ``keygen`` writes the secret; None if not set."""
    return _path("ckanext.external_storage.capability_secret_file")


def capability_secret() -> bytes:
    """Raises SecretMissing, SecretUnreadable."""
    return capability.load(capability_secret_file())


def namespace() -> str:
    """What stands for any organisation in LFS addresses and ``obj:`` scopes."""
    return options()["ckanext.external_storage.storage_namespace"]


def upload_limits() -> Limits:
    """What one file may be, and one user's unfinished uploads come to.

    Raises ValueError.
    """
    unfinished = options()["ckanext.external_storage.max_unfinished_uploads"]
    refused = options()["ckanext.external_storage.refused_types"]
    return Limits(
        _size("ckanext.external_storage.max_upload_size"),
        int(unfinished) or None,
        frozenset(ending.lower().lstrip("*.") for ending in refused),
    )


def job_queue() -> str:
    """What CKAN's queue ``default`` of this site is called in Redis."""
    return f"ckan:{options()['ckan.site_id']}:default"


def job_timeout() -> int:
    """Seconds that CKAN gives a background job."""
    return int(options()["ckan.jobs.timeout"])


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


def anonymous_download() -> bool:
    """May public files be downloaded with Git LFS without an account?"""
    return options()["ckanext.external_storage.anonymous_download"]


def _size(option: str) -> int | None:
    value = str(options().get(option) or "").strip()
    try:
        return sizes.parse(value) if value else None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None


def _path(option: str) -> Path | None:
    value = options().get(option)
    return Path(value) if value else None
