"""Who may go on with an upload: its user, and whoever may write to its dataset. To others it is not there."""

from __future__ import annotations

from werkzeug.wrappers import Request

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import callers, capability, datasets
from ckanext.external_storage.lfs.access import by_token
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.transfer import uploads
from ckanext.external_storage.transfer.uploads import Upload


def for_user(settings: Settings, request: Request, upload_id: str) -> Upload:
    """The upload, for a caller with a Bearer token. Raises NotAuthenticated, UploadNotFound."""
    token = callers.bearer_token(settings, request)
    with settings.engine().connect() as connection:
        callers.check_not_revoked(connection, token.jti, token.user_id)
        upload = uploads.get(connection, upload_id)
        if upload.package_id is None:
            allowed = token.user_id == upload.user_id
        else:
            allowed = datasets.find(connection, upload.package_id) is not None and (
                by_token(token, upload.package_id).write or _is_its_user(token.user_id, upload)
            )
    if not allowed:
        raise errors.UploadNotFound
    return upload


def for_tus(settings: Settings, request: Request, upload_id: str) -> Upload:
    """The same, also with the header that the batch API handed out for this very object."""
    scheme = request.headers.get("Authorization", "").partition(" ")[0]
    if scheme != capability.SCHEME:
        return for_user(settings, request, upload_id)
    permit = callers.capability_of(settings, request, "TUS")
    with callers.permitted(settings, permit) as connection:
        upload = uploads.get(connection, upload_id)
    named = (permit.package_id, permit.oid, permit.size, permit.user_id)
    if named != (upload.package_id, upload.oid, upload.size, upload.user_id):
        raise errors.UploadNotFound
    return upload


def _is_its_user(user_id: str | None, upload: Upload) -> bool:
    return user_id is not None and user_id == upload.user_id
