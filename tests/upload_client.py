"""A script or browser that brings files into one dataset (docs/external_storage_uploads.rst)."""

from __future__ import annotations

import json
from typing import Any

from tests.portal import Portal, organization, path

TUS = {"Tus-Resumable": "1.0.0"}


class Client:
    """A browser with a token for one dataset."""

    def __init__(self, portal: Portal, user: dict[str, Any], dataset: dict[str, Any]):
        self.portal, self.dataset = portal, dataset
        self.auth = {"Authorization": f"Bearer {portal.write_token(user, dataset)}"}

    def json(self, method: str, url: str, status: int = 200, **message: Any) -> Any:
        answer = self.portal.client.open(
            path(url), method=method, data=json.dumps(message), headers=self.auth, status=status
        )
        return json.loads(answer.data) if answer.data else None

    @property
    def begin_url(self) -> str:
        return f"/lfs/{organization(self.dataset)}/{self.dataset['name']}.git/uploads"

    def begin(self, size: int, status: int = 201, **message: Any) -> Any:
        return self.json("POST", self.begin_url, status, size=size, **message)

    def begin_many(self, *files: Any) -> list[Any]:
        return self.json("POST", self.begin_url, files=files)["files"]

    def show(self, upload: dict[str, Any], status: int = 200) -> Any:
        return self.json("GET", f"/lfs/uploads/{upload['id']}", status)

    def complete(self, upload: dict[str, Any], status: int = 200, **message: Any) -> Any:
        return self.json("POST", f"/lfs/uploads/{upload['id']}/complete", status, **message)

    def tus(self, method: str, upload: Any, status: int, data: bytes = b"", **headers: Any) -> Any:
        given = {name.replace("_", "-"): str(value) for name, value in headers.items()}
        sent = {**TUS, **self.auth, **given}
        return self.portal.client.open(
            path(upload["href"]), method=method, data=data, headers=sent, status=status
        )

    def patch(self, upload: Any, offset: int, data: bytes, status: int = 204, **headers: Any) -> Any:
        kind = {"Content_Type": "application/offset+octet-stream", "Upload_Offset": offset, **headers}
        return self.tus("PATCH", upload, status, data, **kind)
