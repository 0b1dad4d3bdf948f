"""The pages of a dataset's history: the list, a version, and the forms that release one or go back to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import ckantoolkit as tk
from flask import current_app
from flask_wtf.csrf import validate_csrf
from wtforms import ValidationError

from ckanext.versioning import (
    access,
    errors,
    fields,
    reading,
    releases,
    reverting,
    revisions,
    snapshot,
    timeline,
    words,
)
from ckanext.versioning.access import Viewer


class _Words:
    """CKAN's translations, for the modules that know no CKAN."""

    @staticmethod
    def gettext(message: str) -> str:
        return tk._(message)

    @staticmethod
    def ngettext(msgid1: str, msgid2: str, n: int) -> str:
        return tk.ungettext(msgid1, msgid2, n)


@dataclass(frozen=True)
class _Asked:
    """The dataset of the address, which the caller may read, and what they see of its history."""

    package: Any
    who: Viewer

    @property
    def may_edit(self) -> bool:
        """Whoever may update the dataset may also release versions and go back to them, and sees them all."""
        return self.who.labels is None


def versions(id: str) -> Any:
    """The list of versions, newest first."""
    asked = _asked(id)
    if id != asked.package.name:
        return tk.redirect_to("versioning.versions", id=asked.package.name)
    # A number of a revision; anything else gives the first page.
    before_seq = tk.request.args.get("before_seq", type=int)
    every_save = tk.request.args.get("all") == "true"
    page = timeline.page(asked.package.id, asked.who, _Words(), all=every_save, before_seq=before_seq)
    return _rendered(asked, "versions", page=page, every_save=every_save, before_seq=before_seq)


def version(id: str, ref: str) -> Any:
    """The dataset as it was in a revision."""
    asked = _asked(id)
    if id != asked.package.name:
        return tk.redirect_to("versioning.version", id=asked.package.name, ref=ref)
    revision = _revision(asked, ref)
    # Through the action, so that plugins that chain it have their say here as on the dataset's own page.
    old = tk.get_action("package_show")(
        _context(), {"id": asked.package.id, "revision_ref": f"r{revision.seq}"}
    )
    return _rendered(
        asked,
        "version",
        old=old,
        version=_named(asked, revision),
        fields=fields.rows(old, _Words()),
        resources=[(resource, _kind(resource)) for resource in old["resources"]],
    )


def at(id: str, ref: str) -> Any:
    """The short form of a version's address."""
    return tk.redirect_to("versioning.version", id=id, ref=ref)


def release(id: str, ref: str) -> Any:
    """The form that releases a revision, and what it sends."""
    asked = _asked(id)
    revision = _revision(asked, ref)
    if not asked.may_edit:
        return tk.abort(403, tk._("To release versions of this dataset you need permission to edit it."))
    named = _named(asked, revision)
    if named["releases"]:
        tk.h.flash_notice(tk._("This version is already released as {name}.").format(name=named["ref"]))
        return _to_version(asked, named["ref"])
    form = {"name": _next_name(releases.listing(asked.package.id)), "title": "", "notes": ""}
    problems: dict[str, list[str]] = {}
    if tk.request.method == "POST":
        _check_sent_by_our_form()
        form = {field: tk.request.form.get(field, "").strip() for field in form}
        try:
            _release(asked, revision, form)
            return _to_version(asked, form["name"])
        except tk.ValidationError as error:
            wrong: dict[str, Any] = error.error_dict
            problems = {{"description": "notes"}.get(field, field): wrong[field] for field in wrong}
    page = _rendered(asked, "release", version=named, form=form, problems=problems)
    return page, 409 if problems else 200


def _release(asked: _Asked, revision: Any, form: dict[str, str]) -> None:
    tk.get_action("dataset_release_create")(
        _context(),
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


def revert(id: str, ref: str) -> Any:
    """The form that brings a revision back, or parts of it, and what it sends."""
    asked = _asked(id)
    revision = _revision(asked, ref)
    if not asked.may_edit:
        return tk.abort(403, tk._("To go back to a version of this dataset you need permission to edit it."))
    named = _named(asked, revision)
    head = revisions.find(asked.package.id, asked.who, "head")
    found = reverting.difference(reading.recorded(head), reading.recorded(revision))
    if not found:
        tk.h.flash_notice(tk._("The dataset is as it was in this version: there is nothing to go back to."))
        return _to_version(asked, named["ref"])
    offered = {resource.part for resource in found.resources if resource.kind != "lost"}
    if found.fields or found.extras:
        offered.add(reverting.FIELDS)
    chosen, message, problems = offered, "", []
    if tk.request.method == "POST":
        _check_sent_by_our_form()
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
    page = _rendered(
        asked,
        "revert",
        version=named,
        head=head,
        found=found,
        fields=words.sentences(of_fields, {}, _Words()) if reverting.FIELDS in offered else [],
        chosen=chosen,
        message=message,
        problems=problems,
    )
    return page, 409 if problems else 200


_NO_RESOURCES: dict[str, list[str]] = {"added": [], "removed": [], "bytes": [], "metadata": [], "moved": []}


def _revert(asked: _Asked, revision: Any, parts: list[str] | None, message: str) -> Any:
    ref = f"r{revision.seq}"
    given = {"dataset": asked.package.id, "revision_ref": ref, "version_message": message}
    tk.get_action("dataset_revert")(_context(), given if parts is None else {**given, "parts": parts})
    tk.h.flash_success(
        tk._("What you chose is as it was in revision {number} again. This is a new version.").format(
            number=revision.seq
        )
    )
    return tk.redirect_to(f"{asked.package.type}.read", id=asked.package.name)


def _check_sent_by_our_form() -> None:
    # CKAN's own check leaves out plugins' pages on 2.11, and on 2.12 every page that somebody
    # without a session has opened before.
    try:
        validate_csrf(tk.request.form.get(current_app.config["WTF_CSRF_FIELD_NAME"]))
    except ValidationError:
        tk.abort(
            400,
            tk._(
                "Nothing was changed: the form was open for too long, or was not sent from this site's own "
                "page. Open the version again and go on from there."
            ),
        )


def _asked(id: str) -> _Asked:
    # Core would add "public": what this page shows depends on who asks.
    tk.request.environ["__no_cache__"] = True
    context = _context()
    try:
        package = access.readable(context, id, "package_show", {"id": id})
    except tk.ObjectNotFound:
        return tk.abort(404, tk._("Dataset not found or you have no permission to view it"))
    return _Asked(package, access.viewer(context, package.id))


def _revision(asked: _Asked, ref: str) -> Any:
    try:
        return revisions.find(asked.package.id, asked.who, ref)
    except errors.VersioningError:
        return tk.abort(404, tk._("This dataset has no such version, or you have no permission to view it."))


def _context() -> Any:
    return {"user": tk.current_user.name, "auth_user_obj": tk.current_user, "for_view": True}


def _named(asked: _Asked, revision: Any) -> dict[str, Any]:
    """What the pages say about a revision; ``ref`` is the name it has in their text and addresses."""
    seq = revision.seq
    found = [r for r in reversed(releases.listing(asked.package.id)) if r["seq"] == seq]
    return {
        "seq": seq,
        "id": revision.id,
        "ref": found[0]["name"] if found else f"r{seq}",
        "releases": found,
        "author": revision.author_name,
        "message": revision.message,
        "created": revision.created,
        "may_release": asked.may_edit and not found,
        "may_revert": asked.may_edit and seq != revisions.head_seq(asked.package.id),
    }


def _kind(resource: dict[str, Any]) -> str:
    """``file`` that can be downloaded, ``lost`` (a file of which nothing was kept), ``link``, or ``none``."""
    if resource.get("url_type") != "upload":
        return "link" if tk.h.is_url(resource.get("url") or "") else "none"
    kept = snapshot.stored_oid(resource) and reading.has_files()
    return "file" if kept else "lost"


def _next_name(existing: list[dict[str, Any]]) -> str:
    """What to suggest: the name of the newest release, counted up. *existing*: newest first."""
    taken = {release["name"] for release in existing}
    if not existing:
        return "v1"
    counted = re.fullmatch(r"(.*?)([0-9]{1,9})", existing[0]["name"])
    name = f"{counted[1]}{int(counted[2]) + 1}" if counted else ""
    return "" if name in taken else name


def _to_version(asked: _Asked, ref: str) -> Any:
    return tk.redirect_to("versioning.version", id=asked.package.name, ref=ref)


def _rendered(asked: _Asked, template: str, **variables: Any) -> str:
    """Our template inside the dataset's page, which needs the dataset as it is now."""
    now = tk.get_action("package_show")(_context(), {"id": asked.package.id})
    following = tk.current_user.is_authenticated and tk.get_action("am_following_dataset")(
        _context(), {"id": asked.package.id}
    )
    return tk.render(
        f"versioning/{template}.html",
        {"pkg_dict": now, "dataset_type": now["type"], "am_following": following, **variables},
    )
