"""The processes that contenders work in."""

from __future__ import annotations

from collections.abc import Iterator

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model

from bench import site
from bench.figures import bytes_per_revision, old_version, package_patch, versions_list
from bench.site import Site, SiteFailed
from ckanext.versioning import model as tables
from services.settings import Settings


def plugins_and_database() -> tuple[list[str], str]:
    return tk.aslist(tk.config["ckan.plugins"]), tk.config["sqlalchemy.url"]


def revisions(dataset: str) -> list[int]:
    listed = tk.get_action("dataset_revision_list")({"ignore_auth": True}, {"id": dataset, "all": True})
    return [revision["seq"] for revision in listed]


def fail() -> None:
    raise RuntimeError("something of the site")


@pytest.fixture(scope="module")
def on() -> Iterator[Site]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on:
        yield on


def test_a_contender_has_its_own_ckan_and_each_patch_is_a_real_change(on: Site):
    plugins, database = on.call(plugins_and_database)
    assert plugins == ["versioning"]
    assert database != tk.config["sqlalchemy.url"]
    user, dataset = on.call(package_patch.create, 2)
    assert all(package_patch.patch(on, user, dataset) > 0 for _ in range(2))
    assert on.call(revisions, dataset) == [3, 2, 1]
    with pytest.raises(SiteFailed, match="something of the site"):
        on.call(fail)
    assert on.call(plugins_and_database) == (plugins, database)


def change_a_text(dataset: str) -> None:
    b = tables.metadata_blob
    forged = sa.update(b).where(b.c.package_id == dataset).values(body="{}")
    model.Session.execute(forged)
    model.Session.commit()


def test_a_history_that_was_loaded_is_one_that_the_plugin_could_have_made(on: Site):
    """What is wrong with it would be found."""
    editor, dataset = on.call(versions_list.create, 64, 4)
    assert on.call(revisions, dataset) == list(range(64, 44, -1))  # the newest
    on.call(versions_list.verify, dataset)
    for user in (editor, ""):
        for work in (versions_list.own_work, versions_list.revision_list, versions_list.package_show):
            on.call(work, user, dataset)
    on.call(change_a_text, dataset)
    with pytest.raises(SiteFailed, match="is not the one that was stored"):
        on.call(versions_list.verify, dataset)


def test_old_and_current_versions_are_told_apart(on: Site):
    dataset = on.call(old_version.create, 2)
    on.call(old_version.show, dataset, {"use_cache": False}, {})
    on.call(old_version.show, dataset, {}, {"revision_ref": "r1"})
    with pytest.raises(SiteFailed, match="AssertionError"):
        on.call(old_version.show, dataset, {}, {"revision_ref": "r2"})


def test_a_revision_of_a_large_dataset_is_smaller_than_the_dataset(on: Site):
    on.call(bytes_per_revision.make_peer)
    _editor, dataset = on.call(package_patch.create, 60)
    found = on.call(bytes_per_revision.growth, dataset, [0] * 60)
    assert 500 < found["versioning"][0] < found["whole JSON at each save"][0]
