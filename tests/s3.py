"""A bucket of this test process on the real S3 server, and a site that keeps its files there.

The server is versitygw; `--s3-server minio` takes MinIO instead.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.config import Config

import services.s3
from ckanext.external_storage.storage import s3
from services.s3 import ACCESS_KEY
from services.settings import HOST, Settings
from tests.external_storage import standalone

OPTION = "ckanext.external_storage."


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--s3-server", choices=["s3", "minio"], default="s3", help="s3 is versitygw")


@pytest.fixture(scope="session")
def s3_client(request: pytest.FixtureRequest) -> Any:
    """Of the server's owner, to prepare and to look at what is there."""
    settings = Settings.load()
    assert settings
    return client_of(settings, settings.ports[request.config.option.s3_server])


def client_of(settings: Settings, port: int) -> Any:
    return botocore.session.get_session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=f"http://{HOST}:{port}",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=settings.password,
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


@contextmanager
def server_of_its_own(directory: Path, *options: str) -> Iterator[Any]:
    """A versitygw whose files are below *directory*; the client of its owner."""
    settings, port = Settings.load(), standalone.free_port()
    assert settings
    command = services.s3.versitygw_command(f"{HOST}:{port}", directory, *options)
    log = directory.with_suffix(".log")
    with standalone.running(command, log, **services.s3.versitygw_keys(settings)):
        standalone.wait_for(port, log)
        yield client_of(settings, port)


def make_bucket(client: Any) -> str:
    name = f"test-{uuid.uuid4()}"
    client.create_bucket(Bucket=name)
    return name


def remove_bucket(client: Any, name: str) -> None:
    for page in client.get_paginator("list_multipart_uploads").paginate(Bucket=name):
        for upload in page.get("Uploads", []):
            client.abort_multipart_upload(Bucket=name, Key=upload["Key"], UploadId=upload["UploadId"])
    for page in client.get_paginator("list_object_versions").paginate(Bucket=name):
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            client.delete_object(Bucket=name, Key=version["Key"], VersionId=version["VersionId"])
    client.delete_bucket(Bucket=name)


@pytest.fixture(scope="session")
def bucket(s3_client: Any) -> Iterator[str]:
    name = make_bucket(s3_client)
    yield name
    remove_bucket(s3_client, name)


@pytest.fixture(scope="session")
def s3_options(s3_client: Any, bucket: str) -> dict[str, str]:
    settings = Settings.load()
    assert settings
    return options_for(settings, s3_client, bucket)


def options_for(settings: Settings, client: Any, bucket: str) -> dict[str, str]:
    """The options of a site whose files are in the bucket."""
    return {
        OPTION + "store": "s3",
        OPTION + "s3.bucket": bucket,
        OPTION + "s3.prefix": "portal",
        OPTION + "s3.endpoint_url": client.meta.endpoint_url,
        OPTION + "s3.access_key_id": ACCESS_KEY,
        OPTION + "s3.secret_access_key": settings.password,
    }


@pytest.fixture(scope="session")
def s3_store(s3_options: dict[str, str]) -> s3.S3Store:
    return s3.from_options(s3_options)


@pytest.fixture
def files_on_s3(ckan_config: Any, monkeypatch: pytest.MonkeyPatch, s3_options: dict[str, str]) -> None:
    """The site of this test keeps its files on S3."""
    for name, value in s3_options.items():
        monkeypatch.setitem(ckan_config, name, value)
