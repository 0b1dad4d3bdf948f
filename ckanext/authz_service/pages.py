"""The page of a user's issued tokens, and the two buttons on it."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import authz

from ckanext.authz_service import config, ledger, words
from ckanext.authz_service.csrf import sent_by_our_page
from ckanext.authz_service.errors import LedgerError

#: Tokens on a page.
PAGE = 50


def tokens(id: str) -> Any:
    """Live tokens of the user, for that user and for sysadmins."""
    user = _user(id)
    try:
        after = ledger.Cursor.from_string(tk.request.args["after"]) if "after" in tk.request.args else None
    except ValueError:
        after = None  # whatever that was, the first page is a good answer to it
    try:
        # Not through the action, which has given its consent above: it answers JSON, and this needs times.
        with ledger.opened(config.engine()) as connection:
            page, cursor = ledger.listing(connection, user_id=user["id"], limit=PAGE, after=after)
    except LedgerError as error:
        return tk.abort(503, str(error))
    return tk.render(
        "authz_service/tokens.html",
        {
            "user_dict": user,
            "is_myself": user["id"] == tk.current_user.id,
            "is_sysadmin": authz.is_sysadmin(tk.current_user.name),
            "am_following": user["id"] != tk.current_user.id
            and tk.get_action("am_following_user")(_context(), {"id": user["id"]}),
            "about_formatted": tk.h.render_markdown(user["about"]),
            "tokens": page,
            "cursor": str(cursor) if cursor else None,
            "is_first_page": after is None,
            "opens": words.opens,
            "opened_at": words.opened_at,
        },
    )


def revoke(id: str) -> Any:
    """What the buttons send: ``jti`` for one token, nothing for all."""
    user = _user(id)
    _check_sent_by_our_page()
    jti = tk.request.form.get("jti")
    data: dict[str, Any] = {"jti": jti} if jti else {"user_id": user["id"]}
    try:
        revoked = tk.get_action("authz_token_revoke")(_context(), data)["revoked"]
    except (tk.ObjectNotFound, tk.ValidationError):
        revoked = 0
    if revoked:
        done = tk.ungettext("{count} token is revoked.", "{count} tokens are revoked.", revoked)
        tk.h.flash_success(done.format(count=revoked))
    else:
        tk.h.flash_notice(tk._("There was nothing to revoke: the token has expired or was revoked before."))
    return tk.redirect_to("authz_service.tokens", id=user["name"])


def _user(id: str) -> dict[str, Any]:
    """The user whose page it is, as ``user_show`` gives it; aborts for whoever may not see it."""
    # Core would add "public": what this page shows depends on who asks.
    tk.request.environ["__no_cache__"] = True
    try:
        # First, so that nobody learns here which users exist.
        tk.check_access("authz_token_list", _context(), {"user_id": id})
        found = tk.get_action("user_show")(_context(), {"id": id})
    except tk.NotAuthorized:
        return tk.abort(403, tk._("Only the user and sysadmins may see this page. Log in to see your own."))
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("User not found"))
    return found


def _check_sent_by_our_page() -> None:
    if not sent_by_our_page():
        tk.abort(
            400,
            tk._(
                "Nothing was revoked: the page was open for too long, or the request was not sent from this "
                "site's own page. Open the list of tokens again and revoke them from there."
            ),
        )


def _context() -> Any:
    return {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
