"""The audit log: who was given what."""

from __future__ import annotations

import json
import logging
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.authz_service import audit
from tests.authz_service.site import account, ask, ask_with

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


@pytest.fixture
def lines(caplog):
    """The lines so far, parsed."""
    caplog.set_level(logging.INFO, audit.__name__)

    def parsed() -> list[dict[str, Any]]:
        found = [record.getMessage() for record in caplog.records if record.name == audit.__name__]
        assert all(line.isascii() and line.isprintable() for line in found)
        return [json.loads(line) for line in found]

    return parsed


def test_what_was_issued_to_whom(app, lines, caplog):
    user = factories.UserWithToken()
    dataset = factories.Dataset(owner_org=factories.Organization()["id"])
    scopes = [f"ds:{dataset['name']}:read,update", "ds:no-such-dataset:read"]
    answer = app.post(
        "/api/3/action/authz_authorize",
        json={"scopes": scopes, "lifetime": 60},
        headers={"Authorization": user["token"]},
        environ_overrides={"REMOTE_ADDR": "192.0.2.1"},
    ).json["result"]
    (line,) = lines()
    assert len(line.pop("jti")) == 36
    assert line == {
        "event": "issued",
        "user": user["id"],
        "address": "192.0.2.1",
        "granted": [f"ds:{dataset['name']}:read"],
        "asked": scopes,
        "audience": None,
        "expires_at": answer["expires_at"],
        "lifetime": 60,
    }
    for part in answer["token"].split("."):
        assert part not in caplog.text
    assert user["token"] not in caplog.text


def test_what_was_refused(lines):
    user = factories.User()
    ask(user["name"], "ds:no-such-dataset:read")
    ask(None, "ds:*:purge")
    assert [(line["event"], line["user"], line["asked"]) for line in lines()] == [
        ("refused", user["id"], ["ds:no-such-dataset:read"]),
        ("refused", None, ["ds:*:purge"]),
    ]


def test_who_may_not_even_ask(lines):
    user = factories.User()
    account(user).state = model.State.DELETED
    model.Session.commit()
    with pytest.raises(tk.NotAuthorized):
        ask(user["name"], "ds:foo:read")
    (line,) = lines()
    assert (line["event"], line["name"], line["reason"]) == (
        "refused",
        user["name"],
        "may not ask for tokens",
    )


def test_outside_of_a_request_there_is_no_address(lines):
    ask(None, "ds:no-such-dataset:read")
    (line,) = lines()
    assert line["address"] is None


@pytest.mark.parametrize("address", ["", "192.0.2.1\n{}", "\x1b[2J", "localhost"])
def test_what_is_no_address_is_not_repeated(app, lines, address):
    with app.flask_app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
        ask(None, "ds:no-such-dataset:read")
    (line,) = lines()
    assert line["address"] == "unknown"


def test_nothing_a_caller_sends_can_write_a_second_line(lines):
    """A user's name comes from CKAN, a scope is checked; even so no character reaches the log unescaped."""
    ask_with({"user": "mallory\n\r\x1b[2J\u2028"}, "ds:no-such-dataset:read")
    audit.record("refused", "id\n", name="\u2028\x00\u202e")
    assert [line["user"] for line in lines()] == [None, "id\n"]
