"""Who is asking, and what they may touch: the checks that every request passes."""

from __future__ import annotations

import time

import sqlalchemy as sa
from werkzeug.wrappers import Request

from ckanext.authz_service import ledger
from ckanext.authz_service.errors import AuthzError, InvalidToken
from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage import errors
from ckanext.external_storage.lfs import capability, datasets
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.transfer import links


def bearer_token(settings: Settings, request: Request) -> VerifiedToken:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise errors.NotAuthenticated("Send a token of authz_authorize: Authorization: Bearer <token>.")
    try:
        return settings.verify_token(token.strip())
    except InvalidToken as error:
        raise errors.NotAuthenticated(str(error)) from None
    except AuthzError as error:
        raise errors.TokensUnusable from error


def capability_of(settings: Settings, request: Request, method: str) -> Capability:
    permit = capability.read(request.headers.get("Authorization"), settings.secret(), time.time())
    if permit.method != method:
        raise errors.Forbidden("This capability is for another kind of request.")
    return permit


def find_dataset(
    settings: Settings, connection: sa.Connection, organization: str, name_or_id: str
) -> datasets.Dataset:
    found = datasets.find(connection, name_or_id)
    if found is None or organization not in (found.organization, settings.namespace):
        raise errors.DatasetNotFound
    return found


def permitted(
    settings: Settings, connection: sa.Connection, organization: str, dataset: str, permit: Capability
) -> None:
    """A capability was right when it was issued; is it still?"""
    if find_dataset(settings, connection, organization, dataset).id != permit.package_id:
        raise errors.DatasetNotFound
    if permit.user_id is None:
        return
    try:
        ledger.check(connection, permit.jti, permit.user_id)
    except InvalidToken as error:
        raise errors.NotAuthenticated(str(error)) from None
    except AuthzError as error:
        raise errors.TokensUnusable from error


def linked_object(connection: sa.Connection, permit: Capability) -> links.StoredObject:
    stored = links.linked(connection, permit.package_id, [permit.oid]).get(permit.oid)
    if stored is None or stored.size != permit.size:
        raise errors.ObjectNotFound(permit.oid)
    return stored
