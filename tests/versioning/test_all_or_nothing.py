"""A change and its revision are committed together or not at all."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy.exc
from ckan import logic, model, plugins
from ckan.lib import search
from ckan.tests import factories

from ckanext.versioning import actor, history, written
from tests.versioning import recorded
from tests.versioning.recorded import call

FAILS = "this dataset must not be saved"


class FailingPlugin(plugins.SingletonPlugin):
    """Another plugin, whose hook comes after ours and refuses some titles."""

    plugins.implements(plugins.IPackageController, inherit=True)

    def after_dataset_update(self, context: Any, pkg_dict: dict[str, Any]) -> None:
        if pkg_dict["title"] == FAILS:
            raise RuntimeError(FAILS)


@pytest.fixture(autouse=True)
def other_plugins(provide_plugin) -> None:
    """Installed, but switched on only by the tests that say so."""
    provide_plugin("failing_plugin", FailingPlugin)
    provide_plugin("meddling_plugin", MeddlingPlugin)


with_failing_plugin = pytest.mark.ckan_config("ckan.plugins", "versioning failing_plugin")


@pytest.fixture
def dataset(with_plugins) -> dict[str, Any]:
    return factories.Dataset(title="before")


def close_session() -> None:
    """What ends every web request."""
    model.Session.remove()


@with_failing_plugin
def test_a_later_hook_fails(dataset: dict[str, Any]):
    assert plugins.plugin_loaded("failing_plugin")
    assert plugins.plugin_loaded("versioning")
    with pytest.raises(RuntimeError, match=FAILS):
        call("package_patch", id=dataset["id"], title=FAILS)
    close_session()
    assert recorded.stored_title(dataset["id"]) == "before"
    assert len(recorded.revisions(dataset["id"])) == 1


@with_failing_plugin
def test_a_failure_that_somebody_swallowed_is_committed_with_its_revision(dataset: dict[str, Any]):
    other = factories.Dataset()
    with pytest.raises(RuntimeError, match=FAILS):
        call("package_patch", id=dataset["id"], title=FAILS)
    call("package_patch", id=other["id"], title="T")
    # Core commits both changes here. Whatever it does, the history says the same.
    stored = recorded.stored_title(dataset["id"])
    assert len(recorded.revisions(dataset["id"])) == (2 if stored == FAILS else 1)
    assert len(recorded.revisions(other["id"])) == 2


class MeddlingPlugin(plugins.SingletonPlugin):
    """Another plugin, which changes datasets while they are being committed."""

    plugins.implements(plugins.IDomainObjectModification)

    def notify(self, entity: Any, operation: Any) -> None:
        if isinstance(entity, model.Package) and entity.notes != "meddled":
            entity.notes = "meddled"
            model.Session.flush()


@pytest.mark.ckan_config("ckan.plugins", "versioning meddling_plugin")
def test_what_another_plugin_changes_during_the_commit_is_recorded_too(dataset: dict[str, Any]):
    package = model.Package.get(dataset["id"])
    assert package
    package.title, package.notes = "T", "ours"
    model.repo.commit()
    fields = [row.summary["fields"] for row in recorded.revisions(dataset["id"])[-2:]]
    assert fields == [["notes", "title"], ["notes"]]
    assert call("package_show", id=dataset["id"], revision_ref="head")["notes"] == "meddled"


def test_the_search_index_fails(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any, **kwargs: Any) -> None:
        raise search.SearchIndexError("no index")

    # CKAN 2.12 sends datasets to Solr as part of the save, 2.11 as part of its commit.
    if hasattr(logic, "index_update_package_dicts"):
        monkeypatch.setattr(logic, "index_update_package_dicts", fail)
    else:
        monkeypatch.setattr(search.PackageSearchIndex, "update_dict", fail)
    with pytest.raises(search.SearchIndexError, match="no index"):
        call("package_patch", id=dataset["id"], title="T")
    close_session()
    assert recorded.stored_title(dataset["id"]) == "before"
    assert len(recorded.revisions(dataset["id"])) == 1


def test_recording_fails(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    def fail(*args: Any) -> None:
        raise RuntimeError("cannot record")

    with monkeypatch.context() as patch:
        patch.setattr(written, "add", fail)
        with pytest.raises(RuntimeError, match="cannot record"):
            call("package_patch", id=dataset["id"], title="T")
        # Not even somebody who swallows the error and commits gets the change in without its revision.
        with pytest.raises(RuntimeError, match="cannot record"):
            model.Session.commit()
    close_session()
    assert recorded.stored_title(dataset["id"]) == "before"
    assert len(recorded.revisions(dataset["id"])) == 1


def test_the_database_refuses_the_revision(dataset: dict[str, Any], monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(history, "recompute_id", lambda row: recorded.newest(dataset["id"]).id)
        with pytest.raises(sqlalchemy.exc.IntegrityError):
            call("package_patch", id=dataset["id"], title="T")
    close_session()
    assert recorded.stored_title(dataset["id"]) == "before"
    call("package_patch", id=dataset["id"], title="T")
    assert len(recorded.revisions(dataset["id"])) == 2


def test_a_flush_that_failed_in_a_savepoint_hides_no_earlier_change(dataset: dict[str, Any]):
    package = model.Package.get(dataset["id"])
    assert package
    package.title = "kept"
    model.Session.flush()
    savepoint = model.Session.begin_nested()
    model.Session.add(model.Package(name=dataset["name"]))  # names are unique
    with pytest.raises(sqlalchemy.exc.IntegrityError):
        model.Session.flush()
    savepoint.rollback()
    model.Session.commit()
    assert recorded.stored_title(dataset["id"]) == "kept"
    assert recorded.newest(dataset["id"]).summary["fields"] == ["title"]


def test_a_rollback_forgets_who_and_what(dataset: dict[str, Any]):
    user = factories.Sysadmin()
    package = model.Package.get(dataset["id"])
    assert package
    package.title = "never"
    model.Session.flush()
    model.Session().info[actor.USER] = user["name"]
    model.Session.rollback()
    call("package_patch", id=dataset["id"], notes="n")
    row = recorded.newest(dataset["id"])
    assert (row.seq, row.author_id) == (2, None)
    assert row.summary["fields"] == ["notes"]


def test_nothing_is_recorded_while_the_plugin_is_not_loaded(dataset: dict[str, Any]):
    plugins.unload("versioning")
    try:
        call("package_patch", id=dataset["id"], title="T")
    finally:
        plugins.load("versioning")
    assert len(recorded.revisions(dataset["id"])) == 1
