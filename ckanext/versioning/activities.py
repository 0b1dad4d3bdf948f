"""Releases and reverts in the activity stream, where CKAN's plugin `activity` keeps one.

An activity has what core's have: the dataset as it is shown now, and its permission labels of now, by which
core decides who sees it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import ckantoolkit as tk
from ckan import model, plugins
from ckan.lib.plugins import get_permission_labels

from ckanext.versioning import actor

RELEASED, REVERTED = "released package", "reverted package"


def start() -> None:
    """Tell the plugin of our types of activities: it knows those in two dicts of its own."""
    if plugins.plugin_loaded("activity"):
        validators = import_module("ckanext.activity.logic.validators")
        for types in (validators.VALIDATORS_PACKAGE_ACTIVITY_TYPES, validators.object_id_validators):
            types |= dict.fromkeys((RELEASED, REVERTED), "package_id_exists")


def released(context: Any, package: Any, release: dict[str, Any]) -> None:
    """Somebody made *release* (a dict of the API). Does not commit."""
    _add(context, package, RELEASED, release={key: release[key] for key in ("name", "title", "seq")})


def reverted(context: Any, package: Any, seq: int) -> None:
    """Somebody went back to revision *seq*. Does not commit."""
    _add(context, package, REVERTED, revision={"seq": seq})


def _add(context: Any, package: Any, kind: str, **data: Any) -> None:
    user = actor.current(model.Session()).id
    # The stream is about people; what a job or a command does without a user is in the history.
    if user is None or not plugins.plugin_loaded("activity"):
        return
    shown = tk.get_action("package_show")(
        {"ignore_auth": True, "for_view": False}, {"id": package.id, "include_tracking": False}
    )
    tk.get_action("activity_create")(
        tk.fresh_context(context, ignore_auth=True, defer_commit=True),
        {
            "user_id": user,
            "object_id": package.id,
            "activity_type": kind,
            "data": {"package": shown, **data},
            "permission_labels": get_permission_labels().get_dataset_labels(package),
        },
    )
