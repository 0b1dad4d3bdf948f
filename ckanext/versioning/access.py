"""Who may see what of a dataset's history. The permissions are CKAN's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ckantoolkit as tk
from ckan import authz, model
from ckan.lib.plugins import get_permission_labels

from ckanext.versioning import config
from ckanext.versioning.withdrawal import withdrawn


@dataclass(frozen=True)
class Viewer:
    """``labels`` are the caller's permission labels; None: may update the dataset, and sees all of it.

    Without ``unreleased``, only the newest of the revisions that nobody has released can be theirs to see.
    """

    labels: tuple[str, ...] | None
    unreleased: bool = True


def readable(context: Any, name_or_id: str, action: str, data_dict: dict[str, Any]) -> Any:
    """The dataset, which the caller may read now, as the auth function of *action* says.

    As core's actions do, leaves it in *context* as ``package``. Raises ObjectNotFound, the same for a
    dataset that may not be read and one that does not exist, and of its kind Withdrawn for one that was
    deleted, if the caller could have read it before.
    """
    # PostgreSQL takes neither NUL nor half a surrogate pair, and no dataset is called so.
    package = model.Package.get(name_or_id) if name_or_id.isprintable() else None
    if package is not None:
        # Before the check: on 2.11 the auth function asks about the package it finds in the context.
        context["package"] = package
        try:
            tk.check_access(action, context, data_dict)
            return package
        except tk.NotAuthorized:
            del context["package"]
            if gone := withdrawn(package, _labels(context)):
                raise gone from None
    raise tk.ObjectNotFound("There is no such dataset, or you may not read it.")


def viewer(context: Any, package_id: str) -> Viewer:
    """What the caller, who may read the dataset, sees of its history."""
    checked = tk.fresh_context(context)
    try:
        tk.check_access("package_update", checked, {"id": package_id})
    except tk.NotAuthorized:
        return Viewer(_labels(checked), unreleased=config.readers_see_unreleased())
    return Viewer(None)


def _labels(checked: Any) -> tuple[str, ...]:
    """Permission labels of the user of a context that a check has been made with."""
    return tuple(get_permission_labels().get_user_dataset_labels(checked.get("auth_user_obj")))


def searcher(context: Any) -> Viewer:
    """What the caller may find across all datasets: by permission labels, as in `package_search`."""
    user = context.get("user")
    if context.get("ignore_auth") or (user and authz.is_sysadmin(user)):
        return Viewer(None)
    return Viewer(_labels(context), unreleased=config.readers_see_unreleased())
