"""Files of a dataset that is being created: they came first, and become the dataset's own with it.

Its id is not known before core saves it, and on 2.11 core may commit before any of its hooks. So a listener
of CKAN's session links the files in the very flush that writes the dataset's resources: there is never a
resource without a link. If the save fails, nothing refers to the files and they expire.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ckantoolkit as tk
from ckan import model
from sqlalchemy import event

from ckanext.external_storage import errors
from ckanext.external_storage.resources import stored_oid
from ckanext.external_storage.transfer import attaching
from ckanext.external_storage.transfer.attaching import NamedUpload

#: In `Session.info`: what the running `package_create` brings.
_BROUGHT = "ckanext.external_storage.brought"


@dataclass
class _Brought:
    user_id: str
    namespace: str
    #: sha256 → ids of the uploads of it.
    uploads: dict[str, set[str]]
    #: The new dataset, as soon as it has a file, and what is linked by now.
    package_id: str | None = None
    linked: set[str] = field(default_factory=set)


class _Listener:
    started = False


def start() -> None:
    """Called each time CKAN loads the plugin."""
    if not _Listener.started:
        event.listen(model.Session, "before_flush", _attach)
        _Listener.started = True


@contextmanager
def bringing(user_id: str, namespace: str, uploads: Iterable[NamedUpload]) -> Iterator[None]:
    """The dataset that is created in here takes these verified *uploads* of the user, each of them once."""
    by_oid: dict[str, set[str]] = defaultdict(set)
    for upload in uploads:
        if upload.oid:
            by_oid[upload.oid].add(upload.id)
    info = model.Session().info
    before = info.get(_BROUGHT)
    info[_BROUGHT] = _Brought(user_id, namespace, by_oid) if by_oid else None
    try:
        yield
    finally:
        info[_BROUGHT] = before


def _attach(session: Any, flush_context: Any, instances: Any) -> None:
    brought: _Brought | None = session.info.get(_BROUGHT)
    if not brought:
        return
    for resource in [*session.new, *session.dirty]:
        if not isinstance(resource, model.Resource) or resource.package is None:
            continue
        extras = resource.extras or {}
        oid = stored_oid({"url_type": resource.url_type, "sha256": extras.get("sha256")})
        if oid is None or oid not in brought.uploads:
            continue
        package: Any = resource.package
        package.id = package.id or str(uuid.uuid4())
        brought.package_id = brought.package_id or package.id
        if package.id != brought.package_id:
            continue
        if oid not in brought.linked:
            ids = brought.uploads[oid]
            try:
                attaching.attach(session.connection(), brought.user_id, package.owner_org, package.id, ids)
            except errors.UploadNotFound:
                message = tk._("An uploaded file has become part of another dataset. Upload it again.")
                raise tk.ValidationError({"upload_id": [message]}) from None
            brought.linked.add(oid)
        prefix = f"{brought.namespace}/{package.id}"
        if extras.get("lfs_prefix") != prefix:
            resource.extras = {**extras, "lfs_prefix": prefix}
