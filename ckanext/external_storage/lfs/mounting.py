"""Where the server's addresses lie beside those of the site around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ckanext.external_storage.lfs.app import LfsApplication

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

#: Below this the server is found, whatever its public address is.
MOUNT = "/lfs"
#: Where a client asks that has cloned https://site/dataset/name.git (git-lfs docs/api/server-discovery.md).
_OF_A_CLONE = re.compile(r"/dataset/(?P<rest>[^/]+\.git/info/lfs(?:/.*)?)")


def mounted(site: WSGIApplication, lfs: LfsApplication) -> Callable[..., Iterable[bytes]]:
    """*lfs* below `MOUNT` and at the addresses of clones; everything else is the site's."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path: str = environ.get("PATH_INFO", "")
        if path == MOUNT or path.startswith(f"{MOUNT}/"):
            rest = path[len(MOUNT) :]
        elif found := _OF_A_CLONE.fullmatch(path):
            # The dataset decides; the namespace stands for whichever organisation it is in.
            rest = f"/{lfs.settings.namespace}/{found['rest']}"
        else:
            return site(environ, start_response)
        script = environ.get("SCRIPT_NAME", "") + MOUNT
        return lfs({**environ, "SCRIPT_NAME": script, "PATH_INFO": rest}, start_response)

    return application
