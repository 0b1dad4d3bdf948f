"""A small HTTP client of the site: CKAN's action API and the four steps of a Git LFS upload::

    site = Client(url, lfs, api_token)
    oid, size = site.upload(org, dataset, b"a,b")
    site.action("resource_create", package_id=dataset, url="table.csv", url_type="upload", sha256=oid)

It needs nothing but `requests`, so it may be copied.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import requests

LFS_MEDIA_TYPE = "application/vnd.git-lfs+json"
#: Seconds to connect, and between two pieces of an answer.
TIMEOUT = (10, 120)


class Refused(Exception):
    """The site answered with an error. ``status`` is HTTP's; ``answer`` the decoded body, or its text."""

    def __init__(self, response: requests.Response):
        self.status = response.status_code
        try:
            self.answer: Any = response.json()
        except ValueError:
            self.answer = response.text[:500]
        super().__init__(f"{response.request.method} {response.url} answered {self.status}: {self.answer}")


class Client:
    def __init__(self, url: str, lfs: str, token: str | None = None):
        """``url`` and ``lfs`` as in .run/demo.json; without ``token``, a CKAN API token, one is anonymous."""
        self.url = url
        self.lfs = lfs
        self.token = token
        self.http = requests.Session()
        # Proxies of the environment are for other hosts; credentials in ~/.netrc are for other sites.
        self.http.trust_env = False

    def action(self, name: str, /, **parameters: Any) -> Any:
        """The result of an action; Refused with CKAN's error otherwise."""
        headers = {"Authorization": self.token} if self.token else {}
        response = self.http.post(
            f"{self.url}/api/action/{name}", json=parameters, headers=headers, timeout=TIMEOUT
        )
        return _checked(response).json()["result"]

    def storage_token(self, org: str, dataset: str, actions: str = "read,write") -> str:
        """A short-lived token for the files of one dataset."""
        return self.action("authz_authorize", scopes=[f"obj:{org}/{dataset}/*:{actions}"])["token"]

    def batch(
        self, org: str, dataset: str, operation: str, objects: list[dict[str, Any]], storage_token: str
    ) -> list[dict[str, Any]]:
        """What the server says to each ``{"oid": …, "size": …}``: its actions, or its error."""
        response = self.http.post(
            f"{self.lfs}/{org}/{dataset}.git/info/lfs/objects/batch",
            json={"operation": operation, "transfers": ["basic"], "objects": objects},
            headers={
                "Authorization": f"Bearer {storage_token}",
                "Accept": LFS_MEDIA_TYPE,
                "Content-Type": LFS_MEDIA_TYPE,
            },
            timeout=TIMEOUT,
        )
        return _checked(response).json()["objects"]

    def put(self, action: Mapping[str, Any], content: bytes) -> None:
        """Send the bytes to the address of an ``upload`` action."""
        headers = {"Content-Type": "application/octet-stream", **action.get("header", {})}
        _checked(self.http.put(action["href"], data=content, headers=headers, timeout=TIMEOUT))

    def verify(self, action: Mapping[str, Any], oid: str, size: int) -> None:
        """Let the server confirm what it stored, by a ``verify`` action."""
        headers = {"Accept": LFS_MEDIA_TYPE, "Content-Type": LFS_MEDIA_TYPE, **action.get("header", {})}
        body = {"oid": oid, "size": size}
        _checked(self.http.post(action["href"], json=body, headers=headers, timeout=TIMEOUT))

    def upload(
        self, org: str, dataset: str, content: bytes, storage_token: str | None = None
    ) -> tuple[str, int]:
        """Bring the bytes to the dataset's store, unless it has them; their sha256 and size."""
        oid, size = hashlib.sha256(content).hexdigest(), len(content)
        storage_token = storage_token or self.storage_token(org, dataset)
        (answer,) = self.batch(org, dataset, "upload", [{"oid": oid, "size": size}], storage_token)
        if "error" in answer:
            raise RuntimeError(f"The store does not take {oid}: {answer['error']}")
        actions = answer.get("actions", {})
        if "upload" in actions:
            self.put(actions["upload"], content)
        if "verify" in actions:
            self.verify(actions["verify"], oid, size)
        return oid, size


def _checked(response: requests.Response) -> requests.Response:
    if not response.ok:
        raise Refused(response)
    return response
