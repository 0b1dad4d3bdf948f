"""A site whose files are in a real giftless: scripts and browsers send them there themselves."""

from __future__ import annotations

import multiprocessing
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from ckan import model
from ckan.lib.jobs import Worker
from ckan.plugins import toolkit as tk
from ckan.tests import factories
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from ckanext.authz_service import giftless, keys
from ckanext.external_storage import jobs
from demo.client import Client
from tests import npm_package
from tests.e2e.conftest import PATIENCE, log_in
from tests.e2e.people import PASSWORD, Person
from tests.e2e.upload_form import file_chooser
from tests.giftless_server import Giftless, keys_of_a_site, running
from tests.interop import documents
from tests.portal import Portal, editor_and_dataset, oid_of, standing

OPTION = "ckanext.external_storage."
#: More than a file that is always hashed first: so the client hears from the site that it must.
DATA = b"0123456789abcdef" * ((1 << 20) + 1)
TABLE = b"river,level\nRhine,3\n"

PROGRAM = """
import { Client, savedAs, sourceOf } from "ckanext-publish-client";
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";

const { url, token, organization, dataset, path, most } = JSON.parse(await text(process.stdin));
const client = new Client(token, organization, dataset, url, null, {}, { hashFirstMax: most });
const states = new Set();
const upload = client.upload(await sourceOf(path));
upload.onProgress(({ state }) => states.add(state));
try {
  const uploaded = await upload.start();
  const resource = { package_id: dataset, ...savedAs(uploaded, "a.csv") };
  const saved = await client.action("resource_create", resource);
  const file = new File([await readFile(path)], "levels.csv");
  const sentAgain = [];
  for (const same of [path, { path }, file, { name: "b.csv", blob: file }, { descriptor: file }]) {
    sentAgain.push(await client.pushBlob(same));
  }
  console.log(JSON.stringify({ states: [...states], uploaded, resource: saved.result, sentAgain }));
} catch (error) {
  console.log(JSON.stringify({ states: [...states], code: error.code, message: error.message }));
}
"""


@pytest.fixture(scope="module")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keys_of_a_site(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def server(keys_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Giftless]:
    for_pages = documents.filled_in(
        documents.example("external_storage_giftless", "giftless.yaml, the part for browsers"),
        {"https://data.example.org": "'*'"},
    )
    directory = tmp_path_factory.mktemp("giftless")
    public_key = keys.public_path(keys_dir, giftless.ROLE)
    with running(public_key, directory, action_lifetime=1, for_pages=for_pages) as found:
        yield found


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def url(portal: Portal, server: Giftless, keys_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The site at an address, for clients in processes of their own."""
    site = make_server("127.0.0.1", 0, portal.app.app, threaded=True)
    url = f"http://127.0.0.1:{site.server_port}"
    monkeypatch.setitem(tk.config, "ckan.site_url", url)
    monkeypatch.setitem(tk.config, "ckanext.authz_service.keys_dir", str(keys_dir))
    monkeypatch.setitem(tk.config, OPTION + "storage_service_url", server.url)
    threading.Thread(target=site.serve_forever, daemon=True).start()
    yield url
    site.shutdown()


@pytest.fixture
def worker(portal: Portal, url: str) -> Iterator[None]:
    """``ckan jobs worker``, but for the time that it takes to start."""
    model.Session.remove()
    model.meta.engine.dispose()  # it must not share a connection with this process
    process = multiprocessing.get_context("fork").Process(target=lambda: Worker().work())
    process.start()
    while not jobs.worker_alive():
        assert process.is_alive()
        time.sleep(0.1)
    yield
    process.terminate()
    process.join(30)


def upload(url: str, tmp_path: Path, data: bytes, **question: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new dataset, and what the program says of the upload to it."""
    editor, dataset = editor_and_dataset()
    (tmp_path / "levels.csv").write_bytes(data)
    (tmp_path / "program").mkdir()
    question |= {
        "url": url,
        "token": editor["token"],
        "organization": dataset["organization"]["name"],
        "dataset": dataset["name"],
        "path": str(tmp_path / "levels.csv"),
    }
    return dataset, npm_package.run(PROGRAM, tmp_path / "program", question)


def test_a_script_sends_a_file_that_is_checked(server: Giftless, url: str, worker: None, tmp_path: Path):
    dataset, told = upload(url, tmp_path, DATA)
    assert told["states"] == ["sending", "hashing", "checking", "done"]
    assert told["uploaded"]["uploadId"]
    assert told["uploaded"]["oid"] == told["resource"]["sha256"] == oid_of(DATA)
    assert told["sentAgain"] == [False] * 5
    assert (server.files / "ckan" / dataset["id"] / oid_of(DATA)).read_bytes() == DATA
    assert requests.get(told["resource"]["url"], timeout=30).content == DATA


def test_a_script_sends_a_file_that_is_believed(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(tk.config, OPTION + "verify_external", False)
    _, told = upload(url, tmp_path, TABLE)
    assert told["uploaded"]["uploadId"] is None
    assert (told["resource"]["sha256"], told["resource"]["size"]) == (oid_of(TABLE), len(TABLE))
    assert told["sentAgain"] == [False] * 5


def test_a_script_does_not_read_what_is_too_large(url: str, tmp_path: Path):
    _, told = upload(url, tmp_path, DATA, most=len(DATA) - 1)
    assert (told["code"], told["states"]) == ("hash_first", ["sending", "failed"])
    assert "16 MB" in told["message"]


def test_the_form_sends_files_that_are_checked_and_believed(
    server: Giftless,
    url: str,
    worker: None,
    browser: Browser,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    user: Any = factories.UserWithToken(password=PASSWORD)
    organization = factories.Organization(users=[{"name": user["name"], "capacity": "editor"}])
    dataset = factories.Dataset(owner_org=organization["id"])
    context = browser.new_context(base_url=url, locale="en")
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    log_in(page, Person(user["name"], PASSWORD, Client(url, f"{url}/lfs", user["token"])))
    for name, data in (("checked.csv", TABLE), ("believed.csv", TABLE * 2)):
        monkeypatch.setitem(tk.config, OPTION + "verify_external", name == "checked.csv")
        (tmp_path / name).write_bytes(data)
        page.goto(f"/dataset/{dataset['name']}/resource/new")
        file_chooser(page, page.locator("#resource-upload-button").click).set_files(tmp_path / name)
        expect(page.locator(".external-storage-row")).to_contain_text("Uploaded and checked.")
        page.locator("button[name=save].btn-primary").click()
        expect(page).not_to_have_url(re.compile("/resource/new$"))
        assert (server.files / "ckan" / dataset["id"] / oid_of(data)).read_bytes() == data
    context.close()
    saved = tk.get_action("package_show")({"ignore_auth": True}, {"id": dataset["id"]})["resources"]
    assert [(resource["name"], resource["sha256"], resource["size"]) for resource in saved] == [
        ("checked.csv", oid_of(TABLE), len(TABLE)),
        ("believed.csv", oid_of(TABLE * 2), 2 * len(TABLE)),
    ]
