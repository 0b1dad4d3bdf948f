"""What other plugins tell this one about the files of a dataset, and do with them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import sqlalchemy as sa
from ckan import plugins


class IObjectHolders(plugins.Interface):
    """Know of stored files of a dataset that none of its present resources has.

    Bytes are read by whoever may see something that has them. The dataset's present resources are known; a
    plugin that keeps other states of it answers for those.
    """

    def object_holders(
        self, context: Any, package_id: str, oids: Collection[str]
    ) -> Iterable[tuple[str, str]]:
        """``(sha256, resource id)`` of each resource that has one of *oids* in a state of the dataset which
        the user of *context* may see.

        The user may read the dataset now. Whether they may see a resource that the dataset still has is
        asked of CKAN (``resource_show``) by the caller.
        """
        return ()


class IObjectReferences(plugins.Interface):
    """Need stored files of datasets that no present resource of theirs has.

    What nobody needs is collected as garbage. The present resources of all datasets, deleted ones too, are
    known; a plugin that keeps other states of them answers for those, whether somebody may see them or not.
    """

    def object_references(self) -> Iterable[sa.Select[Any]]:
        """SELECTs of ``package_id`` and ``oid`` (the sha256): all that the plugin's own tables refer to.

        They become part of the statements that remove, so that the database looks at both at one moment. A
        SELECT that fails, because a table is missing say, keeps anything from being removed.
        """
        return ()


class IResourceDownloadHandler(plugins.Interface):
    """Have a word when a resource is downloaded, or answer in place of CKAN and of this plugin.

    Both methods are called for links and files alike, after CKAN has said that the user may see the resource
    and its dataset. Methods of older plugins that do not take the last parameters are called without them.
    """

    def pre_resource_download(
        self, resource: dict[str, Any], package: dict[str, Any], activity_id: str | None = None
    ) -> dict[str, Any] | None:
        """The resource as the handlers are to get it, or None to leave it as it is. Raise to refuse.

        What this plugin serves stays the file that the resource has. ``activity_id`` is None: older versions
        of files are read by the plugin that keeps them.
        """
        return None

    def resource_download(
        self,
        resource: dict[str, Any],
        package: dict[str, Any],
        filename: str | None = None,
        inline: bool = False,
        activity_id: str | None = None,
    ) -> Any:
        """A response of Flask, or something false to let others answer.

        ``filename`` is what the address has. ``inline``: a view asks for a file to be shown (``?preview=1``).
        """
        return None
