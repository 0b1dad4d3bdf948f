"""The form by which editors release a version: who gets it, and that nobody else's page can send it."""

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
    (form,) = BeautifulSoup(response.body, "html.parser").select("form[method=post][action$='/release']")
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
    fields |= {"title": " Début ", "notes": "one\r\ntwo "}
    answer = sent(browser, address(dataset), editor, fields, status=302)
    assert answer.headers["Location"].endswith(f"/dataset/{dataset['name']}/v/v1")
    (release,) = call("dataset_release_list", dataset=dataset["id"])
    assert (release["seq"], release["title"], release["description"]) == (1, "Début", "one\ntwo")
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
    (hidden,) = set(fields) - {"name", "title", "notes"}
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
    assert fields["name"] == "v8"
    for name, says in (("v7", "already has a release"), ("r9", "another way to name"), ("", "it is empty")):
        answer = sent(browser, address(dataset, "r2"), editor, {**fields, "name": name, "notes": "Mine"}, 409)
        form = form_on(answer)
        assert says in form.select("#release-name-problem")[0].get_text()
        assert form.select("#release-name")[0]["aria-describedby"].split()[0] == "release-name-problem"
        assert form.select("#release-notes")[0].get_text() == "Mine"
    sent(browser, address(dataset, "r2"), editor, {**fields, "notes": "a\0b"}, 409)
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


@pytest.mark.parametrize(
    ("last", "suggested"),
    [("v9", "v10"), ("1.4", "1.5"), ("2026.09", "2026.10"), ("spring", "")],
)
def test_the_next_name(browser: Any, last: str, suggested: str):
    editor, dataset = editor_and_dataset()
    call("dataset_release_create", dataset=dataset["id"], name=last)
    call("package_patch", id=dataset["id"], title="Later")
    assert opened(browser, address(dataset, "r2"), editor)["name"] == suggested
