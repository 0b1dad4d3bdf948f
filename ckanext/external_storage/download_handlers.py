"""Plugins that have a word in downloads (`IResourceDownloadHandler`)."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from ckan import plugins

from ckanext.external_storage.interfaces import IResourceDownloadHandler


def response(
    resource: dict[str, Any], package: dict[str, Any], filename: str | None, inline: bool
) -> Any | None:
    """What the first plugin that has an answer of its own gives; None if no plugin has one.

    The caller has checked that the user may see both. *resource* is handed to all of them, as those before
    left it; it is not what this plugin serves files by.
    """
    handlers = list(plugins.PluginImplementations(IResourceDownloadHandler))
    if not handlers:
        return None
    resource, package = dict(resource), dict(package)
    for handler in handlers:
        resource = _called(handler.pre_resource_download, resource, package, activity_id=None) or resource
    for handler in handlers:
        given = {"filename": filename, "inline": inline, "activity_id": None}
        if answer := _called(handler.resource_download, resource, package, **given):
            return answer
    return None


def _called(function: Callable[..., Any], resource: Any, package: Any, **others: Any) -> Any:
    """With those of *others* that it takes: plugins written for older versions know fewer."""
    taken = inspect.signature(function).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        others = {name: value for name, value in others.items() if name in taken}
    return function(resource, package, **others)
