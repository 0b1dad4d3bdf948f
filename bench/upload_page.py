"""CKAN's resource form in Chromium, on a site of its own, for figures about uploads from a browser."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from bench import large_files, site
from bench.figures import form_upload
from bench.site import Site
from demo.client import Client
from services.settings import Settings

MIB = 1 << 20
#: Milliseconds for whatever is waited for.
_PATIENCE = 1_800_000
_WORKER_SECONDS = 60
#: One file; see assets/external_storage/src/file_row.ts.
ROW = ".external-storage-row"
#: Core's, which our script takes over.
_FILE = "#field-resource-upload"
_ENDED = f"{ROW}:is([data-state=done], [data-state=failed])"
_SENT = f"{ROW}:is([data-state=checking], [data-state=done], [data-state=failed])"
_HASH = """([input, worker]) => new Promise((resolve, reject) => {
  const started = performance.now();
  const hashing = new Worker(worker);
  hashing.onmessage = ({ data }) => {
    if (data.kind === "hashed") return;
    hashing.terminate();
    data.kind === "done" ? resolve((performance.now() - started) / 1000) : reject(new Error(data.kind));
  };
  hashing.postMessage({ blob: document.querySelector(input).files[0] });
})"""
_SEND = """async ([input, requests, atOnce]) => {
  const file = document.querySelector(input).files[0];
  const started = performance.now();
  const next = requests[Symbol.iterator]();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const { method, href, header, from, to } of next) {
      const answer = await fetch(href, { method, headers: header, body: file.slice(from, to) });
      await answer.text();
      if (!answer.ok) throw new Error(`${answer.status} of ${method}`);
    }
  }));
  return (performance.now() - started) / 1000;
}"""
#: A field of our own, which nothing on the page listens to.
_INPUT = "#bench-file"
_MAKE_INPUT = """() => {
  const input = document.createElement("input");
  Object.assign(input, { type: "file", id: "bench-file" });
  document.body.append(input);
}"""


class LargeFile:
    """Of *size* bytes that do not compress; new for everybody after each `change`."""

    def __init__(self, path: Path, size: int):
        self.path, self.size = path, size
        block = hashlib.shake_256(uuid.uuid4().bytes).digest(MIB)
        with path.open("wb") as file:
            for start in range(0, size, MIB):
                file.write(block[: min(MIB, size - start)])

    def change(self) -> Path:
        with self.path.open("r+b") as file:
            file.write(uuid.uuid4().bytes)
        return self.path


@contextmanager
def large_file(size: int) -> Iterator[LargeFile]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        yield LargeFile(Path(directory) / "large.bin", size)


@dataclass(frozen=True)
class Form:
    """``forget``: removes the files that are stored. ``requests``: those that bring a file of so many bytes,
    and how many at once; for each method, address, headers and where in the file its bytes are."""

    page: Page
    on: Site
    pid: int
    address: str
    forget: Callable[[], None]
    requests: Callable[[int], tuple[list[dict[str, Any]], int]] | None = None

    def open(self) -> None:
        self.page.goto(self.address)
        self.page.locator(_FILE).wait_for(state="attached")
        self.page.wait_for_load_state("networkidle")

    def upload(self, file: Path) -> tuple[float, float]:
        """Seconds until all bytes were sent, and until they were checked."""
        started = time.perf_counter()
        self.begin(file)
        self.page.wait_for_selector(_SENT, timeout=_PATIENCE)
        sent = time.perf_counter() - started
        self.page.wait_for_selector(_ENDED, timeout=_PATIENCE)
        checked = time.perf_counter() - started
        assert self.has_ended()
        return sent, checked

    def begin(self, file: Path) -> None:
        self.page.locator(_FILE).set_input_files(file)

    def has_ended(self) -> bool:
        """Raises AssertionError with what the form says, if the upload has failed."""
        row = self.page.locator(ROW)
        state = row.get_attribute("data-state")
        assert state != "failed", row.inner_text()
        return state == "done"

    def hash(self, file: Path) -> float:
        """Seconds for hashing it and nothing else."""
        self._choose(file)
        return self.page.evaluate(_HASH, [_INPUT, "/external_storage/hash_worker.js"])

    def send(self, file: Path) -> float:
        """Seconds for sending it and nothing else."""
        assert self.requests
        requests, at_once = self.requests(file.stat().st_size)
        self._choose(file)
        return self.page.evaluate(_SEND, [_INPUT, requests, at_once])

    def submit(self, file: Path) -> float:
        """Seconds until the page after the form that brings the file is there."""
        self.page.locator(_FILE).set_input_files(file)
        with self.page.expect_navigation(timeout=_PATIENCE):
            started = time.perf_counter()
            self.page.locator("button[name=save]").last.click()
        seconds = time.perf_counter() - started
        assert not self.page.url.endswith("/new"), "the form came again"
        return seconds

    def _choose(self, file: Path) -> None:
        if not self.page.locator(_INPUT).count():
            self.page.evaluate(_MAKE_INPUT)
        self.page.set_input_files(_INPUT, file)


@contextmanager
def on_disk(settings: Settings, browser: Browser) -> Iterator[Form]:
    with _ours(settings, browser, {}) as (form, client, organization, dataset):
        on = form.on

        def requests(size: int) -> tuple[list[dict[str, Any]], int]:
            token = client.storage_token(organization, dataset)
            header = {"Authorization": f"Bearer {token}"}
            begin = client.http.post(
                f"{client.lfs}/{organization}/{dataset}.git/uploads", json={"size": size}, headers=header
            )
            header.update({"Tus-Resumable": "1.0.0", "Upload-Offset": "0"})
            header["Content-Type"] = "application/offset+octet-stream"
            href = f"{client.lfs}/uploads/{begin.json()['id']}/tus"
            return [{"method": "PATCH", "href": href, "header": header, "from": 0, "to": size}], 1

        forget = partial(on.call, form_upload.forget_files, dataset)
        yield Form(form.page, on, form.pid, form.address, forget, requests)


@contextmanager
def on_s3(settings: Settings, browser: Browser) -> Iterator[Form]:
    with (
        large_files.bucket(settings) as (s3, bucket, options),
        _ours(settings, browser, options) as (form, client, _organization, _dataset),
        _worker(form.on),
    ):
        rule = {
            "AllowedOrigins": [client.url],
            "AllowedMethods": ["PUT", "GET"],
            "AllowedHeaders": ["content-type", "if-none-match", "x-amz-checksum-sha256"],
            "ExposeHeaders": ["ETag"],
        }
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})

        def requests(size: int) -> tuple[list[dict[str, Any]], int]:
            part = {"Bucket": bucket, "Key": str(uuid.uuid4())}
            part["UploadId"] = s3.create_multipart_upload(**part)["UploadId"]
            made = []
            for number, start in enumerate(range(0, size, 16 * MIB), 1):
                href = s3.generate_presigned_url("upload_part", {**part, "PartNumber": number})
                to = min(start + 16 * MIB, size)
                made.append({"method": "PUT", "href": href, "header": {}, "from": start, "to": to})
            return made, 4

        def forget() -> None:
            for upload in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", []):
                s3.abort_multipart_upload(Bucket=bucket, Key=upload["Key"], UploadId=upload["UploadId"])
            for item in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
                s3.delete_object(Bucket=bucket, Key=item["Key"])

        yield Form(form.page, form.on, form.pid, form.address, forget, requests)


@contextmanager
def of_core(settings: Settings, browser: Browser) -> Iterator[Form]:
    """CKAN's own form and uploader, without our plugins."""
    with _site(settings, "") as (on, port):
        url, _token, dataset = on.call(form_upload.prepare, port)
        page = _logged_in(browser, on, url, dataset)
        forget = partial(on.call, form_upload.forget_files, dataset)
        yield Form(page, on, on.call(os.getpid), f"/dataset/{dataset}/resource/new", forget)


@contextmanager
def _ours(
    settings: Settings, browser: Browser, options: Mapping[str, str]
) -> Iterator[tuple[Form, Client, str, str]]:
    more = {"ckanext.external_storage.max_unfinished_uploads": "0", **options}
    plugins = "authz_service external_storage"
    with _site(settings, plugins, more) as (on, port):
        url = on.call(site.serve, port)
        token, organization, dataset = on.call(large_files.prepare)
        page = _logged_in(browser, on, url, dataset)
        form = Form(page, on, on.call(os.getpid), f"/dataset/{dataset}/resource/new", lambda: None)
        yield form, Client(url, f"{url}/lfs", token), organization, dataset


@contextmanager
def _site(
    settings: Settings, plugins: str, options: Mapping[str, str] | None = None
) -> Iterator[tuple[Site, int]]:
    """One that knows under which address browsers will find it, and the port of that."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    own = {"ckan.site_url": f"http://127.0.0.1:{port}", **(options or {})}
    with site.running(settings, plugins, own) as on:
        yield on, port


def _logged_in(browser: Browser, on: Site, url: str, dataset: str) -> Page:
    password = secrets.token_hex()
    user = on.call(let_log_in, dataset, password)
    page = browser.new_page(base_url=url, locale="en")
    page.goto("/user/login")
    page.locator("#field-login").fill(user)
    page.locator("#field-password").fill(password)
    page.locator("#field-password").press("Enter")
    page.locator(".account-masthead .username").wait_for()
    return page


@contextmanager
def _worker(on: Site) -> Iterator[None]:
    """That of CKAN, which checks what came to the store."""
    command = [str(Path(sys.executable).with_name("ckan")), "-c", on.call(ini_of_site), "jobs", "worker"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + _WORKER_SECONDS
        while not on.call(worker_alive):
            assert time.monotonic() < deadline, "the worker does not come up"
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


# --- in the site -------------------------------------------------------------------------------------------


def let_log_in(dataset: str, password: str) -> str:
    """The name of the dataset's editor, who now has this *password*."""
    from ckan import model

    package = model.Package.get(dataset)
    assert package
    user = model.User.get(package.creator_user_id)
    assert user
    user.password = password
    model.repo.commit()
    return user.name


def ini_of_site() -> str:
    from ckan.plugins import toolkit as tk

    return tk.config["__file__"]


def worker_alive() -> bool:
    from ckanext.external_storage import jobs

    return jobs.worker_alive()
