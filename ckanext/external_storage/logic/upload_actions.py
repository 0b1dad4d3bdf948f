"""Uploads as their user sees them: from another computer, say, than the one that began them."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.external_storage import config, errors
from ckanext.external_storage.transfer import finishing, standing, uploads
from ckanext.external_storage.transfer.uploads import Upload

#: How many are listed; the option that limits how many there are may be larger.
_LISTED = 100


@tk.side_effect_free
def external_storage_upload_list(context: Any, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """The caller's own uploads that are not finished, the latest 100, the latest first.

    :returns: dicts as `external_storage_upload_show` has them
    """
    tk.check_access("external_storage_upload_list", context.copy(), data_dict)
    user = model.User.get(context.get("user"))
    if user is None:
        return []
    with config.engine().connect() as connection:
        found = uploads.unfinished(connection, user.id, _LISTED)
    return [_as_dict(upload) for upload in found]


@tk.side_effect_free
def external_storage_upload_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """One upload: for its user, and for those who may update its dataset. To others it is not there.

    :param id: id of the upload
    :returns: ``id``, ``state``, ``transfer``, ``package_id`` and ``dataset`` (id and name, null before there
        is one), ``filename``, ``size``, ``arrived`` and ``hashed`` (bytes; ``arrived`` is null if the store
        cannot be asked), ``created`` and ``expires_at`` (ISO 8601), ``reason`` (if it ended), ``sha256`` (if
        it is verified)
    """
    return _as_dict(_upload("external_storage_upload_show", context, data_dict))


def external_storage_upload_discard(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """End an upload; what has arrived of it is deleted. For those who may see it.

    One that is verified stays what it is: its file belongs to the dataset.

    :param id: id of the upload
    :returns: the upload as `external_storage_upload_show` has it
    """
    upload = _upload("external_storage_upload_discard", context, data_dict)
    with config.engine().begin() as connection:
        uploads.discard(connection, upload.id, standing.database_now(connection))
    with config.engine().connect() as connection:
        return _as_dict(uploads.get(connection, upload.id))


def _upload(action: str, context: Any, data_dict: dict[str, Any]) -> Upload:
    """Raises ObjectNotFound, also where the caller may not see it."""
    id = tk.get_or_bust(data_dict, "id")
    try:
        with config.engine().connect() as connection:
            upload = uploads.get(connection, id if isinstance(id, str) else "")
        tk.check_access(action, context.copy(), {"id": id, "upload": upload})
    except (errors.UploadNotFound, tk.NotAuthorized):
        raise tk.ObjectNotFound(tk._("Upload not found")) from None
    return upload


def _as_dict(upload: Upload) -> dict[str, Any]:
    package = model.Package.get(upload.package_id) if upload.package_id else None
    return {
        "id": upload.id,
        "state": upload.state,
        "transfer": upload.transfer,
        "package_id": upload.package_id,
        "dataset": package.name if package else None,
        "filename": upload.filename,
        "size": upload.size,
        "arrived": _arrived(upload),
        "hashed": upload.hashed,
        "created": upload.created.isoformat() if upload.created else None,
        "expires_at": upload.expires_at.isoformat() if upload.expires_at else None,
        "reason": upload.reason,
        "sha256": upload.verified,
    }


def _arrived(upload: Upload) -> int | None:
    try:
        return finishing.arrived_so_far(config.store(), upload)
    except errors.StorageError:
        return None
