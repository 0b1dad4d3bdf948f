"""An upload cut on a real server, found again on a page of one's account and continued; another discarded."""

from __future__ import annotations

import socket
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import requests
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LiveSite, log_in

TUS = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}


def send_and_vanish(href: str, headers: dict[str, str], data: bytes, length: int) -> None:
    """A PATCH that promises *length* bytes, brings *data*, and then is reset."""
    parts = urlsplit(href)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        start = (
            f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {length}\r\n{head}\r\n"
        )
        connection.sendall(start.encode() + data)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        time.sleep(0.2)  # so that the server has begun to read


def test_cut_found_again_continued_and_another_discarded(visitor: Page, site: LiveSite):
    person = site.person("Petra Publisher")
    organization = site.organization(editor=person)
    dataset: Any = person.client.action(
        "package_create", name=f"roads-{uuid.uuid4().hex[:8]}", owner_org=organization["id"]
    )
    scope = f"obj:{organization['name']}/{dataset['name']}/*:read,write"
    token = person.client.action("authz_authorize", scopes=[scope])["token"]
    auth = {"Authorization": f"Bearer {token}"}
    begin = f"{site.url}/lfs/{organization['name']}/{dataset['name']}.git/uploads"
    data = uuid.uuid4().bytes * (1 << 17)

    def begun(filename: str) -> dict[str, Any]:
        message = {"size": len(data), "filename": filename}
        return requests.post(begin, json=message, headers=auth, timeout=60).json()

    upload, unwanted = begun("roads.csv"), begun("a draft.csv")
    href = site.url + urlsplit(upload["href"]).path
    send_and_vanish(href, {**TUS, **auth, "Upload-Offset": "0"}, data[: 1 << 20], len(data))

    log_in(visitor, person)
    visitor.goto(f"/user/{person.name}")
    visitor.get_by_role("link", name="Unfinished uploads").click()
    expect(visitor.get_by_role("heading", name="roads.csv")).to_be_visible()
    violations = Axe().run(visitor, context="#content .primary").response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []
    visitor.get_by_role("button", name="Discard a draft.csv").click()
    expect(visitor.get_by_text("The upload is discarded.")).to_be_visible()
    state = requests.get(f"{site.url}/lfs/uploads/{unwanted['id']}", headers=auth, timeout=60).json()["state"]
    assert state == "expired"

    offset = int(requests.head(href, headers={**TUS, **auth}, timeout=60).headers["Upload-Offset"])
    assert 0 <= offset < len(data)
    headers = {**TUS, **auth, "Upload-Offset": str(offset)}
    while requests.patch(href, data=data[offset:], headers=headers, timeout=60).status_code in (409, 423):
        # The old connection had still brought some.
        offset = int(requests.head(href, headers={**TUS, **auth}, timeout=60).headers["Upload-Offset"])
        headers["Upload-Offset"] = str(offset)
    visitor.reload()
    expect(visitor.get_by_text("You have no unfinished uploads.")).to_be_visible()
