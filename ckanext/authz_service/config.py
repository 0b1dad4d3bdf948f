"""The plugin's options and what follows from them, read here and nowhere else, and the site's database."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from ckanext.authz_service import keys
from ckanext.authz_service.keyring import Keyring
from ckanext.authz_service.process import engine as engine
from ckanext.authz_service.process import options

LFS_ENTITY_TYPE = "obj"
"""The type of entity whose tokens are for the site's own LFS server and for nobody else."""


def keys_dir() -> Path | None:
    """Where the keys are; None if not set."""
    return _path("keys_dir")


def algorithm() -> str | None:
    """The algorithm that was asked for; None if not set. Raises UnsuitableAlgorithm."""
    value = options().get("ckanext.authz_service.jwt_algorithm")
    return keys.suitable(value) if value else None


def keyring() -> Keyring:
    """Where the keys are. Raises UnsuitableAlgorithm."""
    return Keyring(
        private_key=options().get("ckanext.authz_service.jwt_private_key") or None,
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
    return options()["ckanext.authz_service.jwt_max_lifetime"]


def rate_limit_user() -> int:
    """How many tokens one user may ask for in a minute; 0 for any number."""
    return options()["ckanext.authz_service.rate_limit_user"]


def rate_limit_anonymous() -> int:
    """How many tokens one address may ask for in a minute without a user; 0 for any number."""
    return options()["ckanext.authz_service.rate_limit_anonymous"]


def redis_url() -> str:
    """CKAN's Redis."""
    return options()["ckan.redis.url"]


def redis_prefix() -> str:
    """What the names of our keys in Redis begin with: other sites may use the same one."""
    return f"ckan:{options()['ckan.site_id']}:authz_service:"


def giftless_profile() -> bool:
    """Whether tokens for a giftless are issued at all."""
    return options()["ckanext.authz_service.giftless_profile"]


def legacy_browser_tokens() -> bool:
    """Whether callers of ``authz_authorize`` get tokens for the giftless themselves."""
    return giftless_profile() and options()["ckanext.authz_service.legacy_browser_tokens"]


def issuer() -> str:
    """The claim ``iss``."""
    return options().get("ckanext.authz_service.jwt_issuer") or site_url()


def site_url() -> str:
    """The address under which people know the site."""
    return options()["ckan.site_url"]


def audience() -> str | None:
    """The claim ``aud`` of tokens that are not for the LFS server; None for no such claim."""
    return options().get("ckanext.authz_service.jwt_audience") or None


def include_user_email() -> bool:
    """Whether tokens have the claim ``email``."""
    return options()["ckanext.authz_service.jwt_include_user_email"]


def lfs_audience() -> str:
    """The claim ``aud`` of tokens for the LFS server: its public base URL."""
    return issuer().rstrip("/") + "/lfs"


def ledger_retention() -> timedelta:
    """How long the ledger keeps a token after it has expired."""
    return timedelta(days=options()["ckanext.authz_service.ledger_retention"])


def _path(option: str) -> Path | None:
    value = options().get(f"ckanext.authz_service.{option}")
    return Path(value) if value else None
