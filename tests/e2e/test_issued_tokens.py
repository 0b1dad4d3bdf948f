"""The page of a user's issued tokens in a browser."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import LiveSite, Person, log_in


@pytest.fixture(scope="module")
def dataset(site: LiveSite) -> dict[str, Any]:
    return site.sysadmin.action("package_create", name=f"roads-{uuid.uuid4().hex[:8]}", title="Roads")


@pytest.fixture
def person(site: LiveSite) -> Person:
    return site.person("Petra Publisher")


def issued(person: Person, dataset: dict[str, Any]) -> dict[str, Any]:
    return person.client.action("authz_authorize", scopes=[f"ds:{dataset['name']}:read"])


def good(site: LiveSite, answer: dict[str, Any]) -> bool:
    return site.sysadmin.action("authz_verify", token=answer["token"])["verified"]


def test_from_the_profile_to_no_token_left(
    visitor: Page, site: LiveSite, person: Person, dataset: dict[str, Any]
):
    oldest, *others = (issued(person, dataset) for _ in range(3))
    log_in(visitor, person)
    visitor.goto(f"/user/{person.name}")
    visitor.get_by_role("link", name="Issued tokens").click()
    expect(visitor.get_by_role("heading", name="Issued tokens", level=1)).to_be_visible()
    expect(visitor.get_by_text(f"The dataset {dataset['name']}: read")).to_have_count(3)

    visitor.get_by_role("button", name="Revoke the token issued on").last.click()
    expect(visitor.get_by_text("1 token is revoked.")).to_be_visible()
    assert [good(site, answer) for answer in (oldest, *others)] == [False, True, True]

    visitor.get_by_role("button", name="Revoke all").click()
    expect(visitor.get_by_text("2 tokens are revoked.")).to_be_visible()
    expect(visitor.get_by_text("No token is valid at the moment.")).to_be_visible()
    assert not any(good(site, answer) for answer in others)


def test_no_other_site_mints_by_the_session(
    visitor: Page, site: LiveSite, person: Person, dataset: dict[str, Any]
):
    issued(person, dataset)  # by an API token: CKAN's own check has ended for the API
    log_in(visitor, person)
    visitor.goto(f"/dataset/{dataset['name']}")
    call = """async ([scope, withToken]) => {
        const field = document.querySelector("meta[name=csrf_field_name]").content;
        const token = document.querySelector(`meta[name=${field}]`).content;
        const headers = {"Content-Type": "application/json", ...(withToken && {"X-CSRFToken": token})};
        const body = JSON.stringify({scopes: [scope]});
        const answer = await fetch("/api/3/action/authz_authorize", {method: "POST", headers, body});
        return [answer.status, await answer.text()];
    }"""
    scope = f"ds:{dataset['name']}:read"
    status, text = visitor.evaluate(call, [scope, False])
    assert status == 400
    assert "Reload the page, or call with an API token." in text or text.startswith("<!")  # CKAN was first
    assert visitor.evaluate(call, [scope, True])[0] == 200


def test_with_the_keyboard_alone(visitor: Page, site: LiveSite, person: Person, dataset: dict[str, Any]):
    answer = issued(person, dataset)
    log_in(visitor, person)
    visitor.goto(f"/user/{person.name}/tokens")
    for _ in range(80):
        visitor.keyboard.press("Tab")
        if visitor.evaluate("document.activeElement.innerText.trim()").startswith("Revoke"):
            break
    with visitor.expect_navigation():
        visitor.keyboard.press("Enter")
    expect(visitor.get_by_text("1 token is revoked.")).to_be_visible()
    assert not good(site, answer)


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("width", [1280, 360])
def test_nothing_keeps_anybody_out(
    visitor: Page, person: Person, dataset: dict[str, Any], count: int, width: int
):
    for _ in range(count):
        issued(person, dataset)
    log_in(visitor, person)
    visitor.set_viewport_size({"width": width, "height": 800})
    visitor.goto(f"/user/{person.name}/tokens")
    expect(visitor.get_by_role("button", name="Revoke the token")).to_have_count(count)
    # What core's header, sidebar and footer do is not ours.
    violations = Axe().run(visitor, context="#content .primary").response["violations"]
    assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []
    overflow = "const e = document.querySelector('.primary .module-content'); e.scrollWidth - e.clientWidth"
    assert visitor.evaluate(overflow) == 0
