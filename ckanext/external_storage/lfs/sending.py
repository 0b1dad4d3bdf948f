"""A stored file as the answer to a GET or HEAD, by whichever way its store has."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from werkzeug.wrappers import Response

from ckanext.external_storage.download import (
    Presentation,
    head_response,
    object_response,
    presentation,
    redirect_response,
)
from ckanext.external_storage.lfs import forwarding
from ckanext.external_storage.storage.base import ObjectStore, ServerStore, SigningStore
from ckanext.external_storage.transfer.links import StoredObject

#: How long an address that a client is sent on to can be used.
LIFETIME = timedelta(seconds=60)


def response(
    environ: dict[str, Any],
    store: ObjectStore,
    stored: StoredObject,
    name: str | None = None,
    shown: Presentation | None = None,
) -> Response:
    """The file under *name*, or as it shall be *shown*. Raises StoreUnavailable."""
    shown = shown or presentation(name)
    if isinstance(store, ServerStore):
        return forwarding.response(environ, store, stored, name, shown)
    if not isinstance(store, SigningStore):
        return object_response(environ, store.open(stored.key), stored.oid, stored.size, shown=shown)
    if environ["REQUEST_METHOD"] == "HEAD":  # what is signed is a GET
        return head_response(environ, stored.oid, stored.size, shown)
    return redirect_response(store.sign_get(stored.key, shown.content_type, shown.disposition, LIFETIME).href)
