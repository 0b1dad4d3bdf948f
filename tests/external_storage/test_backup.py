"""The snippets of docs/external_storage_backup.rst: what they have saved, they bring back."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model

from ckanext.external_storage import model
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import bringing, verifying
from services import databases, ini, sandbox
from services.settings import Settings
from tests.interop import documents
from tests.portal import oid_of


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """A database of CKAN with nothing in it, which the test may destroy."""
    settings, name = Settings.load(), f"backup_{uuid.uuid4().hex}"
    assert settings
    assert ckan_model.meta.engine
    databases.create(settings, name, sandbox.TEMPLATE_PREFIX + databases.schema_version(ini.test_plugins()))
    engine = sa.create_engine(ckan_model.meta.engine.url.set(database=name))
    yield engine
    engine.dispose()
    databases.drop(settings, name)


def run(caption: str, engine: sa.Engine, store: Path, backup: Path) -> None:
    script = documents.filled_in(
        documents.example("external_storage_backup", caption),
        {"/backup": str(backup), "/var/lib/ckan/objects": str(store)},
    )
    database = engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        env={"PATH": os.environ["PATH"], "DATABASE": database},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_what_was_saved_comes_back(engine: sa.Engine, tmp_path: Path):
    store, backup = LocalStore(tmp_path / "store"), tmp_path / "backup"
    backup.mkdir()
    now, dataset = datetime.now(timezone.utc), str(uuid.uuid4())
    with engine.begin() as connection:
        connection.execute(ckan_model.package_table.insert().values(id=dataset, name="rain", state="active"))
    contents = [f"file {number}".encode() for number in range(5)]

    def bring(data: bytes) -> None:
        bringing.bring(engine, store, "ann", dataset, BytesIO(data), oid_of(data), len(data), now)

    for data in contents:
        bring(data)
    run("backup.sh", engine, store.root, backup)
    bring(b"came after the backup")

    shutil.rmtree(store.root)
    model.metadata.drop_all(engine)
    run("restore.sh", engine, store.root, backup)

    checked = list(verifying.check(engine, store, verifying.Which()))
    assert [each.oid for each in checked] == sorted(map(oid_of, contents))
    assert {each.what for each in checked} == {"well"}
    with engine.connect() as connection:
        links = connection.execute(sa.select(model.link.c.package_id)).scalars().all()
    assert links == [dataset] * 5
