"""The story: what this software promises, played over HTTP on a running site, one line per step.

`python -m demo.story` reads ``.run/demo.json`` and ends with status 0, or with 1 and the step that failed.
Its datasets are purged at the end, so it can be played as often as one likes.
"""

from __future__ import annotations

import hashlib
import json
import sys
import uuid
from collections.abc import Callable
from typing import Any

import requests

from demo.client import TIMEOUT, Client, Refused
from demo.samples import BEFORE, FILES
from services.checkout import RUN


class Unexpected(Exception):
    """The site did something else than promised."""


class Story:
    """The steps in order; each uses what the ones before it left in ``self``."""

    def __init__(self, site: dict[str, Any]):
        self.org = site["org"]
        clients = (
            Client(site["url"], site["lfs"], site[name]["token"]) for name in ("sysadmin", "editor", "reader")
        )
        self.sysadmin, self.editor, self.reader = clients
        self.old = (FILES / "seattle-weather.csv").read_bytes()
        self.new = self.old + b"2016-01-01,0.0,8.9,1.1,2.7,sun\n"
        suffix = uuid.uuid4().hex[:8]
        self.name, self.private_name = f"story-{suffix}", f"story-private-{suffix}"

    def steps(self) -> list[tuple[str, Callable[[], None]]]:
        return [
            ("The editor makes a dataset and gets a token for its files", self.token),
            ("A batch asks for the file; it is sent and verified", self.transfer),
            ("resource_create turns it into a resource, described by the server's own record", self.resource),
            ("The state is released as v1", self.release),
            ("A changed file replaces it", self.replace),
            ("The current download has the new bytes", self.current_bytes),
            ("The download of v1 still has the old bytes, sha256 for sha256", self.old_bytes),
            ("Asked for v1, the API tells the dataset as it was", self.old_metadata),
            ("A patch that changes nothing makes no revision", self.nothing_changed),
            ("A reader finds neither new nor old bytes of a private dataset", self.private),
            ("Wrong bytes are refused and leave nothing", self.wrong_bytes),
            ("A token for one dataset does not open another", self.other_dataset),
            ("An interrupted download goes on where it stopped", self.resume),
            ("The dataset goes back to v1, bytes and all, and that is one more version", self.go_back),
            ("A file that comes with the save itself is stored like any other", self.plain_upload),
            ("A file from before the plugins came is still there, its dataset can be edited", self.before),
            ("A token that was taken back opens nothing any more", self.revoke),
        ]

    def token(self) -> None:
        self.dataset = self.editor.action("package_create", name=self.name, owner_org=self.org)
        scope = f"obj:{self.org}/{self.name}/*:read,write"
        answer = self.editor.action("authz_authorize", scopes=[scope])
        expect(answer["granted_scopes"] == [scope], f"granted {answer['granted_scopes']}")
        self.storage_token = answer["token"]

    def transfer(self) -> None:
        answer = self.batch("upload", self.old)
        self.editor.put(answer["actions"]["upload"], self.old)
        self.editor.verify(answer["actions"]["verify"], sha256(self.old), len(self.old))
        expect("actions" not in self.batch("upload", self.old), "the same file was asked for again")

    def resource(self) -> None:
        self.resource_ = self.save("resource_create", self.old, package_id=self.name)
        found = self.resource_["sha256"], self.resource_["size"]
        expect(found == (sha256(self.old), len(self.old)), f"the resource says {found}")

    def release(self) -> None:
        self.editor.action(
            "dataset_release_create", dataset=self.name, name="v1", description="As first published."
        )
        names = [release["name"] for release in self.reader.action("dataset_release_list", dataset=self.name)]
        expect(names == ["v1"], f"the releases are {names}")

    def replace(self) -> None:
        self.editor.upload(self.org, self.name, self.new, self.storage_token)
        self.resource_ = self.save("resource_update", self.new, id=self.resource_["id"])

    def current_bytes(self) -> None:
        content = self.reader.http.get(self.resource_["url"], timeout=TIMEOUT).content
        expect(sha256(content) == sha256(self.new), f"the download has sha256 {sha256(content)}")

    def old_bytes(self) -> None:
        content = self.download(self.reader, self.old_url(self.name, self.resource_)).content
        expect(sha256(content) == sha256(self.old), f"the download has sha256 {sha256(content)}")

    def old_metadata(self) -> None:
        shown = self.reader.action("package_show", id=self.name, revision_ref="v1")
        (resource,) = shown["resources"]
        expect(resource["sha256"] == sha256(self.old), f"v1 is said to have sha256 {resource['sha256']}")
        content = self.download(self.reader, resource["url"]).content
        expect(sha256(content) == sha256(self.old), "the address given for v1 has other bytes")

    def nothing_changed(self) -> None:
        def revisions() -> list[int]:
            return [r["seq"] for r in self.editor.action("dataset_revision_list", id=self.name, all=True)]

        before = revisions()
        self.editor.action("package_patch", id=self.name, title=self.dataset["title"])
        expect(revisions() == before, f"the revisions were {before} and are {revisions()}")

    def private(self) -> None:
        self.editor.action("package_create", name=self.private_name, owner_org=self.org, private=True)
        self.editor.upload(self.org, self.private_name, self.old)
        first = self.save("resource_create", self.old, package_id=self.private_name)
        self.editor.action("dataset_release_create", dataset=self.private_name, name="v1", description="")
        self.editor.upload(self.org, self.private_name, self.new)
        resource = self.save("resource_update", self.new, id=first["id"])
        for url in (resource["url"], self.old_url(self.private_name, resource)):
            expect(self.download(self.editor, url).status_code == 200, f"the editor cannot open {url}")
            for client in (self.reader, Client(self.reader.url, self.reader.lfs)):
                status = self.download(client, url).status_code
                expect(status == 404, f"{url} answered {status}")

    def wrong_bytes(self) -> None:
        content = self.old + b"another end\n"
        upload, verify = (self.batch("upload", content)["actions"][name] for name in ("upload", "verify"))
        expect_refusal(422, lambda: self.editor.put(upload, b"?" * len(content)))
        expect_refusal(404, lambda: self.editor.verify(verify, sha256(content), len(content)))
        expect("error" in self.batch("download", content), "the refused bytes can be downloaded")
        wrong = {"package_id": self.name, "url": "x.csv", "url_type": "upload", "sha256": sha256(content)}
        expect_refusal(409, lambda: self.editor.action("resource_create", **wrong))

    def other_dataset(self) -> None:
        pointer = {"oid": sha256(self.old), "size": len(self.old)}
        for operation in ("upload", "download"):
            expect_refusal(
                404,
                lambda operation=operation: self.editor.batch(
                    self.org, self.private_name, operation, [pointer], self.storage_token
                ),
            )

    def resume(self) -> None:
        url, half = self.resource_["url"], len(self.new) // 2
        with self.reader.http.get(url, stream=True, timeout=TIMEOUT) as interrupted:
            start = interrupted.raw.read(half)
            etag = interrupted.headers["ETag"]
        rest = self.reader.http.get(
            url, headers={"Range": f"bytes={len(start)}-", "If-Range": etag}, timeout=TIMEOUT
        )
        expect(rest.status_code == 206, f"the second request answered {rest.status_code}")
        expect(sha256(start + rest.content) == sha256(self.new), "the two parts are not the file")

    def go_back(self) -> None:
        self.editor.action(
            "dataset_revert", dataset=self.name, revision_ref="v1", version_message="Too early."
        )
        (resource,) = self.reader.action("package_show", id=self.name)["resources"]
        content = self.reader.http.get(resource["url"], timeout=TIMEOUT).content
        expect(sha256(content) == sha256(self.old), f"the download has sha256 {sha256(content)}")
        newest, *_ = self.reader.action("dataset_revision_list", id=self.name)
        expect(newest["message"] == "Too early.", f"the newest version says {newest['message']}")

    def plain_upload(self) -> None:
        resource = self.editor.http.post(
            f"{self.editor.url}/api/action/resource_create",
            data={"package_id": self.name, "name": "Sent by a form"},
            files={"upload": ("weather.csv", self.old)},
            headers={"Authorization": self.editor.token or ""},
            timeout=TIMEOUT,
        ).json()["result"]
        expect(resource.get("sha256") == sha256(self.old), f"the resource says {resource.get('sha256')}")
        content = self.reader.http.get(resource["url"], timeout=TIMEOUT).content
        expect(sha256(content) == sha256(self.old), f"the download has sha256 {sha256(content)}")

    def before(self) -> None:
        name, content = BEFORE.stem, BEFORE.read_bytes()
        (resource,) = self.editor.action("package_show", id=name)["resources"]
        expect(not resource.get("sha256"), "the file is not one of CKAN's own FileStore")
        for notes in ("", f"Edited by {self.name}."):
            self.editor.action("package_patch", id=name, notes=notes)
            found = self.reader.http.get(resource["url"], timeout=TIMEOUT).content
            expect(sha256(found) == sha256(content), f"the download has sha256 {sha256(found)}")

    def revoke(self) -> None:
        answer = self.editor.action("authz_verify", token=self.storage_token)
        expect(answer["verified"], f"the token is not accepted: {answer}")
        self.editor.action("authz_token_revoke", jti=answer["payload"]["jti"])
        expect_refusal(401, lambda: self.batch("download", self.old))

    # What steps share.

    def batch(self, operation: str, content: bytes) -> dict[str, Any]:
        pointer = {"oid": sha256(content), "size": len(content)}
        (answer,) = self.editor.batch(self.org, self.name, operation, [pointer], self.storage_token)
        return answer

    def save(self, action: str, content: bytes, **which: Any) -> dict[str, Any]:
        file = {"url": "seattle-weather.csv", "url_type": "upload", "sha256": sha256(content)}
        return self.editor.action(action, **which, name="Daily weather", format="CSV", **file)

    def old_url(self, dataset: str, resource: dict[str, Any]) -> str:
        return (
            f"{self.editor.url}/dataset/{dataset}/v/v1/resource/{resource['id']}/download/seattle-weather.csv"
        )

    def download(self, client: Client, url: str) -> requests.Response:
        headers = {"Authorization": client.token} if client.token else {}
        return client.http.get(url, headers=headers, timeout=TIMEOUT)

    def clean_up(self) -> None:
        for name in (self.name, self.private_name):
            try:
                self.sysadmin.action("dataset_purge", id=name)
            except Refused as refused:
                if refused.status != 404:  # a story that ended early has not made it
                    raise


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def expect(true: bool, otherwise: str) -> None:
    if not true:
        raise Unexpected(otherwise)


def expect_refusal(status: int, call: Callable[[], Any]) -> None:
    try:
        call()
    except Refused as refused:
        expect(refused.status == status, f"{refused}, not {status}")
    else:
        raise Unexpected(f"accepted, though it must be refused with {status}")


def play(story: Story) -> None:
    """Print a line for each step; raises what the first failing step raised."""
    steps = story.steps()
    try:
        for number, (title, step) in enumerate(steps, 1):
            print(f"{number:4d}. {title} …", end="", flush=True)
            step()
            print(" yes", flush=True)
    finally:
        story.clean_up()


def main() -> int:
    try:
        site = json.loads((RUN / "demo.json").read_text())
    except FileNotFoundError:
        print("There is no .run/demo.json. Run `make demo` first.", file=sys.stderr)
        return 1
    try:
        play(Story(site))
    except (Unexpected, Refused, requests.RequestException) as error:
        print(f" NO\n\nThis step of the story failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
