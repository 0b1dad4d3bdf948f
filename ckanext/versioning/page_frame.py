"""What the pages of a dataset's history share: who asks for what, and the frame around the answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ckantoolkit as tk
from flask import abort

from ckanext.authz_service.bindings import entities
from ckanext.authz_service.csrf import sent_by_our_page
from ckanext.versioning import access, errors, former_names, list_filters, releases, revisions
from ckanext.versioning.access import Viewer
from ckanext.versioning.tombstone_page import tombstone
from ckanext.versioning.withdrawal import Withdrawn


class Words:
    """CKAN's translations, for the modules that know no CKAN."""

    @staticmethod
    def gettext(message: str) -> str:
        return tk._(message)

    @staticmethod
    def ngettext(msgid1: str, msgid2: str, n: int) -> str:
        return tk.ungettext(msgid1, msgid2, n)


@dataclass(frozen=True)
class Asked:
    """The dataset of the address, which the caller may read, and what they see of its history."""

    package: Any
    who: Viewer

    @property
    def may_edit(self) -> bool:
        """Whoever may update the dataset may also release versions and go back to them, and sees them all."""
        return self.who.labels is None


def asked_for(id: str) -> Asked:
    # Core would add "public": what this page shows depends on who asks.
    tk.request.environ["__no_cache__"] = True
    context = page_context()
    try:
        package = access.readable(context, id, "package_show", {"id": id})
    except Withdrawn as gone:
        return abort(tombstone(gone))
    except tk.ObjectNotFound:
        to_current_name(context, id)
        return tk.abort(404, tk._("Dataset not found or you have no permission to view it"))
    return Asked(package, access.viewer(context, package.id))


def to_name(name: str) -> Any:
    """Redirect to this address with another name of the dataset."""
    kept = {key: tk.request.args[key] for key in list_filters.PARAMETERS if key in tk.request.args}
    return tk.redirect_to(str(tk.request.endpoint), **{**(tk.request.view_args or {}), **kept, "id": name})


def to_current_name(context: Any, id: str) -> None:
    """Redirect this address to the same one of the dataset that was called *id*, if there is one."""
    if tk.request.method == "POST":
        return
    if name := former_names.current_name(context, id):
        abort(to_name(name))


def revision_of(asked: Asked, ref: str) -> Any:
    try:
        return revisions.find(asked.package.id, asked.who, ref)
    except errors.VersioningError:
        return tk.abort(404, tk._("This dataset has no such version, or you have no permission to view it."))


def shown_states(asked: Asked, revision: Any) -> list[Any]:
    """`revisions.states` of the resources that the caller may see."""
    states = revisions.states(asked.package.id, revision.seq)
    ids = [state.resource_id for state in states]
    shown = entities.shown_resources(page_context(), asked.package.id, ids)
    return [state for state in states if state.resource_id in shown]


def page_context() -> Any:
    return {"user": tk.current_user.name, "auth_user_obj": tk.current_user, "for_view": True}


def version_named(asked: Asked, revision: Any) -> dict[str, Any]:
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


def check_sent_by_our_form() -> None:
    if not sent_by_our_page():
        tk.abort(
            400,
            tk._(
                "Nothing was changed: the form was open for too long, or was not sent from this site's own "
                "page. Open the version again and go on from there."
            ),
        )


def to_version(asked: Asked, ref: str) -> Any:
    return tk.redirect_to("versioning.version", id=asked.package.name, ref=ref)


def rendered(asked: Asked, template: str, **variables: Any) -> str:
    """Our template inside the dataset's page, which needs the dataset as it is now."""
    now = tk.get_action("package_show")(page_context(), {"id": asked.package.id})
    following = tk.current_user.is_authenticated and tk.get_action("am_following_dataset")(
        page_context(), {"id": asked.package.id}
    )
    frame = {
        "pkg_dict": now,
        "dataset_type": now["type"],
        "am_following": following,
        "may_edit": asked.may_edit,
        "may_delete": tk.h.check_access("dataset_release_delete", {"dataset": asked.package.id}),
    }
    return tk.render(f"versioning/{template}.html", {**frame, **variables})
