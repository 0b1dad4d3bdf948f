"""The forms that release a revision, change what is said about a release, and delete one."""

from __future__ import annotations

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

#: Fields of the forms, as the actions call them.
_SAID = ("title", "description", "doi")


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
    proposed = releases.proposal(asked.package.id, revision.seq)
    form = {"name": proposed.name or "", **dict.fromkeys(_SAID, "")}
    problems: dict[str, Any] = {}
    if tk.request.method == "POST":
        check_sent_by_our_form()
        form = _sent("name", *_SAID)
        try:
            tk.get_action("dataset_release_create")(
                page_context(), {"dataset": asked.package.id, **form, "revision_ref": f"r{revision.seq}"}
            )
        except tk.ValidationError as error:
            problems = error.error_dict
        else:
            tk.h.flash_success(
                tk._(
                    "Released as {name}. Everyone who may read the dataset can now read this version."
                ).format(name=form["name"])
            )
            return to_version(asked, form["name"])
    page = rendered(asked, "release", version=named, form=form, problems=problems, proposed=proposed)
    return page, 409 if problems else 200


def edit(id: str, ref: str) -> Any:
    """The form that changes what is said about the release *ref*, and what it sends."""
    asked, found = _asked_for_release(id, ref)
    if not asked.may_edit:
        return tk.abort(403, tk._("To change releases of this dataset you need permission to edit it."))
    form = {field: found[field] or "" for field in _SAID}
    problems: dict[str, Any] = {}
    if tk.request.method == "POST":
        check_sent_by_our_form()
        form = _sent(*_SAID)
        try:
            tk.get_action("dataset_release_update")(
                page_context(), {"dataset": asked.package.id, "release": ref, **form}
            )
        except tk.ValidationError as error:
            problems = error.error_dict
        else:
            tk.h.flash_success(tk._("What is said about {name} was changed.").format(name=ref))
            return to_version(asked, ref)
    page = rendered(asked, "release_edit", release=found, form=form, problems=problems)
    return page, 409 if problems else 200


def delete(id: str, ref: str) -> Any:
    """The page that asks whether the release *ref* is to be deleted, and what it sends."""
    asked, found = _asked_for_release(id, ref)
    context, wanted = page_context(), {"dataset": asked.package.id, "release": ref}
    try:
        tk.check_access("dataset_release_delete", context, wanted)
    except tk.NotAuthorized:
        return tk.abort(
            403,
            tk._(
                "Releases are deleted by admins of the dataset's organization; where it has none, by who "
                "created it."
            ),
        )
    if tk.request.method == "POST":
        check_sent_by_our_form()
        tk.get_action("dataset_release_delete")(page_context(), wanted)
        tk.h.flash_success(
            tk._("The release {name} was deleted. Its version is now called revision {number}.").format(
                name=ref, number=found["seq"]
            )
        )
        return tk.redirect_to("versioning.versions", id=asked.package.name)
    return rendered(asked, "release_delete", release=found)


def _asked_for_release(id: str, name: str) -> tuple[Asked, dict[str, Any]]:
    asked = asked_for(id)
    try:
        return asked, tk.get_action("dataset_release_show")(
            page_context(), {"dataset": asked.package.id, "release": name}
        )
    except (tk.ObjectNotFound, tk.ValidationError):
        return tk.abort(404, tk._("This dataset has no such release."))


def _sent(*fields: str) -> dict[str, str]:
    return {field: tk.request.form.get(field, "").strip() for field in fields}
