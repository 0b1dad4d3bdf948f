"""A site whose files are in a real giftless that keeps them in Azure's blob storage (Azurite)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from ckanext.authz_service import giftless, keys
from tests import azurite, giftless_server
from tests.giftless_server import Giftless
from tests.interop import documents, elsewhere, test_external_giftless
from tests.interop.test_external_giftless import bytes_of, check, save, send
from tests.portal import Portal, editor_and_dataset, oid_of, pointer

portal = test_external_giftless.portal
with_giftless = test_external_giftless.with_giftless
data = test_external_giftless.data

CONTAINER = "files"
_MAKE_CONTAINER = """
import json, sys
from azure.storage.blob import BlobServiceClient

connection_string, container = json.load(sys.stdin)
BlobServiceClient.from_connection_string(connection_string).create_container(container)
print("null")
"""


@pytest.fixture(scope="module")
def server(keys_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Giftless]:
    directory = tmp_path_factory.mktemp("azure")
    with azurite.running(directory) as connection_string:
        python = elsewhere.python(*giftless_server.ON_AZURE)
        elsewhere.answer([python, "-c", _MAKE_CONTAINER], [connection_string, CONTAINER])
        adapters = documents.filled_in(
            documents.example("external_storage_giftless", "giftless.yaml, the part for Azure"),
            {"the connection string of the account": connection_string, "my-container": CONTAINER},
        )
        public_key = keys.public_path(keys_dir, giftless.ROLE)
        with giftless_server.running(public_key, directory, 10, adapters) as found:
            yield found


def put(action: dict[str, Any], data: bytes) -> requests.Response:
    return requests.put(action["href"], data=data, headers=action["header"], timeout=60)


@pytest.mark.proof(mebibytes=(0, 100))
def test_files_in_azure(portal: Portal, server: Giftless, data: bytes, counts):
    editor, dataset = editor_and_dataset()
    resource = send(portal, editor, dataset, data)
    assert bytes_of(portal, resource) == data

    # A client sends to Azure itself.
    large = uuid.uuid4().bytes * (counts["mebibytes"] << 16)
    token = portal.write_token(editor, dataset)
    (answer,) = portal.batch(dataset, token, "upload", pointer(large))
    upload, verify = answer["actions"]["upload"], answer["actions"]["verify"]
    assert f"/{CONTAINER}/ckan/{dataset['id']}/{oid_of(large)}?" in upload["href"]
    assert not upload["href"].startswith(server.url)
    portal.verify(verify, large, status=409)
    assert put(upload, large).status_code == 201
    assert put(upload, large[::-1]).status_code == 403, "it cannot be replaced"
    portal.verify(verify, large, status=202)
    assert "being checked" in str(save(portal, editor, dataset, large, status=409))
    assert check(dataset) == "verified"
    portal.verify(verify, large)
    assert bytes_of(portal, save(portal, editor, dataset, large)) == large

    (answer,) = portal.batch(dataset, token, "download", pointer(large))
    download = answer["actions"]["download"]
    assert not download["href"].startswith(server.url)
    assert requests.get(download["href"], headers=download["header"], timeout=60).content == large

    # What is not what it should be.
    (answer,) = portal.batch(dataset, token, "upload", pointer(data[::-1]))
    assert put(answer["actions"]["upload"], data).status_code == 201
    portal.verify(answer["actions"]["verify"], data[::-1], status=202)
    assert check(dataset) == "rejected"
    assert "sha256" in str(save(portal, editor, dataset, data[::-1], status=409))
