"""Stored files as resources: saved through every action, downloaded at core's address."""

from __future__ import annotations

import uuid

import pytest
from ckan.tests import factories

from tests.portal import editor_and_dataset, oid_of


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def test_fields_come_from_the_record(portal, data):
    editor, dataset = editor_and_dataset()
    oid = portal.push(editor, dataset, data)
    resource = portal.action(
        "resource_create",
        editor,
        package_id=dataset["id"],
        url="Prices 2026.csv",
        url_type="upload",
        sha256=oid,
        size=1,
        lfs_prefix="../elsewhere",
    )
    assert (resource["sha256"], resource["size"]) == (oid, len(data))
    assert resource["lfs_prefix"] == f"ckan/{dataset['id']}"
    assert resource["mimetype"] == "text/csv"
    assert resource["url"].endswith(
        f"/dataset/{dataset['id']}/resource/{resource['id']}/download/prices-2026.csv"
    )


@pytest.mark.parametrize("address", ["id", "name"])
def test_download_by_id_and_name(portal, data, address):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data, "Été 2026.csv")
    response = portal.get(f"/dataset/{dataset[address]}/resource/{resource['id']}/download")
    assert response.data == data
    assert response.headers["ETag"] == f'"{oid_of(data)}"'
    assert response.headers["Content-Disposition"] == (
        "attachment; filename=\"Ete 2026.csv\"; filename*=UTF-8''%C3%89t%C3%A9%202026.csv"
    )
    assert response.headers["Content-Type"].startswith("text/csv")
    assert "public" not in response.headers["Cache-Control"]
    assert "Set-Cookie" not in response.headers


def test_download_continues_where_it_stopped(portal, data):
    editor, dataset = editor_and_dataset()
    url = portal.publish(editor, dataset, data)["url"]
    response = portal.get(url, headers={"Range": "bytes=5-", "If-Range": f'"{oid_of(data)}"'}, status=206)
    assert response.data == data[5:]
    assert response.headers["Content-Range"] == f"bytes 5-{len(data) - 1}/{len(data)}"
    head = portal.client.head(f"/dataset/{dataset['id']}/resource/{url.split('/')[-3]}/download")
    assert (head.data, head.headers["Content-Length"]) == (b"", str(len(data)))


def test_private_files_do_not_exist_for_others(portal, data):
    editor, dataset = editor_and_dataset(private=True)
    url = portal.publish(editor, dataset, data)["url"]
    assert portal.get(url, editor).data == data
    portal.get(url, factories.UserWithToken(), status=404)
    portal.get(url, status=404)


def test_a_resource_is_found_in_its_own_dataset_only(portal, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data)
    _, other = editor_and_dataset()
    portal.get(f"/dataset/{other['id']}/resource/{resource['id']}/download", status=404)


def test_links_and_missing_resources_are_core_s(portal):
    editor, dataset = editor_and_dataset()
    link = portal.action("resource_create", editor, package_id=dataset["id"], url="https://example.org/x.csv")
    response = portal.get(
        f"/dataset/{dataset['id']}/resource/{link['id']}/download", status=302, follow_redirects=False
    )
    assert response.headers["Location"] == "https://example.org/x.csv"
    portal.get(f"/dataset/{dataset['id']}/resource/{uuid.uuid4()}/download", status=404)


class TestEveryWayToSave:
    """A sha256 that the dataset did not bring is refused at its own resource; nothing is saved."""

    def forged(self) -> dict[str, str]:
        return {"url": "x.csv", "url_type": "upload", "sha256": "d" * 64}

    def test_resource_create(self, portal):
        editor, dataset = editor_and_dataset()
        error = portal.action("resource_create", editor, 409, package_id=dataset["id"], **self.forged())
        assert "Upload the file" in error["sha256"][0]

    def test_resource_update_and_patch(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        for action in ("resource_update", "resource_patch"):
            error = portal.action(action, editor, 409, **{"id": resource["id"], **self.forged()})
            assert "sha256" in error
        assert portal.get(resource["url"]).data == data

    @pytest.mark.parametrize(
        "action", ["package_update", "package_patch", "package_revise", "package_create"]
    )
    def test_whole_datasets(self, portal, action):
        editor, dataset = editor_and_dataset()
        resources = [{"url": "https://example.org"}, self.forged()]
        given = {"id": dataset["id"], "resources": resources}
        if action == "package_update":
            given = {**dataset, **given}
        elif action == "package_revise":
            given = {"match": {"id": dataset["id"]}, "update": {"resources": resources}}
        elif action == "package_create":
            given = {"name": f"new-{uuid.uuid4()}", "owner_org": dataset["owner_org"], "resources": resources}
        error = portal.action(action, editor, 409, **given)
        assert [bool(problem) for problem in error["resources"]] == [False, True]
        assert portal.action("package_show", editor, id=dataset["id"])["resources"] == []

    def test_strangers_learn_nothing(self, portal, data):
        """Whoever may not update the dataset gets the same answer for files that it has and has not."""
        editor, dataset = editor_and_dataset()
        portal.push(editor, dataset, data)
        stranger = factories.UserWithToken()
        answers = [
            portal.action(
                "resource_create",
                stranger,
                403,
                package_id=dataset["id"],
                url="x",
                url_type="upload",
                sha256=oid,
            )
            for oid in (oid_of(data), "d" * 64)
        ]
        assert answers[0] == answers[1]

    def test_a_new_file_replaces_the_old_one(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        oid = portal.push(editor, dataset, data + b"more")
        updated = portal.action("resource_update", editor, **{**resource, "sha256": oid, "url": "new.csv"})
        assert (updated["size"], updated["sha256"]) == (len(data) + 4, oid)
        assert updated["url"].endswith("/new.csv")
        assert portal.get(updated["url"]).data == data + b"more"

    def test_editing_the_description_keeps_the_file(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        form = {key: resource[key] for key in ("id", "url", "url_type", "format")}
        updated = portal.action("resource_update", editor, **form, description="better")
        assert (updated["description"], updated["sha256"]) == ("better", oid_of(data))
        assert portal.get(updated["url"]).data == data

    def test_changing_a_file_into_a_link_lets_go_of_it(self, portal, data):
        editor, dataset = editor_and_dataset()
        resource = portal.publish(editor, dataset, data)
        link = {**resource, "url_type": "", "url": "https://example.org/x"}
        updated = portal.action("resource_update", editor, **link)
        assert "sha256" not in updated
        portal.action("resource_patch", editor, 409, id=resource["id"], url_type="upload", sha256="d" * 64)


def test_a_purged_dataset_leaves_nothing_to_one_with_its_id(portal, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data)
    sysadmin = factories.SysadminWithToken()
    portal.action("dataset_purge", editor, 403, id=dataset["id"])
    assert portal.get(resource["url"]).data == data
    portal.action("dataset_purge", sysadmin, id=dataset["id"])
    again = {"id": dataset["id"], "name": dataset["name"], "owner_org": dataset["owner_org"]}
    portal.action("package_create", sysadmin, **again)
    error = portal.action(
        "resource_create",
        sysadmin,
        409,
        package_id=dataset["id"],
        url="x",
        url_type="upload",
        sha256=oid_of(data),
    )
    assert "sha256" in error
