"""What the form of a resource hands to its JavaScript."""

from __future__ import annotations

import html
import json
import uuid
from pathlib import Path
from typing import Any

from ckan.tests import factories, helpers

from tests.external_storage.test_upload_ids import unfinished, upload
from tests.portal import Portal, editor_and_dataset, standing


def handed_over(page: Any) -> dict[str, Any]:
    return json.loads(html.unescape(page.text.split('data-module-field="')[1].split('"')[0]))


def test_of_a_new_resource(portal: Portal):
    editor, dataset = editor_and_dataset()
    unfinished(editor, dataset, "open", filename="half.csv")
    with helpers.changed_config("ckanext.external_storage.max_upload_size", "5KiB"):
        field = handed_over(portal.get(f"/dataset/{dataset['name']}/resource/new", editor))
    organization = helpers.call_action("organization_show", id=dataset["owner_org"])["name"]
    assert (field["dataset"], field["organization"]) == (dataset["id"], organization)
    assert field["max_size"] == 5 << 10
    assert [item["name"] for item in field["unfinished"]] == ["half.csv"]
    assert (field["present"], field["arrived"], field["kept"]) == (None, None, False)
    assert portal.client.get(field["worker"]).status_code == 200


def test_of_a_resource_that_has_a_file(portal: Portal):
    """Which stays in the dataset's versions when another one takes its place."""
    editor, dataset = editor_and_dataset()
    data = uuid.uuid4().bytes
    id = upload(editor, data, dataset, filename="old.csv")
    resource = helpers.call_action(
        "resource_create", {"user": editor["name"]}, package_id=dataset["id"], upload_id=id
    )
    address = f"/dataset/{dataset['name']}/resource/{resource['id']}/edit"
    field = handed_over(portal.get(address, editor))
    assert field["present"] == {"name": "old.csv", "size": len(data)}
    assert field["kept"] is True


def test_uploads_of_other_datasets_are_not_said_to_have_arrived(portal: Portal):
    editor, dataset = editor_and_dataset()
    _, other = editor_and_dataset()
    foreign = upload(factories.User(), b"x", other)
    address = f"/dataset/{dataset['id']}/resource/new"
    form = {"save": "again", "id": "", "upload_id": foreign, "url_type": "upload", "url": ""}
    page = portal.client.post(address, data=form, headers={"Authorization": editor["token"]})
    assert handed_over(page)["arrived"] is None


def test_beside_a_theme_that_extends_the_same_template(tmp_path: Path):
    template = tmp_path / "package" / "snippets" / "resource_upload_field.html"
    template.parent.mkdir(parents=True)
    template.write_text(
        "{% ckan_extends %}"
        "{% block url_type_select %}{{ super() }}<p>Personal data is not for this site.</p>{% endblock %}"
        "{% block link_controls %}<div class=fancy>{{ super() }}</div>{% endblock %}"
    )
    with helpers.changed_config("extra_template_paths", str(tmp_path)), standing() as portal:
        editor, dataset = editor_and_dataset()
        page = portal.get(f"/dataset/{dataset['name']}/resource/new", editor)
    assert handed_over(page)["dataset"] == dataset["id"]
    for part in (
        "Personal data is not",
        "class=fancy",
        'id="field-resource-upload"',
        'id="field-resource-url"',
    ):
        assert page.text.count(part) == 1, part
