"""``blob_storage``, what the plugin was called before: same class, same tables, same files."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.exceptions import CkanConfigurationException

import services.ini
from tests.portal import editor_and_dataset

OLD_NAME = pytest.mark.ckan_config("ckan.plugins", "authz_service blob_storage")


@OLD_NAME
def test_works_like_the_new_one(portal):
    assert plugins.plugin_loaded("blob_storage")
    assert not plugins.plugin_loaded("external_storage")
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    resource = portal.publish(editor, dataset, data)
    assert portal.get(resource["url"]).data == data


@pytest.fixture
def old_site(pytestconfig, tmp_path: Path) -> Path:
    """The ini file of a site that uses the older names."""
    ini = tmp_path / "ckan.ini"
    options = {
        "ckan.plugins": "authz_service blob_storage",
        "ckanext.blob_storage.storage_namespace": "old-bucket",
    }
    ini.write_text(services.ini.text(options, base=Path(pytestconfig.option.ckan_ini)))
    return ini


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout


def test_changing_the_name_of_a_running_site_makes_no_tables_anew(old_site):
    run(Path(sys.executable).with_name("ckan"), "-c", old_site, "db", "upgrade", "-p", "blob_storage")
    versions = {name for name in sa.inspect(model.meta.engine).get_table_names() if "storage_alembic" in name}
    assert versions == {"external_storage_alembic_version"}


def test_its_options_are_understood(old_site):
    code = f"""
from ckan.cli import load_config
from ckan.config.middleware import make_app
make_app(load_config({str(old_site)!r}))
from ckanext.external_storage import config
print(config.namespace())
"""
    assert run(sys.executable, "-c", code).split()[-1] == "old-bucket"


@pytest.mark.usefixtures("with_plugins")
def test_both_names_at_once_are_refused(ckan_config):
    plugin: Any = plugins.get_plugin("external_storage")
    with pytest.raises(CkanConfigurationException, match="Remove blob_storage"):
        plugin.update_config({**ckan_config, "ckan.plugins": "external_storage blob_storage"})


@pytest.mark.ckan_config("ckan.plugins", "authz_service blob_storage package_versioning")
def test_pages_of_versions_offer_its_files(portal):
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    resource = portal.publish(editor, dataset, data, "table.csv")
    page = portal.get(f"/dataset/{dataset['name']}/v/head", editor).text
    (address,) = re.findall(rf'href="([^"]*/v/[^"]*/resource/{resource["id"]}/download/[^"]*)"', page)
    assert portal.get(address, editor).data == data
