"""Files in a dataset type of ckanext-scheming, whose form and whose schema are not CKAN's own."""

from __future__ import annotations

import io
import uuid

import pytest
from ckan.tests import factories

from tests.external_storage.test_upload_field import handed_over
from tests.external_storage.test_upload_ids import extras, upload
from tests.portal import Portal, oid_of

pytestmark = [
    pytest.mark.ckan_config(
        "ckan.plugins", "versioning external_storage authz_service scheming_datasets scheming_nerf_index"
    ),
    pytest.mark.ckan_config("scheming.dataset_schemas", "tests.external_storage:measurements.yaml"),
]


def test_the_preset_for_files_and_new_datasets(portal: Portal):
    data = f"id,value\n1,{uuid.uuid4()}\n".encode()
    editor = factories.UserWithToken()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    id = upload(editor, data, owner_org=organization["id"])
    dataset = portal.action(
        "package_create",
        editor,
        type="measurement",
        name=f"m-{uuid.uuid4()}",
        title="M",
        owner_org=organization["id"],
        resources=[{"upload_id": id, "instrument": "scale"}],
    )
    (first,) = dataset["resources"]
    assert portal.get(first["url"]).data == data
    wanted = {"sha256": oid_of(data), "lfs_prefix": f"ckan/{dataset['id']}", "instrument": "scale"}
    assert extras(first["id"]) == wanted

    # The form forgets a field that must be there, and comes again with the file that it brought.
    address = f"/measurement/{dataset['id']}/resource/new"
    page = portal.get(address, editor)
    assert 'id="field-upload-limit"' in page.text
    assert handed_over(page)["dataset"] == dataset["id"]
    form = {"save": "go-dataset-complete", "id": "", "url_type": "upload", "url": "", "instrument": ""}
    headers = {"Authorization": editor["token"]}
    file = (io.BytesIO(data + b"2"), "second.csv")
    page = portal.client.post(address, data={**form, "upload": file}, headers=headers)
    (line,) = [line for line in page.text.splitlines() if 'name="upload_id"' in line]
    kept = line.split('name="upload_id" value="')[1].split('"')[0]
    arrived = {"id": kept, "name": "second.csv", "size": len(data) + 1, "oid": oid_of(data + b"2")}
    assert handed_over(page)["arrived"] == arrived
    again = {**form, "instrument": "scale", "upload_id": kept}
    portal.client.post(address, data=again, headers=headers, follow_redirects=False, status=302)
    saved = portal.action("package_show", editor, id=dataset["id"])["resources"]
    assert [r["sha256"] for r in saved] == [oid_of(data), oid_of(data + b"2")]
    assert portal.get(saved[1]["url"]).data == data + b"2"


def test_many_files_of_which_one_misses_a_field(portal: Portal):
    """Refused by the type's own schema, it is named by its place among all resources; the others wait."""
    editor = factories.UserWithToken()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    dataset = portal.action(
        "package_create", editor, type="measurement", name=f"m-{uuid.uuid4()}", title="M",
        owner_org=organization["id"], resources=[{"url": "https://a.example", "instrument": "eye"}],
    )  # fmt: skip
    files = [
        {
            "upload_id": upload(editor, f"{uuid.uuid4()}".encode(), dataset, filename=f"{place}.csv"),
            "url": f"{place}.csv",
            "url_type": "upload",
            "instrument": "scale",
        }
        for place in range(3)
    ]
    save = {"match": {"id": dataset["id"]}, "update__resources__extend": files}
    files[1]["instrument"] = ""
    problems = portal.action("package_revise", editor, 409, **save)["resources"]
    assert [place for place, problem in enumerate(problems) if problem] == [2]
    assert "instrument" in problems[2]
    files[1]["instrument"] = "scale"
    saved = portal.action("package_revise", editor, **save)["package"]["resources"]
    assert [r["url"].rsplit("/")[-1] for r in saved[1:]] == ["0.csv", "1.csv", "2.csv"]
    assert {r["instrument"] for r in saved[1:]} == {"scale"}
