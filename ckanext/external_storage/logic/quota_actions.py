"""What an organisation keeps and may keep."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
from ckan import model

from ckanext.external_storage.transfer import quota


@tk.side_effect_free
def external_storage_quota_show(context: Any, data_dict: dict[str, Any]) -> dict[str, Any]:
    """How many bytes an organisation keeps in the file store, and how many it may.

    For its members. One that is missing and one of others answer alike.

    :param id: name or id of the organisation
    :returns: ``{"used", "reserved", "limit"}``, in bytes: for the files of its datasets, for uploads under
        way, and the most that both may be together (null: no limit)
    """
    tk.get_or_bust(data_dict, "id")
    tk.check_access("external_storage_quota_show", context.copy(), data_dict)
    organization = model.Group.get(data_dict["id"])
    if organization is None or not organization.is_organization:  # a sysadmin is not asked by our function
        raise tk.ObjectNotFound(tk._("Organization not found"))
    found = quota.usage(model.Session.connection(), organization.id)
    return {"used": found.used, "reserved": found.reserved, "limit": found.limit}
