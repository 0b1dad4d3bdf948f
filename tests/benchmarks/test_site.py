"""The processes that contenders work in."""

from __future__ import annotations

import ckantoolkit as tk
import pytest

from bench import site
from bench.figures import package_patch
from bench.site import SiteFailed
from services.settings import Settings


def plugins_and_database() -> tuple[list[str], str]:
    return tk.aslist(tk.config["ckan.plugins"]), tk.config["sqlalchemy.url"]


def revisions(dataset: str) -> list[int]:
    listed = tk.get_action("dataset_revision_list")({"ignore_auth": True}, {"id": dataset, "all": True})
    return [revision["seq"] for revision in listed]


def fail() -> None:
    raise RuntimeError("something of the site")


def test_a_contender_has_its_own_ckan_and_each_patch_is_a_real_change():
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on:
        plugins, database = on.call(plugins_and_database)
        assert plugins == ["versioning"]
        assert database != tk.config["sqlalchemy.url"]
        user, dataset = on.call(package_patch.create, 2)
        assert all(package_patch.patch(on, user, dataset) > 0 for _ in range(2))
        assert on.call(revisions, dataset) == [3, 2, 1]
        with pytest.raises(SiteFailed, match="something of the site"):
            on.call(fail)
        assert on.call(plugins_and_database) == (plugins, database)
