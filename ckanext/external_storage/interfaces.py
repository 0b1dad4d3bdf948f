"""What other plugins tell this one about the files of a dataset."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

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
