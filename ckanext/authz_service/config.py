"""The plugin's options and what follows from them, read here and nowhere else, and CKAN's database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.authz_service import keys
from ckanext.authz_service.keyring import Keyring

LFS_ENTITY_TYPE = "obj"
"""The type of entity whose tokens are for the site's own LFS server and for nobody else."""


def keys_dir() -> Path | None:
    """Where the keys are; None if not set."""
    return _path("keys_dir")


def algorithm() -> str | None:
    """The algorithm that was asked for; None if not set. Raises UnsuitableAlgorithm."""
    value = tk.config.get("ckanext.authz_service.jwt_algorithm")
    return keys.suitable(value) if value else None


def keyring() -> Keyring:
    """Where the keys are. Raises UnsuitableAlgorithm."""
    return Keyring(
        private_key=tk.config.get("ckanext.authz_service.jwt_private_key") or None,
        private_key_file=_path("jwt_private_key_file"),
        public_key_file=_path("jwt_public_key_file"),
        keys_dir=keys_dir(),
        algorithm=algorithm(),
    )


def key_files() -> list[tuple[Path, bool]]:
    """The files that keys may be in, and whether each is for a private key."""
    found = [(_path("jwt_private_key_file"), True), (_path("jwt_public_key_file"), False)]
    if directory := keys_dir():
        for role in (keys.CURRENT, keys.NEXT, keys.PREVIOUS):
            found += [(keys.private_path(directory, role), True), (keys.public_path(directory, role), False)]
    return [(path, private) for path, private in found if path]


def signing_key() -> keys.SigningKey:
    """The key that signs. Raises KeysError."""
    return keyring().signing_key()


def public_key() -> keys.VerificationKey:
    """The public half of the key that signs. Raises KeysError."""
    return keyring().public_key()


def verification_keys() -> dict[str, keys.VerificationKey]:
    """The keys whose tokens are accepted, by ``kid``; none before ``keygen``. Raises KeysError."""
    return keyring().verification_keys()


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
    return tk.config.get("ckanext.authz_service.jwt_issuer") or site_url()


def site_url() -> str:
    """The address under which people know the site."""
    return tk.config["ckan.site_url"]


def audience() -> str | None:
    """The claim ``aud`` of tokens that are not for the LFS server; None for no such claim."""
    return tk.config.get("ckanext.authz_service.jwt_audience") or None


def include_user_email() -> bool:
    """Whether tokens have the claim ``email``."""
    return tk.config["ckanext.authz_service.jwt_include_user_email"]


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


def _path(option: str) -> Path | None:
    value = tk.config.get(f"ckanext.authz_service.{option}")
    return Path(value) if value else None
