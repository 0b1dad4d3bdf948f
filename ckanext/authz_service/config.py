"""The plugin's options and what follows from them: read here and nowhere else."""

from __future__ import annotations

from pathlib import Path

import ckantoolkit as tk

from ckanext.authz_service import keys, tokens
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


def rate_limit_user() -> int:
    """How many tokens one user may ask for in a minute; 0 for any number."""
    return tk.config["ckanext.authz_service.rate_limit_user"]


def rate_limit_anonymous() -> int:
    """How many tokens one address may ask for in a minute without a user; 0 for any number."""
    return tk.config["ckanext.authz_service.rate_limit_anonymous"]


def redis_url() -> str:
    """CKAN's Redis."""
    return tk.config["ckan.redis.url"]


def redis_prefix() -> str:
    """What the names of our keys in Redis begin with: other sites may use the same one."""
    return f"ckan:{tk.config['ckan.site_id']}:authz_service:"


def giftless_profile() -> bool:
    """Whether tokens for a giftless are issued at all."""
    return tk.config["ckanext.authz_service.giftless_profile"]


def legacy_browser_tokens() -> bool:
    """Whether callers of ``authz_authorize`` get tokens for the giftless themselves."""
    return giftless_profile() and tk.config["ckanext.authz_service.legacy_browser_tokens"]


def issuer() -> str:
    """The claim ``iss``."""
    return tk.config.get("ckanext.authz_service.jwt_issuer") or tk.config["ckan.site_url"]


def audience() -> str | None:
    """The claim ``aud`` of tokens that are not for the LFS server; None for no such claim."""
    return tk.config.get("ckanext.authz_service.jwt_audience") or None


def lfs_audience() -> str:
    """The claim ``aud`` of tokens for the LFS server: its public base URL."""
    return issuer().rstrip("/") + "/lfs"


def verify_lfs_token(token: str) -> tokens.VerifiedToken:
    """What a token proves to the LFS server. Raises InvalidToken, UnusableKey."""
    return tokens.verify(token, verification_keys(), issuer(), lfs_audience(), max_lifetime())


def _required_keys_dir() -> Path:
    directory = keys_dir()
    if directory is None:
        raise MissingKey(None)
    return directory
