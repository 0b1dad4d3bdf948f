"""The TypeScript of uploads in Node, against a running site with either store: sdk/tests/live.test.ts."""

from __future__ import annotations

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ckanext.external_storage import jobs
from services import ini, node
from services.checkout import LOG, ROOT, VENV, write_private
from tests.conftest import SANDBOX
from tests.e2e.conftest import LiveSite, served, site  # noqa: F401 (a fixture)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sdk")
    node.tests(directory)
    return directory / "live.test.mjs"


@pytest.fixture
def site_on_s3(request: pytest.FixtureRequest, s3_options: dict[str, str]) -> Iterator[LiveSite]:
    """With somebody who checks what arrives."""
    box = request.config.stash[SANDBOX]
    path = box.ini.with_name("uploads-s3.ini")
    options = {**box.options, **s3_options, "ckan.plugins": ini.test_plugins()}
    write_private(path, ini.text(options, base=ROOT / "test.ini"))
    with served(path, LOG / f"uploads-site-{box.number}.log") as live:
        worker = subprocess.Popen(
            [VENV / "bin" / "ckan", "-c", path, "jobs", "worker"],
            env={**os.environ, "CKAN_SITE_URL": live.url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not jobs.worker_alive():
            assert worker.poll() is None
            time.sleep(0.1)
        yield live
        worker.terminate()
        worker.wait(timeout=30)


@pytest.mark.parametrize("store", ["local", "s3"])
def test_uploads(store: str, program: Path, request: pytest.FixtureRequest):
    live: LiveSite = request.getfixturevalue("site" if store == "local" else "site_on_s3")
    person = live.person("Nora Node")
    organization = live.organization(editor=person)["name"]
    dataset: Any = person.client.action(
        "package_create", name=f"sent-{uuid.uuid4().hex[:8]}", owner_org=organization
    )
    told = {
        "siteUrl": live.url,
        "lfsUrl": f"{live.url}/lfs",
        "dataset": {"id": dataset["name"], "organization": organization},
        "apiToken": person.client.token,
        "store": store,
    }
    done = subprocess.run(
        [node.NODE, "--test", "--test-reporter=spec", program],
        env={**os.environ, "SITE": json.dumps(told)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
