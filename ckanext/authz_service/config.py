"""The plugin's options and what follows from them, read here and nowhere else, and CKAN's database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.authz_service import keys
from ckanext.authz_service.errors import MissingKey

LFS_ENTITY_TYPE = "obj"
"""The type of entity whose tokens are for the site's own LFS server and for nobody else."""


def keys_dir() -> Path | None:
    """Where the keys are; None if not set."""
    value = tk.config.get("ckanext.authz_service.keys_dir")
    return Path(value) if value else None


def signing_key() -> keys.SigningKey:
    """The key that signs. Raises MissingKey, UnusableKey."""
    return keys.load(_required_keys_dir())


def public_key() -> keys.VerificationKey:
    """The public half of the key that signs. Raises MissingKey, UnusableKey."""
    return keys.load_public(_required_keys_dir())


def verification_keys() -> dict[str, keys.VerificationKey]:
    """The keys whose tokens are accepted, by ``kid``; none before ``keygen``. Raises UnusableKey."""
    try:
        return keys.verification_keys(_required_keys_dir())
    except MissingKey:
        return {}


def max_lifetime() -> int:
    """How long a token may live, in seconds."""
    return tk.config["ckanext.authz_service.jwt_max_lifetime"]


def issuer() -> str:
    """The claim ``iss``."""
    return tk.config.get("ckanext.authz_service.jwt_issuer") or tk.config["ckan.site_url"]


def audience() -> str | None:
    """The claim ``aud`` of tokens that are not for the LFS server; None for no such claim."""
    return tk.config.get("ckanext.authz_service.jwt_audience") or None


def lfs_audience() -> str:
    """The claim ``aud`` of tokens for the LFS server: its public base URL."""
    return issuer().rstrip("/") + "/lfs"


def ledger_retention() -> timedelta:
    """How long the ledger keeps a token after it has expired."""
    return timedelta(days=tk.config["ckanext.authz_service.ledger_retention"])


def engine() -> sa.Engine:
    """CKAN's database; connections of it are independent of CKAN's session."""
    if model.meta.engine is None:
        raise RuntimeError("CKAN's model has not been initialised.")
    return model.meta.engine


def _required_keys_dir() -> Path:
    directory = keys_dir()
    if directory is None:
        raise MissingKey(None)
    return directory
