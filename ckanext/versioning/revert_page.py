"""The form that goes back to a revision, whole or in parts."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.versioning import pins, reading, reverting, revisions, words
from ckanext.versioning.page_frame import (
    Asked,
    Words,
    asked_for,
    check_sent_by_our_form,
    page_context,
    rendered,
    revision_of,
    to_version,
    version_named,
)


def revert(id: str, ref: str) -> Any:
    """The form that brings a revision back, or parts of it, and what it sends."""
    asked = asked_for(id)
    revision = revision_of(asked, ref)
    if not asked.may_edit:
        return tk.abort(403, tk._("To go back to a version of this dataset you need permission to edit it."))
    named = version_named(asked, revision)
    head = revisions.find(asked.package.id, asked.who, "head")
    kept = pins.kept(model.Session, asked.package.id, revision.seq)
    found = reverting.difference(reading.recorded(head), reading.recorded(revision), kept)
    if not found:
        tk.h.flash_notice(tk._("The dataset is as it was in this version: there is nothing to go back to."))
        return to_version(asked, named["ref"])
    offered = {resource.part for resource in found.resources if resource.kind != "lost"}
    if found.fields or found.extras:
        offered.add(reverting.FIELDS)
    chosen, message, problems = offered, "", []
    if tk.request.method == "POST":
        check_sent_by_our_form()
        chosen = offered.intersection(tk.request.form.getlist("part"))
        message = tk.request.form.get("message", "")
        if tk.request.form.get("head") != head.id:
            problems = [tk._("Somebody has changed the dataset meanwhile. Look again at what will change.")]
        elif offered and not chosen:
            problems = [tk._("Choose what is to come back.")]
        else:
            complete = chosen == offered and not any(r.kind == "lost" for r in found.resources)
            try:
                return _revert(asked, revision, None if complete else sorted(chosen), message)
            except tk.ValidationError as error:
                summary: Any = error.error_summary
                problems = [f"{field}: {problem}" for field, problem in summary.items()]
    of_fields = {"fields": found.fields, "extras": found.extras, "resources": _NO_RESOURCES}
    page = rendered(
        asked,
        "revert",
        version=named,
        head=head,
        found=found,
        fields=words.sentences(of_fields, {}, Words()) if reverting.FIELDS in offered else [],
        chosen=chosen,
        message=message,
        problems=problems,
    )
    return page, 409 if problems else 200


_NO_RESOURCES: dict[str, list[str]] = {"added": [], "removed": [], "bytes": [], "metadata": [], "moved": []}


def _revert(asked: Asked, revision: Any, parts: list[str] | None, message: str) -> Any:
    ref = f"r{revision.seq}"
    given = {"dataset": asked.package.id, "revision_ref": ref, "version_message": message}
    tk.get_action("dataset_revert")(page_context(), given if parts is None else {**given, "parts": parts})
    tk.h.flash_success(
        tk._("What you chose is as it was in revision {number} again. This is a new version.").format(
            number=revision.seq
        )
    )
    return tk.redirect_to(f"{asked.package.type}.read", id=asked.package.name)
