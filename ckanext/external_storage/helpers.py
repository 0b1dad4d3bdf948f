"""What templates and other extensions ask by the names that older versions gave it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.external_storage import config, plain_upload, resources, upload_field
from ckanext.external_storage.transfer import links

__all__ = [
    "blob_storage_server_url",
    "blob_storage_storage_namespace",
    "external_storage_file",
    "external_storage_form_limit",
    "external_storage_upload_field",
    "extstorage_server_url",
    "extstorage_storage_namespace",
]


def external_storage_file(resource: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a page says of a stored file, None for a resource without one: ``{"sha256", "size", "url",
    "verified"}``.

    ``size`` in bytes; ``url`` is the address of this very file, whatever the resource gets later.
    ``verified`` is false for files of an external server that nobody has hashed.
    """
    oid = resources.stored_oid(resource)
    if oid is None:
        return None
    url = tk.url_for("external_storage.file", id=resource["package_id"], oid=oid, qualified=True)
    verified = True
    if config.storage_service_url():
        stored = links.linked(model.Session.connection(), resource["package_id"], [oid]).get(oid)
        verified = bool(stored and stored.verified)
    return {"sha256": oid, "size": int(resource.get("size") or 0), "url": url, "verified": verified}


def external_storage_form_limit() -> int | None:
    """Bytes that a file sent with a form may have; None for any size."""
    return plain_upload.limit()


def external_storage_upload_field(data: Mapping[str, Any]) -> dict[str, Any] | None:
    """What the form of a resource (*data*, as its templates have it) hands to the JavaScript that uploads.

    ``lfs_url``, ``site_root``, ``dataset`` (id), ``organization`` (name or None), ``namespace``: where to;
    ``max_size``, ``hash_first_max`` (bytes or None), ``refused_types``: what may come; ``worker``: address of
    the script that hashes; ``present`` (``name``, ``size``): the file that the resource has, and ``kept``,
    whether it stays in a version of the dataset when it is replaced; ``arrived`` (``id``, ``name``, ``size``,
    ``oid``): the upload that a form which is shown again came with; ``unfinished`` (``name``, ``size``): the
    user's own in this dataset.

    None where the user cannot upload to the page's dataset: the form then works as without JavaScript.
    """
    return upload_field.settings(data)


def server_url() -> str:
    """Base URL of the Git LFS server, without a slash at its end."""
    return config.lfs_url()


def storage_namespace() -> str:
    """What stands for any organisation in Git LFS addresses and ``obj:`` scopes."""
    return config.namespace()


blob_storage_server_url = extstorage_server_url = server_url
blob_storage_storage_namespace = extstorage_storage_namespace = storage_namespace


def resource_storage_prefix(package_name: str, org_name: str | None = None) -> str:
    """``<organisation>/<dataset>``, with the namespace for no organisation."""
    return f"{org_name or storage_namespace()}/{package_name}"


def resource_authz_scope(
    package_name: str,
    actions: str | Collection[str] | None = None,
    org_name: str | None = None,
    resource_id: str | None = None,
) -> str:
    """The scope to ask ``authz_authorize`` for: by default to read and write all files of the dataset.

    ``resource_id`` narrows it to the stored file that the resource has now. Raises ValueError if it has none.
    """
    target = "*"
    if resource_id is not None:
        resource = model.Resource.get(resource_id)
        found = resource and {"url_type": resource.url_type, **(resource.extras or {})}
        target = resources.stored_oid(found or {})
        if target is None:
            raise ValueError(f"Resource {resource_id} has no stored file.")
    wanted = actions if isinstance(actions, str) else ",".join(actions or ("read", "write"))
    return f"obj:{resource_storage_prefix(package_name, org_name)}/{target}:{wanted}"


def organization_name_for_package(package: Mapping[str, Any]) -> str | None:
    """Name of the dataset's organisation; None if it has none."""
    organization = package.get("organization")
    if not organization and package.get("owner_org"):
        found = model.Group.get(package["owner_org"])
        return found.name if found else None
    return organization.get("name") if organization else None


def resource_filename(resource: Mapping[str, Any]) -> str:
    """The name a stored file is downloaded as."""
    return resources.filename(resource)
