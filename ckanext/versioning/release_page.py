"""The form that releases a revision."""

from __future__ import annotations

import re
from typing import Any

import ckantoolkit as tk

from ckanext.versioning import releases
from ckanext.versioning.page_frame import (
    Asked,
    asked_for,
    check_sent_by_our_form,
    page_context,
    rendered,
    revision_of,
    to_version,
    version_named,
)


def release(id: str, ref: str) -> Any:
    """The form that releases a revision, and what it sends."""
    asked = asked_for(id)
    revision = revision_of(asked, ref)
    if not asked.may_edit:
        return tk.abort(403, tk._("To release versions of this dataset you need permission to edit it."))
    named = version_named(asked, revision)
    if named["releases"]:
        tk.h.flash_notice(tk._("This version is already released as {name}.").format(name=named["ref"]))
        return to_version(asked, named["ref"])
    form = {"name": _next_name(releases.listing(asked.package.id)), "title": "", "notes": ""}
    problems: dict[str, list[str]] = {}
    if tk.request.method == "POST":
        check_sent_by_our_form()
        form = {field: tk.request.form.get(field, "").strip() for field in form}
        try:
            _release(asked, revision, form)
            return to_version(asked, form["name"])
        except tk.ValidationError as error:
            wrong: dict[str, Any] = error.error_dict
            problems = {{"description": "notes"}.get(field, field): wrong[field] for field in wrong}
    page = rendered(asked, "release", version=named, form=form, problems=problems)
    return page, 409 if problems else 200


def _release(asked: Asked, revision: Any, form: dict[str, str]) -> None:
    tk.get_action("dataset_release_create")(
        page_context(),
        {
            "dataset": asked.package.id,
            "name": form["name"],
            "title": form["title"],
            # Browsers send line ends as the standard for forms says; what is stored has Unix's.
            "description": form["notes"].replace("\r\n", "\n"),
            "revision_ref": f"r{revision.seq}",
        },
    )
    tk.h.flash_success(
        tk._("Released as {name}. Everyone who may read the dataset can now read this version.").format(
            name=form["name"]
        )
    )


def _next_name(existing: list[dict[str, Any]]) -> str:
    """What to suggest: the name of the newest release, counted up. *existing*: newest first."""
    taken = {release["name"] for release in existing}
    if not existing:
        return "v1"
    counted = re.fullmatch(r"(.*?)([0-9]{1,9})", existing[0]["name"])
    name = f"{counted[1]}{int(counted[2]) + 1}" if counted else ""
    return "" if name in taken else name
