"""The page of one's unfinished uploads, and the button on it."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from ckanext.authz_service.csrf import sent_by_our_page


def unfinished(id: str) -> Any:
    """The user's own; nobody else has this page."""
    user = _myself(id)
    return tk.render(
        "external_storage/uploads.html",
        {
            "user_dict": user,
            "is_myself": True,
            "is_sysadmin": user["sysadmin"],
            "am_following": False,
            "about_formatted": tk.h.render_markdown(user["about"]),
            "uploads": tk.get_action("external_storage_upload_list")(_context(), {}),
        },
    )


def discard(id: str) -> Any:
    """What the button sends: ``upload``, its id."""
    user = _myself(id)
    if not sent_by_our_page():
        tk.abort(
            400,
            tk._(
                "Nothing was discarded: the page was open for too long, or the request was not sent from "
                "this site's own page. Open the list of uploads again and discard them from there."
            ),
        )
    try:
        data = {"id": tk.request.form.get("upload", "-")}
        ended = tk.get_action("external_storage_upload_discard")(_context(), data)
    except tk.ObjectNotFound:
        tk.h.flash_notice(tk._("There is no such upload any more."))
    else:
        if ended["state"] == "verified":
            tk.h.flash_notice(tk._("The upload has just been completed: its file belongs to the dataset."))
        else:
            tk.h.flash_success(tk._("The upload is discarded."))
    return tk.redirect_to("external_storage.uploads", id=user["name"])


def _myself(id: str) -> dict[str, Any]:
    """As ``user_show`` gives it; aborts for others, whether or not there is such a user."""
    tk.request.environ["__no_cache__"] = True
    user = tk.current_user
    if user.is_anonymous or id not in (user.name, user.id):
        return tk.abort(403, tk._("Only the user may see this page. Log in to see your own."))
    return tk.get_action("user_show")(_context(), {"id": user.id})


def _context() -> Any:
    return {"user": tk.current_user.name, "auth_user_obj": tk.current_user}
