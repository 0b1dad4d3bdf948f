"""After a revert, files that came back are loaded into the datastore again."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from ckan import plugins

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded


class Loader(plugins.SingletonPlugin):
    """Has the action of ckanext-xloader."""

    plugins.implements(plugins.IActions)
    submitted: ClassVar[list[str]] = []
    fails: ClassVar[bool] = False

    def get_actions(self) -> Any:
        return {"xloader_submit": xloader_submit}


def xloader_submit(context: Any, data_dict: dict[str, Any]) -> bool:
    if Loader.fails:
        raise RuntimeError("The loader is down.")
    Loader.submitted.append(data_dict["resource_id"])
    return True


@pytest.fixture
def loader(provide_plugin, monkeypatch: pytest.MonkeyPatch) -> type[Loader]:
    provide_plugin("xloader", Loader)
    monkeypatch.setattr(Loader, "submitted", [])
    monkeypatch.setattr(Loader, "fails", False)
    return Loader


@pytest.mark.ckan_config("ckan.plugins", "authz_service external_storage versioning xloader")
@pytest.mark.ckan_config("ckanext.xloader.formats", "csv tsv")
def test_what_has_other_bytes_and_what_is_back(loader: type[Loader], portal: Portal, caplog: Any):
    editor, dataset = editor_and_dataset()
    changed, deleted, kept = (
        portal.publish(editor, dataset, data, name)
        for data, name in ((b"1", "changed.csv"), (b"2", "deleted.csv"), (b"3", "kept.csv"))
    )
    portal.publish(editor, dataset, b"4", "also-deleted.pdf")
    before = recorded.newest(dataset["id"]).seq
    oid = portal.push(editor, dataset, b"5")
    portal.action("resource_patch", editor, id=changed["id"], sha256=oid)
    portal.action("package_patch", editor, id=dataset["id"], resources=[changed | {"sha256": oid}, kept])
    portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref=f"r{before}")
    assert sorted(loader.submitted) == sorted([changed["id"], deleted["id"]])

    loader.fails = True
    portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref=f"r{before + 1}")
    shown = portal.action("package_show", editor, id=dataset["id"])
    assert [r["sha256"] for r in shown["resources"] if r["id"] == changed["id"]] == [oid]
    assert "xloader_submit failed" in caplog.text
    loader.fails = False
    loader.submitted.clear()
    portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=["fields"])
    assert loader.submitted == []
