"""A large file from Node: the program is killed in the middle and run again, and needs little memory."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from services import node
from tests import npm_package
from tests.e2e.test_client_readme import Scene, scene  # noqa: F401

#: Bytes. Node collects its garbage when it likes: a small file says little of memory that grows with files.
MOST_MEMORY = 1 << 30
MEMORY = "\nconsole.log('memory', process.resourceUsage().maxRSS);\n"


@pytest.mark.proof(mebibytes=(384, 5 << 10))
def test_a_large_file_of_a_script_that_is_killed(
    scene: Scene,  # noqa: F811
    counts: dict[str, int],
    tmp_path: Path,
    record_property: Any,
):
    size = counts["mebibytes"] << 20
    (tmp_path / "node_modules").symlink_to(npm_package.project() / "node_modules")
    with (tmp_path / "measurements.csv").open("wb") as file:
        file.truncate(size)
    (tmp_path / "upload.mjs").write_text(scene.example("node: upload.mjs") + MEMORY)
    environment = {**os.environ, "CKAN_API_TOKEN": scene.editor.client.token or ""}

    def started() -> subprocess.Popen[str]:
        command = [node.NODE, "upload.mjs"]
        return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True)

    with started() as killed:
        assert killed.stdout
        assert any(re.match(r"sending [1-9]", line) for line in killed.stdout), "nothing was sent"
        killed.kill()
    (unfinished,) = scene.editor.client.action("external_storage_upload_list")
    there = 100 * unfinished["arrived"] // size
    assert there > 0

    with started() as process:
        assert process.stdout
        told = process.stdout.read()
    assert process.returncode == 0
    percents = [int(percent) for percent in re.findall(r"^sending (\d+) %", told, re.MULTILINE)]
    assert [percent for percent in percents if 0 < percent < there] == [], "it was sent again"
    (resource,) = scene.resources()
    assert resource["size"] == size
    memory = int(re.findall(r"^memory (\d+)", told, re.MULTILINE)[0]) << 10
    record_property("memory_bytes", memory)
    assert memory < MOST_MEMORY
