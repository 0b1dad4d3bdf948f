from __future__ import annotations

import shutil
from contextlib import closing

import psycopg2
import pytest
import redis
from ckan.lib import search
from ckan.plugins import toolkit as tk
from ckan.tests import factories

from services import databases, sandbox
from services.settings import Settings


@pytest.fixture
def settings() -> Settings:
    settings = Settings.load()
    assert settings
    return settings


@pytest.fixture
def other(settings):
    """A second sandbox, as another test process would take it."""
    box = sandbox.take(settings)
    yield box
    box.claim.close()
    databases.drop(settings, box.options["ckan.site_id"])
    shutil.rmtree(box.ini.parent)


@pytest.mark.usefixtures("with_plugins")
def test_two_test_processes_share_nothing(other):
    ours = {name: tk.config[name] for name in other.options}
    assert not set(ours.items()) & set(other.options.items()) - {("solr_url", ours["solr_url"])}


@pytest.mark.usefixtures("with_plugins")
def test_a_sandbox_starts_with_all_tables_and_no_data(other):
    factories.Dataset()
    with (
        closing(psycopg2.connect(other.options["sqlalchemy.url"])) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT count(*) FROM package")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM versioning_revision")
        assert cursor.fetchone() == (0,)
        cursor.execute("SELECT count(*) FROM external_storage_object")
        assert cursor.fetchone() == (0,)
    assert redis.Redis.from_url(other.options["ckan.redis.url"]).dbsize() == 0


@pytest.mark.usefixtures("with_plugins")
def test_a_new_process_does_not_find_what_was_indexed_under_its_number(settings):
    dataset = factories.Dataset()
    query = {"q": f"id:{dataset['id']}"}
    assert tk.get_action("package_search")({"ignore_auth": True}, query)["count"] == 1
    sandbox.solr.forget_site(settings, tk.config["ckan.site_id"])
    assert tk.get_action("package_search")({"ignore_auth": True}, query)["count"] == 0


def test_ckan_accepts_the_core_under_the_name_that_older_versions_need():
    assert search.check_solr_schema_version()


def test_the_template_is_made_anew_when_a_migration_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "ROOT", tmp_path)
    versions = tmp_path / "ckanext" / "versioning" / "migration" / "versioning" / "versions"
    versions.mkdir(parents=True)
    seen = {databases.schema_version("versioning")}
    migration = versions / "0001_revision.py"
    for text in ("create", "create more"):
        migration.write_text(text)
        seen.add(databases.schema_version("versioning"))
    migration.rename(versions / "0001_revisions.py")
    seen.add(databases.schema_version("versioning"))
    seen.add(databases.schema_version("versioning external_storage"))
    assert len(seen) == 5


def test_what_python_compiled_is_no_change(tmp_path, monkeypatch):
    monkeypatch.setattr(databases, "ROOT", tmp_path)
    before = databases.schema_version("versioning")
    compiled = tmp_path / "ckanext" / "versioning" / "migration" / "__pycache__"
    compiled.mkdir(parents=True)
    (compiled / "env.cpython-311.pyc").write_bytes(b"\0")
    assert databases.schema_version("versioning") == before
