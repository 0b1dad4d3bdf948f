"""Where and how a program fetches the file of a resource, in one request without CKAN's login."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from ckanext.external_storage import config
from ckanext.external_storage.download import presentation
from ckanext.external_storage.lfs import forwarding
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.sending import LIFETIME
from ckanext.external_storage.resources import stored_oid
from ckanext.external_storage.storage.base import ServerStore, SigningStore

#: Stands in a capability for the token that it was issued for: there was none.
_ISSUED_BY = "download_spec"


def specification(
    connection: sa.Connection, resource: Mapping[str, Any], name: str, inline: bool
) -> dict[str, Any]:
    """``{"href", "header", "expires_in"}`` for the stored file of *resource*, as the caller may see that.

    *name*: what the file is called. ``{}`` if there is none. A secret while it lasts: ``expires_in`` seconds.

    Raises StorageError.
    """
    oid = stored_oid(resource)
    if oid is None:
        return {}
    package_id = resource["package_id"]
    store = config.store()
    stored = forwarding.stored_object(connection, store, package_id, oid, resource.get("size"))
    if isinstance(store, ServerStore):
        return {**forwarding.download(store, stored, name), "verified": stored.verified}
    seconds = int(LIFETIME.total_seconds())
    if isinstance(store, SigningStore):
        shown = presentation(name, config.inline_types() if inline else ())
        signed = store.sign_get(stored.key, shown.content_type, shown.disposition, LIFETIME)
        return {"href": signed.href, "header": signed.header, "expires_in": seconds}
    permit = Capability("GET", package_id, oid, stored.size, None, _ISSUED_BY, int(time.time()) + seconds)
    href = f"{config.lfs_url()}/{config.namespace()}/{package_id}.git/info/lfs/objects/{oid}"
    return {"href": href, "header": permit.header(config.capability_secret()), "expires_in": seconds}
