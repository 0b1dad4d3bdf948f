"""The forms about releases: who gets them, and that nobody else's page can send them."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset, path
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


def address(dataset: dict[str, Any], ref: str = "r1") -> str:
    return f"/dataset/{dataset['name']}/v/{ref}/release"


def form_on(response: Any) -> Any:
    (form,) = BeautifulSoup(response.body, "html.parser").select("form[method=post][action*='/release']")
    return form


@pytest.fixture
def browser(portal: Portal) -> Any:
    """Keeps its cookies, and so its session, between requests."""
    return portal.app.test_client()


def opened(browser: Any, url: str, user: Any) -> dict[str, str]:
    """The form's fields with their values, the hidden ones too."""
    form = form_on(browser.get(url, headers=headers(user), status=200))
    return {
        **{field["name"]: field["value"] for field in form.select("input")},
        **{field["name"]: field.get_text() for field in form.select("textarea")},
    }


def sent(browser: Any, url: str, user: Any, fields: dict[str, str], status: int) -> Any:
    return browser.post(url, data=fields, headers=headers(user), status=status, follow_redirects=False)


def headers(user: Any) -> dict[str, str]:
    """With an API token, so that CKAN's own check of forms stands aside."""
    return {"Authorization": user["token"]} if user else {}


def releases(dataset: dict[str, Any]) -> list[str]:
    return [release["name"] for release in call("dataset_release_list", dataset=dataset["id"])]


def test_it_releases_the_revision_that_was_shown(browser: Any):
    editor, dataset = editor_and_dataset(title="First")
    fields = opened(browser, address(dataset, "head"), editor)
    assert fields["name"] == "v1"
    call("package_patch", id=dataset["id"], title="Meanwhile")
    fields |= {"title": " Début ", "description": "one\r\ntwo ", "doi": "https://doi.org/10.1234/a"}
    answer = sent(browser, address(dataset), editor, fields, status=302)
    assert answer.headers["Location"].endswith(f"/dataset/{dataset['name']}/v/v1")
    (release,) = call("dataset_release_list", dataset=dataset["id"])
    assert (release["seq"], release["title"], release["description"]) == (1, "Début", "one\ntwo")
    assert release["doi"] == "10.1234/a"
    assert release["author"]["id"] == editor["id"]


def test_the_form_names_the_revision_even_if_the_address_moves_on(browser: Any):
    editor, dataset = editor_and_dataset()
    assert form_on(browser.get(address(dataset, "head"), headers=headers(editor)))["action"] == address(
        dataset
    )


@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_only_our_own_page_can_send_it(browser: Any, portal: Portal, token: str | None):
    editor, dataset = editor_and_dataset()
    fields = opened(browser, address(dataset), editor)
    (hidden,) = set(fields) - {"name", "title", "description", "doi"}
    if token is None:
        del fields[hidden]
    elif token == "of another session":
        browser = portal.app.test_client()
    else:
        fields[hidden] = token
    assert "Nothing was changed" in sent(browser, address(dataset), editor, fields, status=400).body
    assert releases(dataset) == []


def test_who_may_not_edit_the_dataset_has_no_form(browser: Any):
    editor, dataset = editor_and_dataset()
    fields = opened(browser, address(dataset), editor)
    reader = factories.UserWithToken()
    for user in (reader, None):
        assert "/release" not in browser.get(f"/dataset/{dataset['name']}/v/r1", headers=headers(user)).body
        browser.get(address(dataset), headers=headers(user), status=403)
        sent(browser, address(dataset), user, fields, status=403)
    assert releases(dataset) == []


def test_what_was_typed_is_there_again_after_a_mistake(browser: Any):
    editor, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name="v7")
    call("package_patch", id=dataset["id"], title="Later")
    fields = opened(browser, address(dataset, "r2"), editor)
    assert fields["name"] == "v7.1"
    for name, says in (("v7", "already has a release"), ("r9", "another way to name"), ("", "it is empty")):
        answer = sent(
            browser, address(dataset, "r2"), editor, {**fields, "name": name, "description": "Mine"}, 409
        )
        form = form_on(answer)
        assert says in form.select("#release-name-problem")[0].get_text()
        assert form.select("#release-name")[0]["aria-describedby"].split()[0] == "release-name-problem"
        assert form.select("#release-description")[0].get_text() == "Mine"
    sent(browser, address(dataset, "r2"), editor, {**fields, "description": "a\0b"}, 409)
    assert releases(dataset) == ["v7"]


def test_a_version_is_released_once_by_the_form(browser: Any):
    editor, dataset = editor_and_dataset()
    fields = opened(browser, address(dataset), editor)
    call("dataset_release_create", dataset=dataset["id"], name="by-another")
    answer = sent(browser, address(dataset), editor, fields, status=302)
    assert answer.headers["Location"].endswith("/v/by-another")
    shown = browser.get(path(answer.headers["Location"]), headers=headers(editor))
    assert "already released as by-another" in shown.body
    assert releases(dataset) == ["by-another"]


def test_the_proposed_name_and_why(browser: Any):
    editor, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name="2.0")
    call("package_patch", id=dataset["id"], title="Later")
    assert opened(browser, address(dataset, "r2"), editor)["name"] == "2.1"
    call("resource_create", package_id=dataset["id"], url="http://x/a")
    page = browser.get(address(dataset, "r3"), headers=headers(editor))
    assert form_on(page).select("#release-name")[0]["value"] == "3.0"
    assert "Files have changed since 2.0" in form_on(page).select("#release-name-hint")[0].get_text()


def links(page: Any) -> set[str]:
    found = BeautifulSoup(page.body, "html.parser").select(".version-manage a")
    return {str(link["href"]).rsplit("/", 1)[-1] for link in found}


def test_the_text_of_a_release_is_changed(browser: Any):
    editor, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name="v1", description="Wrong")
    for page in (f"/dataset/{dataset['name']}/versions", f"/dataset/{dataset['name']}/v/v1"):
        assert links(browser.get(page, headers=headers(editor))) == {"edit"}
        assert links(browser.get(page)) == set()
    url = address(dataset, "v1") + "/edit"
    fields = opened(browser, url, editor)
    assert fields["description"] == "Wrong"
    refused = sent(browser, url, editor, {**fields, "title": "Mine", "doi": "doi"}, status=409)
    assert "no DOI" in form_on(refused).select("#release-doi-problem")[0].get_text()
    assert form_on(refused).select("#release-title")[0]["value"] == "Mine"
    sent(browser, url, editor, {"description": "Forged"}, status=400)
    sent(browser, url, editor, {**fields, "description": "Right"}, status=302)
    shown = call("dataset_release_show", dataset=dataset["id"], release="v1")
    assert (shown["description"], shown["changes"][0]["description"]) == ("Right", "Wrong")
    assert shown["changes"][0]["author"]["id"] == editor["id"]


def test_admins_delete_a_release_after_they_were_told_what_that_means(browser: Any):
    editor, dataset = editor_and_dataset()
    admin = factories.UserWithToken()
    call(
        "member_create",
        id=dataset["owner_org"],
        object=admin["id"],
        object_type="user",
        capacity="admin",
    )
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    url = address(dataset, "v1") + "/delete"
    for user, status in ((editor, 403), (None, 403), (admin, 200)):
        page = browser.get(url, headers=headers(user), status=status)
    assert "Links and citations by the name v1 will no longer work" in page.body
    assert links(browser.get(f"/dataset/{dataset['name']}/v/v1", headers=headers(admin))) == {
        "edit",
        "delete",
    }
    sent(browser, url, admin, {}, status=400)
    fields = opened(browser, url, admin)
    sent(browser, url, editor, fields, status=403)
    assert releases(dataset) == ["v1"]
    sent(browser, url, admin, fields, status=302)
    assert releases(dataset) == []
    for gone in (url, address(dataset, "v1") + "/edit", f"/dataset/{dataset['name']}/v/v1"):
        browser.get(gone, headers=headers(admin), status=404)
    browser.get(f"/dataset/{dataset['name']}/v/r1", headers=headers(admin), status=200)
