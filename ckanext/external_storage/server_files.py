"""A save names a file that its client has brought to the site's external LFS server, unseen by us."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.authz_service import config as authz_config
from ckanext.authz_service import giftless, tokens
from ckanext.external_storage import config, errors, jobs, words
from ckanext.external_storage.storage.base import ServerStore
from ckanext.external_storage.transfer import at_server


def find(
    context: Any, package_id: str, resources: Sequence[Mapping[str, Any]], missing: Collection[str]
) -> bool:
    """Whether some of *missing* (sha256), which the dataset has not got, can be used after all.

    The caller has checked that the user may update the dataset. Raises ValidationError for a file that is
    being checked, or was rejected; for one that is not there, nothing is said here.
    """
    store = config.store() if config.storage_service_url() else None
    if not isinstance(store, ServerStore):
        return False
    user = model.User.get(context.get("user"))
    problems: list[dict[str, list[str]]] = []
    found = False
    for resource in resources:
        problem = None
        if resource.get("url_type") == "upload" and resource.get("sha256") in missing:
            problem = _problem(store, user.id if user else "", package_id, resource)
            found = found or problem is None
        problems.append({"sha256": [problem]} if problem else {})
    if any(problems):
        model.Session.rollback()
        error: Any = {"resources": problems}
        raise tk.ValidationError(error)
    return found


def _problem(store: ServerStore, user_id: str, package_id: str, resource: Mapping[str, Any]) -> str | None:
    size = resource.get("size")
    if not isinstance(size, int) and not (isinstance(size, str) and size.isdecimal()):
        return tk._(
            "This dataset has no such file yet. To look for it at the file server, its size is needed."
        )
    engine, now = config.engine(), datetime.now(timezone.utc)
    try:
        upload = at_server.claim(engine, store, user_id, package_id, resource["sha256"], int(size), now)
        believed = not config.verify_external()
        state = at_server.arrived(engine, store, upload, jobs.check_later, believed, _writable())
    except errors.BytesMissing:
        return None
    except errors.StorageError as error:
        return words.said(error)
    if state == "received":
        return tk._("The file is being checked. Save again in a few minutes.")
    return None


def _writable() -> timedelta:
    """How long somebody may still be let in by a token for giftless itself."""
    if not authz_config.legacy_browser_tokens():
        return timedelta()
    return timedelta(seconds=giftless.LIFETIME + tokens.LEEWAY)
