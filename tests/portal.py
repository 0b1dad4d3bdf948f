"""A portal as its users see it: everything over HTTP, through the whole application."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ckan import model, plugins
from ckan.lib import search, uploader
from ckan.plugins import toolkit as tk
from ckan.tests import factories, helpers
from werkzeug.datastructures import FileStorage

LFS_JSON = "application/vnd.git-lfs+json"


def oid_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def pointer(data: bytes) -> dict[str, Any]:
    return {"oid": oid_of(data), "size": len(data)}


@dataclass
class Portal:
    """``app`` is the test application; users are dicts with a ``token`` (`factories.UserWithToken`)."""

    app: Any

    def __post_init__(self) -> None:
        self.client = self.app.test_client()  # which also sends what ``app`` has no method for

    def action(self, name: str, /, user: dict[str, Any] | None = None, status: int = 200, **data: Any) -> Any:
        """The result of an action called over the API, or its error if *status* is one."""
        headers = {"Authorization": user["token"]} if user else {}
        response = self.app.post(f"/api/3/action/{name}", json=data, headers=headers, status=status)
        return response.json["result" if status == 200 else "error"]

    def get(self, url: str, user: dict[str, Any] | None = None, **kwargs: Any) -> Any:
        headers = {"Authorization": user["token"]} if user else {}
        return self.app.get(path(url), headers={**headers, **kwargs.pop("headers", {})}, **kwargs)

    def token(self, user: dict[str, Any] | None, *scopes: str) -> str:
        return self.action("authz_authorize", user, scopes=list(scopes))["token"]

    def write_token(self, user: dict[str, Any], dataset: dict[str, Any]) -> str:
        return self.token(user, f"obj:{organization(dataset)}/{dataset['name']}/*:read,write")

    def batch(
        self,
        dataset: dict[str, Any],
        token: str,
        operation: str,
        *pointers: Any,
        status: int = 200,
        transfers: Sequence[str] = ("basic",),
    ) -> Any:
        """The answered objects, or the whole message if *status* is an error."""
        response = self.app.post(
            f"/lfs/{organization(dataset)}/{dataset['name']}.git/info/lfs/objects/batch",
            data=json.dumps({"operation": operation, "objects": pointers, "transfers": transfers}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": LFS_JSON, "Accept": LFS_JSON},
            status=status,
        )
        assert response.headers["Content-Type"] == LFS_JSON
        message = json.loads(response.body)
        return message["objects"] if status == 200 else message

    def put(self, action: dict[str, Any], data: bytes, status: int = 200) -> Any:
        return self.client.put(path(action["href"]), data=data, headers=action["header"], status=status)

    def verify(self, action: dict[str, Any], data: bytes, status: int = 200) -> Any:
        headers = {**action["header"], "Content-Type": LFS_JSON}
        return self.app.post(
            path(action["href"]), data=json.dumps(pointer(data)), headers=headers, status=status
        )

    def push(self, user: dict[str, Any], dataset: dict[str, Any], data: bytes) -> str:
        """Bring *data* into the dataset as a git-lfs client does; its oid."""
        (answer,) = self.batch(dataset, self.write_token(user, dataset), "upload", pointer(data))
        if actions := answer.get("actions"):
            self.put(actions["upload"], data)
            self.verify(actions["verify"], data)
        return answer["oid"]

    def publish(
        self, user: dict[str, Any], dataset: dict[str, Any], data: bytes, name: str = "data.csv"
    ) -> dict[str, Any]:
        """A resource with these bytes."""
        oid = self.push(user, dataset, data)
        return self.action(
            "resource_create", user, package_id=dataset["id"], url=name, url_type="upload", sha256=oid
        )


@contextmanager
def standing() -> Iterator[Portal]:
    """One application with the plugins loaded, for many tests that set nothing up in it."""
    plugins.load_all()
    yield Portal(helpers._get_test_app())
    plugins.unload_all()


def organization(dataset: dict[str, Any]) -> str:
    return dataset["organization"]["name"] if dataset.get("organization") else "ckan"


def path(url: str) -> str:
    """An absolute URL of the test site as the test application wants it."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def editor_and_dataset(**fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new editor, and a dataset in the one organisation they can edit."""
    editor = factories.UserWithToken()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    return editor, factories.Dataset(owner_org=organization["id"], **fields)


def classic_resource(dataset: dict[str, Any], data: bytes, filename: str) -> dict[str, Any]:
    """A resource of a dataset without others, whose file CKAN's own FileStore took in; no action made it."""
    given = {"upload": FileStorage(io.BytesIO(data), filename)}
    upload = uploader.get_resource_uploader(given)  # which says more of the resource
    resource = model.Resource(name="Classic", package_id=dataset["id"], **given)
    resource.position = 0
    upload.upload(resource.id)
    model.Session.add(resource)
    model.repo.commit()
    id = resource.id
    model.Session.remove()
    search.rebuild(dataset["id"])
    return tk.get_action("resource_show")({"ignore_auth": True}, {"id": id})


def classic_path(resource: dict[str, Any]) -> Path:
    """Where CKAN's own FileStore has the resource's file."""
    id = resource["id"]
    return Path(tk.config["ckan.storage_path"], "resources", id[:3], id[3:6], id[6:])
