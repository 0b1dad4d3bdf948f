"""What was issued, and taking it back: the list, revoking, and what is kept for how long."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from ckanext.authz_service import config, ledger
from ckanext.authz_service.errors import InvalidToken
from tests.authz_service.ledger_rows import age, cutoffs, issued_to, jti_of, rows, set_account
from tests.authz_service.site import account

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")


def call(name: str, user: dict[str, Any] | None, **data: Any) -> Any:
    return tk.get_action(name)({"user": user["name"] if user else "", "ignore_auth": False}, data)


def listed(user: dict[str, Any], **data: Any) -> list[str]:
    return [entry["jti"] for entry in call("authz_token_list", user, **data)["tokens"]]


def verified(answer: dict[str, Any]) -> bool | str:
    """True, or the reason why not."""
    found = tk.get_action("authz_verify")({"user": ""}, {"token": answer["token"]})
    return found["verified"] or found["reason"]


@pytest.fixture
def alice() -> Any:
    return factories.User()


# --- what is written down ----------------------------------------------------------------------------------


def test_a_token_is_written_down_as_it_is(alice):
    dataset, other = factories.Dataset(), factories.Dataset()
    scopes = [f"ds:{other['name']}:read", f"ds:{dataset['name']}:read"]
    before = datetime.now(timezone.utc) - timedelta(seconds=5)
    answer = issued_to(alice, *scopes, scopes[0], "ds:no-such:read", lifetime=60)
    (row,) = rows(alice["id"])
    assert row.jti == jti_of(answer)
    assert (row.scopes, row.audience) == (answer["granted_scopes"], None) == (scopes, None)
    assert row.expires == datetime.fromisoformat(answer["expires_at"])
    assert before < row.issued < before + timedelta(seconds=60)
    assert (row.revoked_at, row.revoked_by) == (None, None)
    # Neither the token nor its signature.
    assert not any(part in str(row) for part in answer["token"].split("."))


@pytest.mark.ckan_config("ckanext.authz_service.jwt_audience", "https://service.example.org")
def test_the_audience_is_written_down(alice):
    issued_to(alice)
    assert [row.audience for row in rows(alice["id"])] == ["https://service.example.org"]


def test_no_row_without_a_token(alice):
    assert issued_to(alice, "ds:no-such-dataset:read")["token"] is None
    with pytest.raises(tk.ValidationError):
        issued_to(alice, "ds:foo:")
    assert rows(alice["id"]) == []


def test_what_is_written_down_stays_when_the_caller_rolls_back(alice):
    scope = f"ds:{factories.Dataset()['name']}:read"
    other = account(factories.User())
    before = other.fullname
    other.fullname = "Never saved"
    model.Session.flush()
    issued_to(alice, scope)
    model.Session.rollback()
    assert account({"id": other.id}).fullname == before
    assert len(rows(alice["id"])) == 1


# --- the list -----------------------------------------------------------------------------------------------


def test_users_list_their_own_and_sysadmins_all(alice):
    bob, sysadmin = factories.User(), factories.Sysadmin()
    mine, hers = issued_to(bob), issued_to(alice)
    newest = issued_to(alice)
    issued_to(None)
    assert listed(alice) == [jti_of(newest), jti_of(hers)]
    assert listed(alice, user_id=alice["id"]) == listed(alice, user_id=alice["name"]) == listed(alice)
    assert listed(bob) == [jti_of(mine)]
    assert listed(sysadmin)[:3] == [jti_of(newest), jti_of(hers), jti_of(mine)]
    assert listed(sysadmin, user_id=bob["name"]) == [jti_of(mine)]
    for caller, user in ((bob, alice["id"]), (bob, "no-such-user"), (None, alice["id"])):
        with pytest.raises(tk.NotAuthorized):
            call("authz_token_list", caller, user_id=user)
    with pytest.raises(tk.NotAuthorized):
        call("authz_token_list", None)
    with pytest.raises(tk.ObjectNotFound):
        call("authz_token_list", sysadmin, user_id="no-such-user")


def test_what_the_list_says_over_the_api(app):
    user = factories.UserWithToken()
    answer = issued_to(user)
    headers = {"Authorization": user["token"]}
    found = app.get("/api/3/action/authz_token_list", headers=headers).json["result"]
    (entry,) = found["tokens"]
    assert found["cursor"] is None
    assert entry == {
        "jti": jti_of(answer),
        "user_id": user["id"],
        "user_name": user["name"],
        "scopes": answer["granted_scopes"],
        "audience": None,
        "issued": entry["issued"],
        "expires": answer["expires_at"],
        "revoked_at": None,
        "revoked_by": None,
        "live": True,
    }
    assert datetime.fromisoformat(entry["issued"]).utcoffset() is not None


def test_only_live_ones_unless_asked_for_all(alice):
    expired, revoked, live = (jti_of(issued_to(alice)) for _ in range(3))
    age(expired, timedelta(hours=1))
    assert call("authz_token_revoke", alice, jti=revoked) == {"revoked": 1}
    assert listed(alice) == [live]
    assert listed(alice, all=True) == [live, revoked, expired]
    page = call("authz_token_list", alice, all="true")["tokens"]
    assert [entry["live"] for entry in page] == [True, False, False]
    assert [entry["revoked_by"] for entry in page] == [None, alice["id"], None]


def test_page_by_page(alice):
    jtis = [jti_of(issued_to(alice)) for _ in range(5)]
    seen, cursor = [], None
    for _ in range(3):
        answer = call("authz_token_list", alice, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [entry["jti"] for entry in answer["tokens"]]
        cursor = answer["cursor"]
    assert seen == jtis[::-1]
    assert cursor is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"limit": True},
        {"all": "perhaps"},
        {"cursor": "x"},
        {"cursor": "2026-01-01_abc"},
        {"cursor": "2026-01-01T00:00:00+00:00_'; --"},
        {"cursor": 7},
        {"user_id": "a\0b"},
        {"user_id": "\ud800"},
        {"user_id": ["a"]},
    ],
    ids=str,
)
def test_what_the_list_does_not_accept(wrong):
    with pytest.raises(tk.ValidationError) as raised:
        call("authz_token_list", factories.Sysadmin(), **wrong)
    assert set(raised.value.error_dict) == set(wrong)


# --- revoking -----------------------------------------------------------------------------------------------


def test_one_token(alice):
    answer, other = issued_to(alice), issued_to(alice)
    assert verified(answer) is True
    assert call("authz_token_revoke", alice, jti=jti_of(answer)) == {"revoked": 1}
    assert (verified(answer), verified(other)) == ("revoked", True)
    (first, _) = rows(alice["id"])
    assert call("authz_token_revoke", factories.Sysadmin(), jti=jti_of(answer)) == {"revoked": 0}
    assert rows(alice["id"])[0] == first, "who was first, and when, stays"


def test_nobody_revokes_what_is_not_theirs(alice):
    answer, bob = issued_to(alice), factories.User()
    texts = set()
    for jti in (jti_of(answer), "00000000-0000-0000-0000-000000000000", "x"):
        with pytest.raises(tk.ObjectNotFound) as raised:
            call("authz_token_revoke", bob, jti=jti)
        texts.add(str(raised.value))
    assert len(texts) == 1
    for user in (alice["id"], alice["name"], "no-such-user"):
        with pytest.raises(tk.NotAuthorized):
            call("authz_token_revoke", bob, user_id=user)
    for what in ({"jti": jti_of(answer)}, {"user_id": alice["id"]}):
        with pytest.raises(tk.NotAuthorized):
            call("authz_token_revoke", None, **what)
    assert verified(answer) is True


def test_sysadmins_revoke_any(alice):
    sysadmin = factories.Sysadmin()
    answer, other = issued_to(alice), issued_to(alice)
    assert call("authz_token_revoke", sysadmin, jti=jti_of(answer)) == {"revoked": 1}
    assert rows(alice["id"])[0].revoked_by == sysadmin["id"]
    assert call("authz_token_revoke", sysadmin, user_id=alice["name"]) == {"revoked": 1}
    assert verified(other) == "revoked"
    for what in ({"jti": "x"}, {"user_id": "no-such-user"}):
        with pytest.raises(tk.ObjectNotFound):
            call("authz_token_revoke", sysadmin, **what)


def test_all_of_ones_own_and_a_new_one_right_after(alice):
    bobs = issued_to(factories.User())
    mine = [issued_to(alice) for _ in range(3)]
    scope = mine[0]["granted_scopes"][0]
    assert call("authz_token_revoke", alice, user_id=alice["name"]) == {"revoked": 3}
    new = issued_to(alice, scope)  # in the same second, to which the claims of a token are rounded
    assert [verified(answer) for answer in mine] == ["revoked"] * 3
    assert (verified(new), verified(bobs)) == (True, True)
    assert listed(alice) == [jti_of(new)]
    assert call("authz_token_revoke", alice, user_id=alice["id"]) == {"revoked": 1}
    assert call("authz_token_revoke", alice, user_id=alice["id"]) == {"revoked": 0}
    assert len(cutoffs(alice["id"])) == 1


def test_all_includes_a_token_that_is_being_written_down(alice):
    """Its row becomes visible only after everything else was revoked."""
    with ledger.opened(config.engine()) as slow:
        ledger.record(
            slow,
            jti="being-written",
            user_id=alice["id"],
            scopes=["ds:x:read"],
            audience=None,
            expires=datetime.now(timezone.utc) + timedelta(minutes=5),
            retention=timedelta(days=1),
        )
        assert call("authz_token_revoke", alice, user_id=alice["id"]) == {"revoked": 0}
    assert listed(alice) == []
    (entry,) = call("authz_token_list", alice, all=True)["tokens"]
    assert entry["revoked_by"] == alice["id"]
    with pytest.raises(InvalidToken, match="revoked"), ledger.opened(config.engine()) as connection:
        ledger.check(connection, "being-written", alice["id"])


@pytest.mark.parametrize(
    "wrong",
    [{}, {"jti": "x", "user_id": "y"}, {"jti": None}, {"jti": 7}, {"jti": "\0"}, {"user_id": "\ud800"}],
)
def test_what_revoking_does_not_accept(wrong):
    with pytest.raises(tk.ValidationError):
        call("authz_token_revoke", factories.Sysadmin(), **wrong)


def test_revoking_is_not_possible_by_address_alone(app):
    user = factories.SysadminWithToken()
    for action in ("authz_token_revoke", "authz_verify"):
        app.get(f"/api/3/action/{action}", headers={"Authorization": user["token"]}, status=400)


# --- accounts -----------------------------------------------------------------------------------------------


def by_user_delete(user: Any) -> None:
    tk.get_action("user_delete")({"user": "", "ignore_auth": True}, {"id": user["id"]})


def by_user_patch(user: Any) -> None:
    tk.get_action("user_patch")(
        {"user": factories.Sysadmin()["name"], "ignore_auth": True}, {"id": user["id"], "state": "pending"}
    )


def by_model(user: Any) -> None:
    account(user).state = model.State.DELETED
    model.Session.commit()


def by_sql(user: Any) -> None:
    set_account(user, "deleted")


@pytest.mark.parametrize("deactivate", [by_user_delete, by_user_patch, by_model, by_sql])
def test_who_is_deactivated_holds_nothing(alice, deactivate):
    answer = issued_to(alice)
    deactivate(alice)
    assert verified(answer) == "inactive_user"
    with pytest.raises(tk.NotAuthorized):
        issued_to(alice)
    assert listed(factories.Sysadmin(), user_id=alice["id"]) == []
    set_account(alice, "active")
    # The database's prompt leaves nothing behind that would tell; whatever goes through CKAN does.
    assert verified(answer) == (True if deactivate is by_sql else "revoked")
    assert verified(issued_to(alice)) is True


def test_an_account_that_is_gone(alice):
    answer = issued_to(alice)
    model.Session.delete(account(alice))
    model.Session.commit()
    assert verified(answer) == "inactive_user"


def test_other_changes_of_an_account_end_nothing(alice):
    answer = issued_to(alice)
    account(alice).fullname = "Alice in Chains"
    model.Session.commit()
    assert verified(answer) is True
    assert cutoffs(alice["id"]) == []


# --- keeping and forgetting ---------------------------------------------------------------------------------


@pytest.mark.ckan_config("ckanext.authz_service.ledger_retention", 2)
def test_pruning_forgets_what_is_older_than_its_retention(alice):
    old, kept, live = (jti_of(issued_to(alice)) for _ in range(3))
    call("authz_token_revoke", alice, user_id=alice["id"])
    age(old, timedelta(days=2, hours=1))
    age(kept, timedelta(days=1, hours=23))
    with ledger.opened(config.engine()) as connection:
        assert ledger.prune(connection, config.ledger_retention()) >= 1
    assert {row.jti for row in rows(alice["id"])} == {kept, live}
    assert len(cutoffs(alice["id"])) == 1


def test_a_cutoff_stays_as_long_as_it_ends_something(alice):
    """A site may let tokens live for longer than it keeps them once they have expired."""
    answer = issued_to(alice)
    call("authz_token_revoke", alice, user_id=alice["id"])
    with ledger.opened(config.engine()) as connection:
        ledger.prune(connection, timedelta(0))
    assert (len(cutoffs(alice["id"])), verified(answer)) == (1, "revoked")
    age(jti_of(answer), timedelta(days=1))
    with ledger.opened(config.engine()) as connection:
        ledger.prune(connection, timedelta(0))
    assert (len(cutoffs(alice["id"])), rows(alice["id"])) == (0, [])
    assert verified(answer) == "not_recorded"


def test_each_new_token_takes_old_ones_along(alice):
    """A site that runs no clean-up keeps no more than a retention's worth."""
    with ledger.opened(config.engine()) as connection:
        ledger.prune(connection, config.ledger_retention())
    old = [jti_of(issued_to(alice)) for _ in range(5)]
    for number, jti in enumerate(old):
        age(jti, config.ledger_retention() + timedelta(hours=6 - number))
    left = []
    for _ in range(3):
        issued_to(alice)
        left.append({row.jti for row in rows(alice["id"])} & set(old))
    assert left == [set(old[2:]), set(old[4:]), set()]


def test_nothing_secret_is_logged(alice, caplog):
    with caplog.at_level("DEBUG"):
        answer = issued_to(alice)
        call("authz_token_revoke", alice, jti=jti_of(answer))
        verified(answer)
    assert not re.search(re.escape(answer["token"].rpartition(".")[2]), caplog.text)
