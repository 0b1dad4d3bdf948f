"""The examples of sdk/README.md, run as they stand: against a live site, in Node and in Chromium."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from services import node
from services.checkout import ROOT
from tests import npm_package
from tests.e2e.conftest import LiveSite, Person, log_in

README = ROOT / "sdk" / "README.md"
DATA = b"river,level\nRhine,3\n"


@dataclass
class Scene:
    site: LiveSite
    editor: Person
    organization: str
    dataset: dict[str, Any]

    def example(self, name: str) -> str:
        """The code block that begins with this comment, for this scene's dataset."""
        (code,) = re.findall(rf"```js\n// {re.escape(name)}\n(.*?)```", README.read_text(), re.DOTALL)
        for placeholder, value in (
            ("https://data.example.org", self.site.url),
            ("my-organisation", self.organization),
            ("my-dataset", self.dataset["name"]),
        ):
            assert placeholder in code, placeholder
            code = code.replace(placeholder, value)
        return code

    def resources(self) -> list[dict[str, Any]]:
        return self.editor.client.action("package_show", id=self.dataset["id"])["resources"]


@pytest.fixture
def scene(site: LiveSite) -> Scene:
    editor = site.person("Edda Editor")
    organization = site.organization(editor=editor)["name"]
    name = f"levels-of-{organization}"
    dataset = editor.client.action("package_create", name=name, title="Levels", owner_org=organization)
    return Scene(site, editor, organization, dataset)


def in_node(scene: Scene, name: str, directory: Path) -> str:
    """What the example prints, in a project of its own that has a file and a folder."""
    if not (directory / "node_modules").exists():
        (directory / "node_modules").symlink_to(npm_package.project() / "node_modules")
        (directory / "measurements.csv").write_bytes(DATA)
        (directory / "my-folder" / "inner").mkdir(parents=True)
        for file in ("a.csv", "inner/b.csv"):
            (directory / "my-folder" / file).write_text(file)
    program = name.removeprefix("node: ")
    (directory / program).write_text(scene.example(name))
    done = subprocess.run(
        [node.NODE, program],
        cwd=directory,
        env={**os.environ, "CKAN_API_TOKEN": scene.editor.client.token or ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


def test_in_node(scene: Scene, tmp_path: Path):
    assert "done 100 %" in in_node(scene, "node: upload.mjs", tmp_path)
    in_node(scene, "node: folder.mjs", tmp_path)
    first, *others = scene.resources()
    assert (first["name"], first["sha256"]) == ("Measurements", hashlib.sha256(DATA).hexdigest())
    assert first["url"].endswith("/measurements.csv")
    assert [resource["name"] for resource in others] == ["a.csv", "b.csv"]
    assert [resource["size"] for resource in others] == [5, 11]

    before = scene.editor.client.action("package_show", id=scene.dataset["id"])
    told = in_node(scene, "node: older.mjs", tmp_path)
    assert "the dataset has it already" in told
    assert "My measurements" in told
    after = scene.editor.client.action("package_show", id=scene.dataset["id"])
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"title", "tags", "num_tags", "metadata_modified"}


def test_in_a_page(scene: Scene, browser: Browser):
    package = npm_package.project() / "node_modules" / npm_package.NAME / "dist"
    context = browser.new_context(base_url=scene.site.url, locale="en")
    page = context.new_page()
    page.route(
        "**/ckanext-publish-client/*",
        lambda route: route.fulfill(path=package / route.request.url.rpartition("/")[2]),
    )
    log_in(page, scene.editor)
    page.goto(f"/dataset/{scene.dataset['name']}")
    page.evaluate(
        """() => document.body.insertAdjacentHTML("beforeend", `<input type="file" id="my-file">
        <p id="my-status"></p><button id="my-pause"></button><button id="my-resume"></button>
        <button id="my-abort"></button>`)"""
    )
    ready = "document.body.dataset.ready = 'yes';"
    page.add_script_tag(content=scene.example('browser: in a <script type="module">') + ready, type="module")
    page.wait_for_selector("body[data-ready]")
    page.set_input_files("#my-file", {"name": "levels.csv", "mimeType": "text/csv", "buffer": DATA})
    expect(page.locator("#my-status")).to_have_text("Saved")
    context.close()
    (resource,) = scene.resources()
    assert (resource["size"], resource["sha256"]) == (len(DATA), hashlib.sha256(DATA).hexdigest())
