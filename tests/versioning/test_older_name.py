"""``package_versioning``, what the plugin was called before: same class, same tables, same history."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.exceptions import CkanConfigurationException
from ckan.tests import factories

import services.ini
from ckanext.versioning import model as tables
from ckanext.versioning import recording
from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call

OLD_NAMES = "authz_service blob_storage package_versioning"


@pytest.mark.ckan_config("ckan.plugins", OLD_NAMES)
def test_works_like_the_new_one(portal: Portal):
    assert plugins.plugin_loaded("package_versioning")
    assert not plugins.plugin_loaded("versioning")
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, b"first")
    portal.action("resource_delete", editor, id=resource["id"])
    assert [row.seq for row in recorded.revisions(dataset["id"])] == [1, 2, 3]
    was: Any = portal.action("package_show", editor, id=dataset["id"], revision_ref="r2")
    assert portal.get(was["resources"][0]["url"], editor).data == b"first"


@pytest.mark.ckan_config("ckan.plugins", OLD_NAMES)
def test_nothing_is_recorded_while_it_is_not_loaded(with_plugins):
    dataset = factories.Dataset()
    plugins.unload("package_versioning")
    try:
        call("package_patch", id=dataset["id"], title="T")
    finally:
        plugins.load("package_versioning")
    assert len(recorded.revisions(dataset["id"])) == 1


def test_changing_the_name_of_a_running_site_makes_no_tables_anew(pytestconfig, tmp_path: Path):
    ini = tmp_path / "ckan.ini"
    options = {"ckan.plugins": OLD_NAMES}
    ini.write_text(services.ini.text(options, base=Path(pytestconfig.option.ckan_ini)))
    ckan = Path(sys.executable).with_name("ckan")
    done = subprocess.run(
        [ckan, "-c", ini, "versioning", "init"], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stdout + done.stderr
    assert "no restart is needed" in done.stdout
    versions = {
        name for name in sa.inspect(model.meta.engine).get_table_names() if "versioning_alembic" in name
    }
    assert versions == {"versioning_alembic_version"}


@pytest.mark.ckan_config("ckan.plugins", OLD_NAMES)
def test_without_tables_the_log_names_the_command_for_this_name(with_plugins, caplog, monkeypatch):
    # Loading the plugins asks again whether the tables are there, so no state is left to repair.
    monkeypatch.setattr(tables, "tables_present", lambda connection: False)
    with caplog.at_level("ERROR", "ckanext.versioning"):
        recording.start()
    assert caplog.messages[0].endswith("ckan db upgrade -p package_versioning")


@pytest.mark.usefixtures("with_plugins")
def test_both_names_at_once_are_refused(ckan_config):
    plugin: Any = plugins.get_plugin("versioning")
    with pytest.raises(CkanConfigurationException, match="Remove package_versioning"):
        plugin.update_config({**ckan_config, "ckan.plugins": "versioning package_versioning"})
