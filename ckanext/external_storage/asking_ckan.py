"""What the LFS server asks the CKAN that it runs in: whose token it is, and what they may do now.

Auth functions of other plugins may look at the request and at who is logged in, so they run in a request of
their own, made for the user they judge. Nothing of the real request is in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

import ckantoolkit as tk
from ckan import model
from ckan.lib import api_token
from flask import Flask, g

from ckanext.authz_service import limits
from ckanext.authz_service.permissions import Memory, allowed, context_for
from ckanext.external_storage import config, read_permission
from ckanext.external_storage.lfs.site import Account, Judgement


class AskingCkan:
    """`lfs.site.Site` of a CKAN application."""

    def __init__(self, app: Flask):
        self._app = app

    def anonymous_download(self) -> bool:
        return config.anonymous_download()

    def account(self, token: str) -> Account | None:
        with self._request(None):
            user = api_token.get_user_from_token(token)
            if user is None or not user.is_active:
                return None
            claims = api_token.decode(token) or {}
            return Account(user.id, claims["jti"])

    def judge(self, account: Account | None, package_id: str, oids: Collection[str]) -> Judgement | None:
        with self._request(account.user_id if account else None) as user:
            if account is not None:
                token = model.ApiToken.get(account.jti)
                if token is None or user is None or token.user_id != user.id or not user.is_active:
                    return None
            context = context_for(user, Memory())
            data = {"id": package_id}
            if not allowed("package_show", context, data):
                return Judgement(False, False, frozenset())
            readable = read_permission.readable(context, package_id, oids)
            return Judgement(True, allowed("package_update", context, data), frozenset(readable))

    def locked_out(self, address: str | None) -> int:
        return limits.locked_out(address)

    def note_failure(self, address: str | None) -> None:
        limits.note_failure(address)

    @contextmanager
    def _request(self, user_id: str | None) -> Iterator[model.User | None]:
        with self._app.test_request_context("/", base_url=tk.config["ckan.site_url"]):
            try:
                user = model.User.get(user_id) if user_id else None
                known: Any = g
                known._login_user = user or model.AnonymousUser()  # whom flask-login gives as current_user
                known.user, known.userobj = (user.name, user) if user else ("", None)
                yield user
            finally:
                model.Session.remove()
