"""The snippets of docs/external_storage_recipes.rst, run against a running site by programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ckantoolkit as tk
import pytest
from werkzeug.serving import make_server

from tests.interop import documents
from tests.portal import Portal, editor_and_dataset


@pytest.fixture
def proxy(app) -> Iterator[str]:
    """The running site is its own proxy: so it is reached at the address that its configuration says."""
    server = make_server("127.0.0.1", 0, app.flask_app, threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def snippet(caption: str, **values: str) -> str:
    values = {"https://data.example.org": tk.config["ckan.site_url"], **values}
    return documents.filled_in(documents.example("external_storage_recipes", caption), values)


def run(command: list[Any], proxy: str, user: dict[str, Any], directory: Path) -> str:
    done = subprocess.run(
        command,
        cwd=directory,
        env={"PATH": os.environ["PATH"], "CKAN_API_TOKEN": user["token"], "http_proxy": proxy},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def stored(portal: Portal, user: dict[str, Any], dataset: dict[str, Any]) -> dict[str, bytes]:
    """Name → bytes of the dataset's files, as they are downloaded."""
    resources = portal.action("package_show", user, id=dataset["id"])["resources"]
    address = f"/dataset/{dataset['id']}/resource"
    assert all(resource["sha256"] for resource in resources)
    return {r["name"]: portal.get(f"{address}/{r['id']}/download", user).data for r in resources}


def test_curl(portal, proxy, tmp_path: Path):
    editor, dataset = editor_and_dataset()
    (tmp_path / "may.csv").write_bytes(b"day,mm\n1,0\n")
    (tmp_path / "measurements").mkdir()
    expected = {"Rain in May": b"day,mm\n1,0\n"}
    for name in ("a b.csv", "ü, \N{SNOWMAN}.txt", "empty.txt"):
        expected[name] = b"" if name == "empty.txt" else name.encode()
        (tmp_path / "measurements" / name).write_bytes(expected[name])
    for caption in ("file.sh", "folder.sh"):
        script = snippet(caption, rainfall=dataset["name"])
        run(["bash", "-eu", "-c", script], proxy, editor, tmp_path)
    assert stored(portal, editor, dataset) == expected


def test_python(portal, proxy, tmp_path: Path):
    editor, dataset = editor_and_dataset()
    (tmp_path / "publish.py").write_text(snippet("publish.py"))
    (tmp_path / "folder" / "2026 été").mkdir(parents=True)
    expected = {"a.csv": b"a\n1\n", "2026 été/b.csv": b"b\n2\n", "same.csv": b"a\n1\n", "empty": b""}
    for name, data in expected.items():
        (tmp_path / "folder" / name).write_bytes(data)
    publish = [sys.executable, "publish.py", dataset["name"]]
    run([*publish, "folder"], proxy, editor, tmp_path)
    assert stored(portal, editor, dataset) == expected

    before = portal.action("package_show", editor, id=dataset["id"])
    run([*publish, "folder"], proxy, editor, tmp_path)
    assert portal.action("package_show", editor, id=dataset["id"]) == before, "nothing was saved again"
    (tmp_path / "a.csv").write_bytes(b"a\n2\n")
    run([*publish, "a.csv"], proxy, editor, tmp_path)
    assert stored(portal, editor, dataset) == {**expected, "a.csv": b"a\n2\n"}
