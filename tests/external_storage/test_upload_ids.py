"""``upload_id`` in a resource: which uploads a save takes, and what it says of the others."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.external_storage import config
from ckanext.external_storage import model as tables
from ckanext.external_storage.transfer import bringing
from tests.portal import Portal, editor_and_dataset, oid_of, standing


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def upload(user, data: bytes, dataset=None, owner_org=None, filename="Prices 2026.csv") -> str:
    """The id of a verified upload into *dataset*, or for one that is not there yet."""
    package_id = dataset["id"] if dataset else None
    now = datetime.now(timezone.utc)
    return bringing.take(
        config.engine(), config.store(), user["id"], package_id, owner_org, filename, io.BytesIO(data), now
    )


def unfinished(user, dataset, state: str, **fields: Any) -> str:
    """The id of an upload that is in *state*."""
    id, now = str(uuid.uuid4()), datetime.now(timezone.utc)
    row = {"id": id, "package_id": dataset["id"], "user_id": user["id"], "declared_size": 200}
    row |= {"key": f"objects/_/{id}", "state": state, "expires_at": now + timedelta(hours=1), **fields}
    with config.engine().begin() as connection:
        connection.execute(tables.upload.insert().values(**row))
    return id


def links(oid: str) -> set[str]:
    """Ids of the datasets that have the object."""
    link = tables.link.c
    with config.engine().connect() as connection:
        return set(connection.execute(sa.select(link.package_id).where(link.oid == oid)).scalars())


def extras(resource_id: str) -> dict[str, Any]:
    """What the database has in the resource, beside CKAN's own columns."""
    model.Session.remove()
    found = model.Resource.get(resource_id)
    assert found
    return dict(found.extras)


def test_every_way_to_save_a_resource_takes_it(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    resource = portal.action(
        "resource_create", editor, package_id=dataset["id"], upload_id=upload(editor, data, dataset)
    )
    assert (resource["sha256"], resource["size"]) == (oid_of(data), len(data))
    assert (resource["url_type"], resource["mimetype"]) == ("upload", "text/csv")
    assert resource["url"].endswith("/download/prices-2026.csv")
    assert portal.get(resource["url"]).data == data
    assert extras(resource["id"]) == {
        "sha256": oid_of(data),
        "lfs_prefix": f"ckan/{dataset['id']}",
    }
    for number, action in enumerate(["resource_update", "resource_patch"]):
        new = data + bytes([number])
        upload_id = upload(editor, new, dataset, filename="new.txt")
        changed = portal.action(action, editor, id=resource["id"], upload_id=upload_id)
        assert (changed["sha256"], changed["mimetype"]) == (oid_of(new), "text/plain")
    revised = portal.action(
        "package_revise",
        editor,
        match={"id": dataset["id"]},
        update__resources__0__upload_id=upload(editor, data + b"revised", dataset),
    )
    assert revised["package"]["resources"][0]["sha256"] == oid_of(data + b"revised")
    shown = portal.action("package_show", editor, id=dataset["id"])
    shown["resources"].append({"upload_id": upload(editor, data + b"added", dataset)})
    updated = portal.action("package_update", editor, **shown)
    assert [r["sha256"] for r in updated["resources"]] == [
        oid_of(data + b"revised"),
        oid_of(data + b"added"),
    ]


def test_whoever_may_update_the_dataset_may_use_the_uploads_of_others(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    upload_id = upload(editor, data, dataset)
    sysadmin = factories.SysadminWithToken()
    given = {"package_id": dataset["id"], "upload_id": upload_id}
    portal.action("resource_create", factories.UserWithToken(), 403, **given)
    assert portal.action("resource_create", sysadmin, **given)["sha256"] == oid_of(data)


def test_foreign_and_missing_uploads_are_refused_alike(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    other, elsewhere = editor_and_dataset()
    foreign = upload(other, data, elsewhere)
    unattached = upload(editor, data)
    answers = [
        portal.action("resource_create", editor, 409, package_id=dataset["id"], upload_id=id)["upload_id"]
        for id in (foreign, unattached, str(uuid.uuid4()), "x", 5, ["a"], {"a": "b"})
    ]
    assert len(set(map(str, answers))) == 1
    assert "Upload the file to it" in answers[0][0]


@pytest.mark.parametrize(
    ("state", "fields", "said"),
    [
        ("open", {}, "not arrived completely"),
        ("rejected", {"reason": "It has a Content-Encoding."}, "It has a Content-Encoding."),
        ("expired", {}, "has ended"),
    ],
)
def test_uploads_that_are_not_files_say_what_to_do(portal: Portal, state: str, fields: Any, said: str):
    editor, dataset = editor_and_dataset()
    upload_id = unfinished(editor, dataset, state, **fields)
    error = portal.action("resource_create", editor, 409, package_id=dataset["id"], upload_id=upload_id)
    assert said in error["upload_id"][0]


def test_a_file_that_is_being_checked_says_how_far_that_is(portal: Portal):
    editor, dataset = editor_and_dataset()
    upload_id = unfinished(editor, dataset, "received", hashed=104)
    resources = [{"url": "https://a.example"}, {"upload_id": upload_id}]
    error = portal.action("package_patch", editor, 409, id=dataset["id"], resources=resources)
    assert error["resources"][0] == {}
    assert error["resources"][1]["upload_progress"] == ["52"]
    assert "being checked" in error["resources"][1]["upload_id"][0]
    assert portal.action("package_show", editor, id=dataset["id"])["resources"] == []


def test_the_form_that_is_shown_again_keeps_its_upload(portal: Portal):
    editor, dataset = editor_and_dataset()
    upload_id = unfinished(editor, dataset, "received")
    form = {"save": "go-dataset-complete", "id": "", "url_type": "upload", "url": ""}
    page = portal.client.post(
        f"/dataset/{dataset['id']}/resource/new",
        data={**form, "upload_id": upload_id},
        headers={"Authorization": editor["token"]},
    ).text
    assert f'name="upload_id" value="{upload_id}" checked' in page
    assert "being checked" in page


def test_switching_to_a_link_forgets_the_file(portal: Portal, data: bytes):
    editor, dataset = editor_and_dataset()
    given = {"package_id": dataset["id"], "upload_id": upload(editor, data, dataset)}
    resource = portal.action("resource_create", editor, **given)
    link = {"url_type": "", "url": "https://a.example/x.csv"}
    changed = portal.action("resource_patch", editor, id=resource["id"], **link)
    assert (changed["url"], changed["size"]) == (link["url"], None)
    assert extras(resource["id"]) == {}


def test_two_tabs_save_one_after_the_other(portal: Portal, data: bytes):
    """The later one wins, and both files were the dataset's own."""
    editor, dataset = editor_and_dataset()
    given = {"package_id": dataset["id"], "upload_id": upload(editor, data, dataset)}
    resource = portal.action("resource_create", editor, **given)
    contents = [data + b"left", data + b"right"]
    ids = [upload(editor, content, dataset) for content in contents]
    statuses = []

    def save(upload_id: str) -> None:
        response = portal.app.test_client().post(
            "/api/3/action/resource_patch",
            json={"id": resource["id"], "upload_id": upload_id},
            headers={"Authorization": editor["token"]},
        )
        statuses.append(response.status_code)

    threads = [threading.Thread(target=save, args=[id]) for id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200, 200]
    shown = portal.action("resource_show", editor, id=resource["id"])
    assert shown["sha256"] in map(oid_of, contents)
    assert oid_of(portal.get(shown["url"]).data) == shown["sha256"]


class TestADatasetThatIsBeingCreated:
    @pytest.fixture
    def editor(self) -> dict[str, Any]:
        return factories.UserWithToken()

    @pytest.fixture
    def organization(self, editor) -> dict[str, Any]:
        return factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])

    def create(self, portal: Portal, user, organization, *resources: Any, status: int = 200) -> Any:
        name = f"new-{uuid.uuid4()}"
        given = {"owner_org": organization["name"], "resources": resources}
        return portal.action("package_create", user, status, name=name, **given)

    def test_takes_files_that_were_uploaded_for_it(self, portal: Portal, editor, organization, data):
        ids = [
            upload(editor, content, owner_org=organization["id"], filename="a.csv")
            for content in (data, data + b"2", data)
        ]
        given = [{"upload_id": id, "name": f"File {i}"} for i, id in enumerate(ids)]
        dataset = self.create(portal, editor, organization, *given, {"url": "https://a.example"})
        files = dataset["resources"][:3]
        assert [file["sha256"] for file in files] == [oid_of(data), oid_of(data + b"2"), oid_of(data)]
        for file in files:
            assert extras(file["id"]) == {
                "sha256": file["sha256"],
                "lfs_prefix": f"ckan/{dataset['id']}",
            }
            assert oid_of(portal.get(file["url"]).data) == file["sha256"]
        assert links(oid_of(data)) == {dataset["id"]}
        first = portal.action("dataset_revision_list", editor, id=dataset["id"])
        old = portal.action("package_show", editor, id=dataset["id"], revision_ref="r1")
        assert len(first) == 1
        assert [r.get("sha256") for r in old["resources"][:3]] == [file["sha256"] for file in files]
        # The file is the dataset's now: others cannot have it, and a later save may name the upload again.
        self.create(portal, editor, organization, given[0], status=409)
        again = {"id": files[1]["id"], "upload_id": ids[0]}
        assert portal.action("resource_patch", editor, **again)["sha256"] == oid_of(data)

    def test_only_its_own_user_s_and_of_its_organisation(self, portal: Portal, editor, organization, data):
        elsewhere = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
        foreign = upload(factories.User(), data, owner_org=organization["id"])
        for id in (foreign, upload(editor, data, owner_org=elsewhere["id"]), upload(editor, data)):
            error = self.create(portal, editor, organization, {"upload_id": id}, status=409)
            assert "upload_id" in error["resources"][0]
        stranger = factories.UserWithToken()
        mine = upload(stranger, data, owner_org=organization["id"])
        self.create(portal, stranger, organization, {"upload_id": mine}, status=403)
        claimed = {"url": "a", "url_type": "upload", "sha256": oid_of(data)}
        error = self.create(portal, editor, organization, claimed, status=409)
        assert "sha256" in error["resources"][0]
        assert links(oid_of(data)) == set()

    def test_a_refused_dataset_leaves_the_file_for_the_next_try(self, portal, editor, organization, data):
        id = upload(editor, data, owner_org=organization["id"])
        given = {"name": "not a name", "owner_org": organization["id"], "resources": [{"upload_id": id}]}
        assert "name" in portal.action("package_create", editor, 409, **given)
        assert links(oid_of(data)) == set()
        dataset = self.create(portal, editor, organization, {"upload_id": id})
        assert links(oid_of(data)) == {dataset["id"]}
