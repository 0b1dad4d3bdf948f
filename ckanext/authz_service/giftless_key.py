"""The site's key for its giftless, and what CKAN signs with it in its own name. Works without CKAN."""

from __future__ import annotations

from ckanext.authz_service import config, giftless, keys
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import MissingGiftlessKey, MissingKey
from ckanext.authz_service.scope import Scope


def signing_key() -> keys.SigningKey:
    """The key that giftless trusts, and nobody else.

    Raises MissingKey (no directory), MissingGiftlessKey, UnusableKey.
    """
    directory = config.keys_dir()
    if directory is None:
        raise MissingKey(None)
    try:
        return keys.load(directory, giftless.ROLE)
    except MissingKey:
        raise MissingGiftlessKey(keys.private_path(directory, giftless.ROLE)) from None


def own_token(namespace: str, dataset_id: str, oid: str, action: str) -> str:
    """A token with which CKAN itself asks its giftless about one object. It must not leave CKAN.

    The caller has found out that whoever it asks for may do this. oid: sha256 in hex. action: ``read`` or
    ``write``. ``giftless_profile`` need not be on.

    Raises KeysError, GiftlessScope.
    """
    scope = Scope("obj", f"{namespace}/{dataset_id}/{oid}", [action])
    return giftless.mint(signing_key(), AuthorizedScope(scope, dataset_id), issuer=config.issuer()).token
