"""What every action of core's that saves a dataset takes besides: a message, and the wish for a release.

The parameters become no part of the dataset. What can be wrong with them is told before anything is saved.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.versioning import actor, base_revision, errors, messages, reading, refs, releases
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.release_actions import release
from ckanext.versioning.logic.validation import validated

_OURS = ("version_message", "version_release", "version_release_name", "base_revision")


def save(
    original_action: Any,
    context: Any,
    data_dict: dict[str, Any],
    dataset: Callable[[], Any],
    *,
    resource: bool = False,
    compare: bool = False,
) -> Any:
    """*original_action*, with our parameters.

    *dataset* finds the dataset that it changes, None for a new one. With *resource*, a resource comes or
    goes. With *compare*, it is what saves the dataset, so that the base is compared here; in other actions
    that waits until they save it.
    """
    data_dict = reading.for_saving(data_dict)
    actor.changeset_name()  # what is wrong with it should be said before anything is done
    actor.note(context)  # CKAN 2.11 commits before the hooks that do so
    ours = {key: data_dict[key] for key in _OURS if key in data_dict}
    given = validated(schema.saving(), ours) if ours else {}
    # A copy: core would keep it as an extra of a resource, and a form that is shown again must not lose it.
    rest = {key: value for key, value in data_dict.items() if key not in ours} if ours else data_dict
    base = given.get("base_revision")
    if compare and base:
        base_revision.check_for(context, dataset(), base)
    wanted = _check_release(context, given, dataset)
    saying = _saying(context, given) if "version_message" in ours else nullcontext()
    with saying, base_revision.meant_for(None if compare else base):
        owing = _owes_message(context, dataset, certain=resource or bool(rest.get("upload")))
        with (
            actor.owing_message(owing) if owing else nullcontext(),
            actor.watching() if wanted else nullcontext({}) as recorded,
        ):
            saved = _cleaned_up(original_action, context, rest)
    if wanted:
        _release(context, dataset(), saved, recorded, given.get("version_release_name"))
    return saved


def _owes_message(context: Any, dataset: Callable[[], Any], *, certain: bool) -> str | None:
    """The dataset's id, if a change of it needs a message and has none. Raises MessageRequired.

    *certain*: it changes for certain, by a file or by a resource that comes or goes. Core would have written
    files, maybe over older ones, by the time that the change is seen; and when it deletes a resource it
    cannot cope with our error.
    """
    package = dataset() if messages.can_be_given() else None
    if package is None or not messages.missing(package):
        return None
    if certain:
        # Whoever may not save is told that, and nothing else.
        tk.check_access("package_update", tk.fresh_context(context), {"id": package.id})
        raise errors.MessageRequired
    return package.id


def _saying(context: Any, given: dict[str, Any]) -> AbstractContextManager[None]:
    return actor.saying(given.get("version_message"), deferred=bool(context.get("defer_commit")))


def _cleaned_up(original_action: Any, context: Any, data_dict: dict[str, Any]) -> Any:
    try:
        return original_action(context, data_dict)
    except errors.MessageRequired:
        # As core does when a save is refused. Savepoints of core's are still open.
        while model.Session().in_nested_transaction():
            model.Session.rollback()
        model.Session.rollback()
        raise


def _check_release(context: Any, given: dict[str, Any], dataset: Callable[[], Any]) -> bool:
    """Is the revision to be released? Raises ValidationError if that could not be done after the save."""
    name = given.get("version_release_name")
    if not given.get("version_release"):
        if name:
            raise tk.ValidationError(
                {"version_release": [tk._("Choose this too, or leave the name of the release empty.")]}
            )
        return False
    if context.get("defer_commit"):
        raise tk.ValidationError(
            {
                "version_release": [
                    "What is committed later cannot be released yet. Call dataset_release_create after that."
                ]
            }
        )
    try:
        if name:
            refs.check_release_name(name)
        if (package := dataset()) is not None:
            tk.check_access("dataset_release_create", tk.fresh_context(context), {"dataset": package.id})
            if name:
                releases.check_free(package.id, name, None)
            elif None in releases.next_names(package.id):
                raise errors.NoReleaseNumber
    except errors.VersioningError as error:
        raise tk.ValidationError({"version_release_name": [str(error)]}) from error
    return True


def _release(context: Any, package: Any, saved: Any, recorded: dict[str, int], name: str | None) -> None:
    id = package.id if package is not None else saved["id"] if isinstance(saved, dict) else saved
    ref = f"r{recorded[id]}" if id in recorded else "head"
    try:
        released = release(tk.fresh_context(context), model.Package.get(id), name=name, ref=ref, said={})
    except errors.VersioningError as error:
        # Somebody else was faster, with the same name.
        told = tk._("What you changed is saved, but not released.")
        raise tk.ValidationError({"version_release_name": [f"{told} {error}"]}) from error
    if actor.origin() == "web":
        tk.h.flash_success(tk._("Released as {name}.").format(name=released["name"]))
