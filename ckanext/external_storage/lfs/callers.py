"""Who is asking, and what they may touch: the checks that every request passes.

A caller brings a token of ``authz_authorize``, which says itself what it opens, or an API token of CKAN, or
nothing; what these open is asked of the CKAN that the server runs in.
"""

from __future__ import annotations

import binascii
import time
from base64 import b64decode
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import jwt
import sqlalchemy as sa
from werkzeug.wrappers import Request

from ckanext.authz_service import ledger, tokens
from ckanext.authz_service.errors import AuthzError, InvalidToken
from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage import errors
from ckanext.external_storage.lfs import access, capability, datasets
from ckanext.external_storage.lfs.access import Access
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.lfs.site import Account, Site
from ckanext.external_storage.transfer import links

#: Begins the ``jti`` of what an API token of CKAN opened; nothing that the site signs begins so.
_API_TOKEN = "api:"  # noqa: S105
#: The ``jti`` of what was opened without any token.
_NO_TOKEN = ""

_SEND_A_TOKEN = "Send a token of authz_authorize: Authorization: Bearer <token>."  # noqa: S105
_LOG_IN = (
    "Log in with an API token of your CKAN account, or a token of authz_authorize, as the password"
    " (the user name does not matter)."
)


@dataclass(frozen=True)
class Caller:
    """``token``: what says by itself what it opens, unless it was revoked, which `opened` asks; without one,
    CKAN is asked about ``account``, or about anonymous callers if that is None, too."""

    token: VerifiedToken | None = None
    account: Account | None = None

    @property
    def without_credentials(self) -> bool:
        return self.token is None and self.account is None


def caller(settings: Settings, request: Request) -> Caller:
    """Raises NotAuthenticated, TooManyFailures, TokensUnusable."""
    header = request.headers.get("Authorization")
    scheme, _, credentials = (header or "").partition(" ")
    if scheme.lower() == "bearer":
        return Caller(token=_read(settings, credentials.strip()))
    if scheme.lower() == "basic":
        return _of_password(settings, request.remote_addr, _password(credentials))
    if header is None and settings.site and settings.site.anonymous_download():
        return Caller()
    raise errors.NotAuthenticated(_LOG_IN if settings.site else _SEND_A_TOKEN)


def bearer_token(settings: Settings, request: Request) -> VerifiedToken:
    """For requests that only a token of authz_authorize opens: one that is signed right. Before it opens
    anything, `check_not_revoked`. Raises NotAuthenticated, TokensUnusable."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise errors.NotAuthenticated(_SEND_A_TOKEN)
    return _read(settings, token.strip())


def _read(settings: Settings, token: str) -> VerifiedToken:
    try:
        return settings.read_token(token)
    except InvalidToken as error:
        raise errors.NotAuthenticated(str(error)) from None
    except AuthzError as error:
        raise errors.TokensUnusable from error


def _password(credentials: str) -> str:
    """The part after the colon (RFC 7617 §2)."""
    try:
        pair = b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise errors.NotAuthenticated(_LOG_IN) from None
    return pair.partition(":")[2].strip()


def _of_password(settings: Settings, address: str | None, password: str) -> Caller:
    site = settings.site
    if site and (seconds := site.locked_out(address)):
        raise errors.TooManyFailures(seconds)
    try:
        if _is_ours(password):
            return Caller(token=_read(settings, password))
        if site is None:
            raise errors.NotAuthenticated(
                "This server knows no API tokens. As the password, use a token of authz_authorize."
            )
        account = site.account(password) if password else None
        if account is None:
            raise errors.NotAuthenticated(f"This password is no token that is valid here. {_LOG_IN}")
    except errors.NotAuthenticated:
        if site:
            site.note_failure(address)
        raise
    return Caller(account=account)


def _is_ours(password: str) -> bool:
    """``typ`` tells our tokens from CKAN's, so that no text is ever tried as both."""
    try:
        return jwt.get_unverified_header(password).get("typ") == tokens.TYPE
    except jwt.InvalidTokenError:
        return False


def find_dataset(
    settings: Settings, connection: sa.Connection, organization: str, name_or_id: str
) -> datasets.Dataset:
    """The dataset at an address. Of nested organisations the last one counts. Raises DatasetNotFound."""
    found = datasets.find(connection, name_or_id)
    if found is None or organization.rpartition("/")[2] not in (found.organization, settings.namespace):
        raise errors.DatasetNotFound
    return found


@contextmanager
def opened(
    settings: Settings, who: Caller, organization: str, dataset: str, oids: Collection[str]
) -> Iterator[tuple[sa.Connection, datasets.Dataset, Access]]:
    """A dataset, what the caller may do with it and with *oids*, and a connection without a transaction.

    A dataset that is not there and one that is not theirs to see answer alike: NotAuthenticated for a caller
    without credentials, who may have some, DatasetNotFound for others. Raises NotAuthenticated for a token
    that was revoked, too.
    """
    with ExitStack() as held:
        try:
            connection = held.enter_context(settings.engine().connect())
            with connection.begin():
                if who.token is not None:
                    check_not_revoked(connection, who.token.jti, who.token.user_id)
                found = find_dataset(settings, connection, organization, dataset)
            if who.token is not None:
                granted = access.by_token(who.token, found.id)
            else:
                held.close()  # CKAN takes a connection of its own, and nobody shall need two at once
                granted = _judged(settings, who.account, found.id, oids)
                connection = held.enter_context(settings.engine().connect())
            if not granted:
                raise errors.DatasetNotFound
        except errors.DatasetNotFound:
            if who.without_credentials:
                raise errors.NotAuthenticated(f"No such dataset is public. {_LOG_IN}") from None
            raise
        if who.without_credentials and oids and not granted.read_oids:
            # git-lfs sends no login before it is asked for one, also where it has one that would open them.
            raise errors.NotAuthenticated(f"None of these files is public. {_LOG_IN}")
        yield connection, found, granted


def no_writing(who: Caller) -> errors.StorageError:
    """What to raise where the dataset is the caller's to see and not to change."""
    if who.without_credentials:
        return errors.NotAuthenticated(_LOG_IN)
    return errors.Forbidden("You may not upload to this dataset, or this token does not allow it.")


def _judged(settings: Settings, account: Account | None, package_id: str, oids: Collection[str]) -> Access:
    assert settings.site is not None  # there would be no such caller
    judgement = settings.site.judge(account, package_id, oids)
    if judgement is None:
        raise errors.NotAuthenticated("The API token was revoked.")
    if account is None:
        return access.by_judgement(None, _NO_TOKEN, judgement)
    return access.by_judgement(account.user_id, _API_TOKEN + account.jti, judgement)


def capability_of(settings: Settings, request: Request, method: str) -> Capability:
    """What the request's capability opens, if it is one for this kind of request. It was right when it was
    issued: `permitted` says whether it is still."""
    permit = capability.read(request.headers.get("Authorization"), settings.secret(), time.time())
    if permit.method != method:
        raise errors.Forbidden("This capability is for another kind of request.")
    return permit


@contextmanager
def permitted(
    settings: Settings, permit: Capability, address: tuple[str, str] | None = None
) -> Iterator[sa.Connection]:
    """A capability was right when it was issued; is it still? A connection without a transaction.

    ``address``: organisation and dataset in the request's path, where it has them. A token says until its end
    what it opens, unless it is revoked; for other callers CKAN is asked again, where there is one.

    Raises NotAuthenticated, Forbidden, DatasetNotFound, ObjectNotFound, TokensUnusable.
    """
    by_ckan = permit.jti == _NO_TOKEN or permit.jti.startswith(_API_TOKEN)
    with ExitStack() as held:
        connection = held.enter_context(settings.engine().connect())
        with connection.begin():
            if address is not None:
                found = find_dataset(settings, connection, *address)
            else:
                found = datasets.find(connection, permit.package_id)
            if found is None or found.id != permit.package_id:
                raise errors.DatasetNotFound
            if not by_ckan:
                check_not_revoked(connection, permit.jti, permit.user_id)
        if by_ckan and settings.site:
            held.close()  # as in `opened`
            _ckan_agrees(settings.site, permit)
            connection = held.enter_context(settings.engine().connect())
        yield connection


def _ckan_agrees(site: Site, permit: Capability) -> None:
    account = None
    if permit.user_id is not None:
        account = Account(permit.user_id, permit.jti.removeprefix(_API_TOKEN))
    judgement = site.judge(account, permit.package_id, [permit.oid])
    if judgement is None:
        raise errors.NotAuthenticated("The API token that this was issued for was revoked.")
    if permit.method == "GET" and permit.oid not in judgement.readable:
        raise errors.ObjectNotFound(permit.oid)
    if permit.method != "GET" and not judgement.write:
        raise errors.Forbidden("You may not change this dataset any more.")


def check_not_revoked(connection: sa.Connection, jti: str, user_id: str | None) -> None:
    """Raises NotAuthenticated if the token that this user was issued does not count any more, TokensUnusable.

    Anonymous users have no account, and their tokens no row: there is nothing to ask.
    """
    if user_id is None:
        return
    try:
        ledger.check(connection, jti, user_id)
    except InvalidToken as error:
        raise errors.NotAuthenticated(str(error)) from None
    except AuthzError as error:
        raise errors.TokensUnusable from error


def linked_object(connection: sa.Connection, permit: Capability) -> links.StoredObject:
    stored = links.linked(connection, permit.package_id, [permit.oid]).get(permit.oid)
    if stored is None or stored.size != permit.size:
        raise errors.ObjectNotFound(permit.oid)
    return stored
