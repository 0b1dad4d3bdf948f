"""CKAN's own forms ask what has changed."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def editor_and_links() -> tuple[dict[str, Any], dict[str, Any]]:
    return editor_and_dataset(resources=[{"url": "http://x/a", "name": "a"}])


def filled_in(portal: Portal, url: str, user: Any) -> dict[str, str]:
    """The fields of the form on the page, as a browser would send them."""
    page = BeautifulSoup(portal.get(url, user).body, "html.parser")
    (form,) = page.select("#dataset-edit, #resource-edit")
    inputs = [field for field in form.select("input[name]") if field.get("type") != "file"]
    fields: Any = {field["name"]: field.get("value", "") for field in inputs}
    fields |= {area["name"]: area.get_text().strip() for area in form.select("textarea[name]")}
    for choice in form.select("select[name]"):
        option = choice.select_one("option[selected]") or choice.select_one("option")
        fields[choice["name"]] = option["value"] if option else ""
    return fields


def send(portal: Portal, url: str, user: Any, fields: dict[str, str]) -> Any:
    return portal.app.post(
        url, data={**fields, "save": "save"}, headers={"Authorization": user["token"]}, follow_redirects=False
    )


@pytest.mark.parametrize("form", ["dataset", "resource"])
def test_the_answer_is_the_message_of_the_version(portal: Portal, editor_and_links: Any, form: str):
    editor, dataset = editor_and_links
    url, changed = {
        "dataset": (f"/dataset/edit/{dataset['id']}", "title"),
        "resource": (f"/dataset/{dataset['id']}/resource/{dataset['resources'][0]['id']}/edit", "name"),
    }[form]
    fields = filled_in(portal, url, editor)
    assert fields["version_message"] == ""
    said = {**fields, changed: "Changed by the form", "version_message": "Corrected <b>."}
    if form == "dataset":
        refused = send(portal, url, editor, {**said, "name": "no name"})
        assert 'value="Corrected &lt;b&gt;."' in refused.body, "an error elsewhere loses nothing"
    assert send(portal, url, editor, said).status_code == 302
    newest = recorded.newest(dataset["id"])
    assert (newest.seq, newest.message, newest.author_id) == (2, "Corrected <b>.", editor["id"])
    shown = portal.action("package_show", editor, id=dataset["id"])
    assert "Changed by the form" in str(shown)
    assert "Corrected" not in str(shown)


def test_a_message_that_is_too_long_is_named_at_its_field(portal: Portal, editor_and_links: Any):
    editor, dataset = editor_and_links
    url = f"/dataset/edit/{dataset['id']}"
    refused = send(portal, url, editor, {**filled_in(portal, url, editor), "version_message": "x" * 1001})
    assert refused.status_code == 200
    assert "This has 1001 characters" in refused.body
    assert recorded.newest(dataset["id"]).seq == 1


def test_the_steps_that_make_a_dataset_do_not_ask(portal: Portal):
    editor, draft = editor_and_dataset(state="draft")
    for url in ("/dataset/new", f"/dataset/edit/{draft['id']}", f"/dataset/{draft['id']}/resource/new"):
        page = portal.get(url, editor).body
        assert 'name="save"' in page
        assert "version_message" not in page, url
