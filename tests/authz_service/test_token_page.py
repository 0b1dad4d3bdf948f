"""The page of a user's issued tokens: who gets it, and that nobody else's page can press its buttons."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan.tests import factories

from ckanext.authz_service import pages, words
from tests.authz_service.ledger_rows import execute, issued_to, jti_of, rows

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


def address(user: dict[str, Any], rest: str = "") -> str:
    return f"/user/{user['name']}/tokens{rest}"


def headers(user: Any) -> dict[str, str]:
    """With an API token, so that CKAN's own check of forms stands aside."""
    return {"Authorization": user["token"]} if user else {}


@pytest.fixture
def browser(app) -> Any:
    """Keeps its cookies, and so its session, between requests."""
    return app.test_client()


@pytest.fixture
def alice() -> Any:
    return factories.UserWithToken()


def forms(browser: Any, user: Any, visitor: Any) -> list[dict[str, Any]]:
    """The fields of each form of the page."""
    page = BeautifulSoup(browser.get(address(user), headers=headers(visitor)).body, "html.parser")
    found = page.select("form[method=post][action$='/tokens/revoke']")
    return [{str(f["name"]): f["value"] for f in form.select("input")} for form in found]


def send(browser: Any, user: Any, visitor: Any, fields: dict[str, str], status: int = 302) -> Any:
    return browser.post(
        address(user, "/revoke"), data=fields, headers=headers(visitor), status=status, follow_redirects=False
    )


def revoked(user: Any) -> list[bool]:
    return [row.revoked_at is not None for row in rows(user["id"])]


def test_a_user_sees_their_tokens_and_revokes_one(browser, alice):
    first, second = issued_to(alice), issued_to(alice)
    page = browser.get(address(alice), headers=headers(alice))
    name = first["granted_scopes"][0].split(":")[1]
    assert f"The dataset {name}: read" in page.body
    assert "every service that trusts this site" in page.body
    assert first["token"] not in page.body
    assert "public" not in page.headers["Cache-Control"]
    newest, oldest, everything = forms(browser, alice, alice)
    assert (newest["jti"], oldest["jti"]) == (jti_of(second), jti_of(first))
    assert "jti" not in everything

    answer = send(browser, alice, alice, oldest)
    assert answer.headers["Location"].endswith(address(alice))
    assert "1 token is revoked." in browser.get(address(alice), headers=headers(alice)).body
    assert revoked(alice) == [True, False]
    send(browser, alice, alice, oldest)
    assert "nothing to revoke" in browser.get(address(alice), headers=headers(alice)).body


def test_all_at_once(browser, alice):
    for _ in range(3):
        issued_to(alice)
    *_, everything = forms(browser, alice, alice)
    send(browser, alice, alice, everything)
    page = browser.get(address(alice), headers=headers(alice))
    assert "3 tokens are revoked." in page.body
    assert "No token is valid at the moment." in page.body
    assert forms(browser, alice, alice) == []
    assert revoked(alice) == [True] * 3


def test_a_sysadmin_does_it_for_somebody_else(browser, alice):
    issued_to(alice)
    sysadmin = factories.SysadminWithToken()
    (one, _everything) = forms(browser, alice, sysadmin)
    send(browser, alice, sysadmin, one)
    assert rows(alice["id"])[0].revoked_by == sysadmin["id"]
    browser.get("/user/no-such-user/tokens", headers=headers(sysadmin), status=404)


def test_nobody_else_sees_or_revokes(browser, alice):
    issued_to(alice)
    fields = forms(browser, alice, alice)
    bob = factories.UserWithToken()
    for visitor in (bob, None):
        for name in (alice["name"], alice["id"], "no-such-user"):
            browser.get(f"/user/{name}/tokens", headers=headers(visitor), status=403)
        for form in fields:
            send(browser, alice, visitor, form, status=403)
    # Bob's own page does not open others' tokens either.
    own = browser.get(address(bob), headers=headers(bob))
    assert jti_of_first(alice) not in own.body
    send(browser, bob, bob, {**fields[0]})
    assert revoked(alice) == [False]


def jti_of_first(user: Any) -> str:
    return rows(user["id"])[0].jti


def test_the_tab_is_there_for_those_who_may_open_it(browser, alice):
    tab = f'href="{address(alice)}"'
    shown = [
        tab in browser.get(f"/user/{alice['name']}", headers=headers(visitor)).body
        for visitor in (alice, factories.SysadminWithToken(), factories.UserWithToken(), None)
    ]
    assert shown == [True, True, False, False]


@pytest.mark.parametrize("token", [None, "", "x", "of another session"])
def test_only_our_own_page_can_press_the_buttons(browser, app, alice, token):
    issued_to(alice)
    for fields in forms(browser, alice, alice):
        (hidden,) = set(fields) - {"jti"}
        sender = app.test_client() if token == "of another session" else browser
        if token is None:
            del fields[hidden]
        elif token != "of another session":
            fields[hidden] = token
        assert "Nothing was revoked" in send(sender, alice, alice, fields, status=400).body
    assert revoked(alice) == [False]


def test_page_by_page(browser, alice, monkeypatch):
    monkeypatch.setattr(pages, "PAGE", 2)
    jtis = [jti_of(issued_to(alice)) for _ in range(3)]
    page = BeautifulSoup(browser.get(address(alice), headers=headers(alice)).body, "html.parser")
    (older,) = (link["href"] for link in page.select("a") if link.get_text() == "Older tokens")
    second = browser.get(older, headers=headers(alice)).body
    assert [f'value="{jti}"' in second for jti in jtis] == [True, False, False]
    assert "Newest tokens" in second
    for nonsense in ("x", "%00", "2026_", "9999-99-99_a"):
        assert jtis[2] in browser.get(address(alice, f"?after={nonsense}"), headers=headers(alice)).body


def test_without_the_tables_the_page_says_what_is_missing(browser, alice):
    execute("ALTER TABLE authz_service_user_cutoff RENAME TO hidden_cutoff")
    try:
        page = browser.get(address(alice), headers=headers(alice), status=503)
    finally:
        execute("ALTER TABLE hidden_cutoff RENAME TO authz_service_user_cutoff")
    assert "ckan db upgrade -p authz_service" in page.body


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        ("ds:roads:read,update", "The dataset roads: read, change"),
        ("ds:city/roads:metadata:patch", "The dataset city/roads, the part “metadata”: change parts"),
        ("ds:*:purge", "All datasets: delete for good"),
        ("ds:city/*:read", "All datasets in city: read"),
        ("ds:city/:create", "All datasets in city: create"),
        ("org:city:read", "The organization city: read"),
        ("res:city/roads/r1:read", "The resource city/roads/r1: read"),
        ("obj:city/roads/*:read,write", "All files of the dataset city/roads: read, add files"),
        ("obj:city/roads/abc:read", "The file city/roads/abc: read"),
        ("map:*:draw", "Everything of the kind “map”: draw"),
        ("map:x/*:draw", "map x/*: draw"),
    ],
)
def test_scopes_in_words(app, scope, text):
    with app.flask_app.test_request_context():
        assert words.opens(scope) == text


def test_audiences_in_words(app, ckan_config):
    with app.flask_app.test_request_context():
        assert words.opened_at(None) == "every service that trusts this site"
        assert words.opened_at(ckan_config["ckan.site_url"] + "/lfs") == "this site's file store"
        assert words.opened_at("https://x.example") == "https://x.example"
