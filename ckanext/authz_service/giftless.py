"""Tokens for giftless, an LFS server that a site may run beside CKAN. Pure.

giftless takes one public key and reads ``exp``, ``nbf`` and ``scopes``. It refuses every token with an
audience, does not look at the issuer, knows no revocation, does not unite several scopes, and lets whoever
may write an object write it again. So a token for it is about one object, lives for a minute, and is signed
with a key of its own: what a giftless, or whoever holds its key, accepts or makes up means nothing to anybody
else.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime

from ckanext.authz_service import tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import GiftlessScope
from ckanext.authz_service.keys import SigningKey

ROLE = "giftless"
"""The role of its key in the directory of keys: not among those that rotate, verify or are published."""

ALGORITHM = "RS256"
LIFETIME = 60
"""Seconds. It is needed for one call of the batch endpoint; what that returns has a life of its own."""

_NOBODY = tokens.User("ckan", "ckan", None)
"""giftless passes the subject on to what it signs itself, and does not accept that without one."""

_ACTIONS = frozenset({"read", "write"})
_OID = re.compile(r"[0-9a-f]{64}")


def mint(
    key: SigningKey,
    authorized: AuthorizedScope,
    *,
    issuer: str,
    user: tokens.User | None = None,
    lifetime: int = LIFETIME,
    whole_dataset: bool = False,
    now: datetime | None = None,
) -> tokens.MintedToken:
    """Sign a token for ``obj:<namespace>/<dataset id>/<sha256>:<action>``.

    lifetime: seconds; more than LIFETIME is cut down to it.
    whole_dataset: ``*`` in place of the sha256 is allowed, too.

    Raises GiftlessScope for any other scope, UnfaithfulScope, and ValueError for a lifetime that is not
    positive.
    """
    if problem := _problem(authorized, whole_dataset):
        raise GiftlessScope(str(authorized.scope), problem)
    return tokens.mint(
        key,
        [authorized],
        issuer=issuer,
        audience=None,
        lifetime=min(lifetime, LIFETIME),
        user=user or _NOBODY,
        now=now,
    )


def without_unknown_actions(authorized: AuthorizedScope) -> AuthorizedScope | None:
    """The same without actions that giftless does not know, such as ``update``; None if nothing is left."""
    known = _ACTIONS & (authorized.scope.actions or frozenset())
    return replace(authorized, scope=authorized.scope.with_actions(known)) if known else None


def _problem(authorized: AuthorizedScope, whole_dataset: bool) -> str | None:
    scope = authorized.scope
    if scope.entity_type != "obj" or scope.subscope is not None:
        return "giftless knows objects only"
    if not scope.actions or not scope.actions <= _ACTIONS:
        return "giftless knows the actions read and write"
    segments = (scope.entity_id or "").split("/")
    if len(segments) != 3:
        return "it does not name a namespace, a dataset and an object"
    _, dataset, target = segments
    # giftless keeps files by what stands here. A name can pass to another dataset, and the files with it.
    if authorized.dataset_id is None or dataset != authorized.dataset_id:
        return "name the dataset by its id, since giftless keeps its files under what stands there"
    if target == "*":
        if whole_dataset:
            return None
        return (
            "it is about all objects of the dataset, which ckanext.authz_service.legacy_browser_tokens allows"
        )
    return None if _OID.fullmatch(target) else "its object is not a sha256"
