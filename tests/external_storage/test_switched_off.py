"""Without the plugin, the site goes on showing what it has stored with it, except the bytes."""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import ckantoolkit as tk
import pytest
from ckan.tests import factories, helpers
from werkzeug.serving import make_server

from tests.external_storage.test_recipes import run
from tests.interop import documents
from tests.portal import Portal, editor_and_dataset, standing


def test_who_leaves_for_good_takes_the_files_along(tmp_path: Path):
    data = f"id,value\n1,{uuid.uuid4()}\n".encode()
    with standing() as portal:
        editor, dataset = editor_and_dataset(private=True)
        resource = portal.publish(editor, dataset, data, "rain.csv")
        server = make_server("127.0.0.1", 0, portal.app.flask_app, threaded=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        values = {
            "https://data.example.org": tk.config["ckan.site_url"],
            "/var/lib/ckan/default": tk.config["ckan.storage_path"],
            # Other tests leave datasets whose files are gone, on purpose.
            '"sort": "id asc"': f'"sort": "id asc", "fq": "id:{dataset["id"]}"',
        }
        script = documents.filled_in(documents.example("external_storage_upkeep", "leave.py"), values)
        address = f"http://127.0.0.1:{server.server_port}"
        run([sys.executable, "-c", script], address, factories.SysadminWithToken(), tmp_path)
        server.shutdown()
    with helpers.changed_config("ckan.plugins", ""), standing() as portal:
        assert portal.get(resource["url"], editor).data == data


@pytest.fixture(params=["", "authz_service versioning"], ids=["no plugin", "history"])
def without(request) -> Iterator[tuple[Portal, dict, dict]]:
    """The site without the plugin, a dataset from when it was there, and its resource."""
    with standing() as portal:
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, b"a,b\n1,2\n", "rain.csv")
    with helpers.changed_config("ckan.plugins", request.param), standing() as portal:
        yield portal, dataset, resource


def test_pages_and_metadata_are_there_and_the_file_is_not(without):
    portal, dataset, resource = without
    address = f"/dataset/{dataset['name']}/resource/{resource['id']}"
    assert dataset["title"] in portal.get(f"/dataset/{dataset['name']}", status=200).text
    assert "rain.csv" in portal.get(address, status=200).text
    shown = portal.action("resource_show", id=resource["id"])
    assert (shown["sha256"], shown["size"]) == (resource["sha256"], 8)
    assert portal.action("package_search", q=f"id:{dataset['id']}")["count"] == 1
    with suppress(FileNotFoundError):  # what core makes of any file that its FileStore has lost
        assert portal.get(f"{address}/download/rain.csv").status_code == 404
