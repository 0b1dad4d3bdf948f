"""The form by which editors go back to a version: what it says, who gets it, who can send it."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def browser(portal: Portal) -> Any:
    """Keeps its cookies, and so its session, between requests."""
    return portal.app.test_client()


@pytest.fixture
def changed() -> tuple[dict[str, Any], dict[str, Any]]:
    """An editor, and their dataset, in r2 with another title, without the link a and with b."""
    editor, dataset = editor_and_dataset(title="Before", resources=[{"url": "http://x/a", "name": "a"}])
    call("package_patch", id=dataset["id"], title="After", resources=[{"url": "http://x/b", "name": "b"}])
    return editor, dataset


def address(dataset: dict[str, Any], ref: str = "r1") -> str:
    return f"/dataset/{dataset['name']}/v/{ref}/revert"


def headers(user: Any) -> dict[str, str]:
    """With an API token, so that CKAN's own check of forms stands aside."""
    return {"Authorization": user["token"]} if user else {}


def form_on(response: Any) -> Any:
    (form,) = BeautifulSoup(response.body, "html.parser").select("form[method=post][action$='/revert']")
    return form


def opened(browser: Any, url: str, user: Any) -> dict[str, Any]:
    """The form's fields with their values, the hidden ones too."""
    form = form_on(browser.get(url, headers=headers(user), status=200))
    ticked = [box["value"] for box in form.select("input[name=part][checked]")]
    hidden = {field["name"]: field["value"] for field in form.select("input[type=hidden]")}
    return {**hidden, "part": ticked, "message": ""}


def sent(browser: Any, url: str, user: Any, fields: dict[str, Any], status: int = 302) -> Any:
    return browser.post(url, data=fields, headers=headers(user), status=status, follow_redirects=False)


def now(dataset: dict[str, Any]) -> tuple[str, list[str]]:
    shown = call("package_show", id=dataset["id"])
    return shown["title"], [resource["name"] for resource in shown["resources"]]


def test_it_says_what_will_change_and_does_it(browser: Any, changed: Any):
    editor, dataset = changed
    assert f"{dataset['name']}/v/r1/revert" in browser.get(
        f"/dataset/{dataset['name']}/v/r1", headers=headers(editor)
    )
    text = form_on(browser.get(address(dataset), headers=headers(editor))).get_text(" ", strip=True)
    for said in ("Changed: title.", "“a” comes back", "“b” is removed"):
        assert said in text
    fields = opened(browser, address(dataset), editor)
    answer = sent(browser, address(dataset), editor, {**fields, "message": "Wrong data."})
    assert answer.headers["Location"].endswith(f"/dataset/{dataset['name']}")
    assert now(dataset) == ("Before", ["a"])
    newest = recorded.newest(dataset["id"])
    assert (newest.message, newest.origin, newest.author_id) == ("Wrong data.", "revert", editor["id"])


def test_what_is_not_ticked_stays(browser: Any, changed: Any):
    editor, dataset = changed
    fields = opened(browser, address(dataset), editor)
    (a,) = (resource["id"] for resource in dataset["resources"])
    sent(browser, address(dataset), editor, {**fields, "part": [a, "no such part"]})
    assert now(dataset) == ("After", ["a", "b"])
    assert recorded.newest(dataset["id"]).message == "Revert to r1"


def test_a_mistake_changes_nothing_and_loses_nothing(browser: Any, changed: Any):
    editor, dataset = changed
    fields = opened(browser, address(dataset), editor)
    answer = sent(browser, address(dataset), editor, {**fields, "part": [], "message": "Mine"}, 409)
    assert "Choose what is to come back." in answer.body
    assert form_on(answer).select("textarea")[0].get_text() == "Mine"
    sent(browser, address(dataset), editor, {**fields, "message": "a\0b"}, 409)
    assert now(dataset) == ("After", ["b"])


def test_a_change_meanwhile_is_not_overwritten_unseen(browser: Any, changed: Any):
    editor, dataset = changed
    fields = opened(browser, address(dataset), editor)
    call("package_patch", id=dataset["id"], title="Meanwhile")
    answer = sent(browser, address(dataset), editor, fields, 409)
    assert "changed the dataset meanwhile" in answer.body
    assert now(dataset) == ("Meanwhile", ["b"])
    again = {field["name"]: field["value"] for field in form_on(answer).select("input[type=hidden]")}
    sent(browser, address(dataset), editor, {**fields, **again})
    assert now(dataset) == ("Before", ["a"])


@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_only_our_own_page_can_send_it(browser: Any, portal: Portal, changed: Any, token: str | None):
    editor, dataset = changed
    fields = opened(browser, address(dataset), editor)
    (hidden,) = set(fields) - {"head", "part", "message"}
    if token is None:
        del fields[hidden]
    elif token == "of another session":
        browser = portal.app.test_client()
    else:
        fields[hidden] = token
    assert "Nothing was changed" in sent(browser, address(dataset), editor, fields, 400).body
    assert now(dataset) == ("After", ["b"])


def test_who_may_not_edit_the_dataset_has_no_form(browser: Any, changed: Any):
    editor, dataset = changed
    fields = opened(browser, address(dataset), editor)
    for user in (factories.UserWithToken(), None):
        assert "/revert" not in browser.get(f"/dataset/{dataset['name']}/v/r1", headers=headers(user)).body
        browser.get(address(dataset), headers=headers(user), status=403)
        sent(browser, address(dataset), user, fields, 403)
    assert now(dataset) == ("After", ["b"])


def test_there_is_nothing_to_go_back_to(browser: Any, changed: Any):
    editor, dataset = changed
    answer = browser.get(
        address(dataset, "head"), headers=headers(editor), follow_redirects=False, status=302
    )
    assert answer.headers["Location"].endswith("/v/r2")
    assert "/revert" not in browser.get(f"/dataset/{dataset['name']}/v/r2", headers=headers(editor)).body


def test_only_the_order(browser: Any):
    editor, dataset = editor_and_dataset(
        resources=[{"url": "http://x/a", "name": "a"}, {"url": "http://x/b", "name": "b"}]
    )
    call(
        "package_resource_reorder", id=dataset["id"], order=[r["id"] for r in reversed(dataset["resources"])]
    )
    assert now(dataset)[1] == ["b", "a"]
    fields = opened(browser, address(dataset), editor)
    assert fields["part"] == []
    sent(browser, address(dataset), editor, fields)
    assert now(dataset)[1] == ["a", "b"]
