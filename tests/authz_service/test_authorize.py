"""``authz_authorize``: what it accepts, what it answers, what is in the token."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import authz, model
from ckan.tests import factories

from ckanext.authz_service import config, keys
from tests.authz_service.jose import verified
from tests.authz_service.site import account, ask, ask_with, granted, opened

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

URL = "/api/3/action/authz_authorize"


@pytest.fixture
def dataset():
    return factories.Dataset()


@pytest.fixture
def scope(dataset):
    return f"ds:{dataset['name']}:read"


def problem(user: str | None, *scopes: str, **more: Any) -> tuple[str, str]:
    """The one validation error for a request, as (field, message)."""
    with pytest.raises(tk.ValidationError) as raised:
        ask(user, *scopes, **more)
    errors: Any = raised.value.error_dict
    ((field, (message,)),) = errors.items()
    return field, message


# --- the answer -------------------------------------------------------------------------------------------


def test_the_answer_over_the_api(app, dataset):
    user = factories.UserWithToken(fullname="Alice Example")
    asked = {
        "scopes": [f"ds:{dataset['name']}:update,read", f"ds:{dataset['id']}:purge", "ds:*:*"],
        "lifetime": 60,
    }
    before = datetime.now(timezone.utc).replace(microsecond=0)
    response = app.post(URL, json=asked, headers={"Authorization": user["token"]})
    assert "private" in response.headers["Cache-Control"]
    assert "public" not in response.headers["Cache-Control"]
    answer = response.json["result"]
    assert set(answer) == {"user_id", "token", "expires_at", "requested_scopes", "granted_scopes"}
    assert answer["user_id"] == user["id"]
    assert answer["requested_scopes"] == [
        f"ds:{dataset['name']}:read,update",
        f"ds:{dataset['id']}:purge",
        "ds",
    ]
    assert answer["granted_scopes"] == [f"ds:{dataset['name']}:read,update"]
    expires = datetime.fromisoformat(answer["expires_at"])
    assert expires.utcoffset() == timedelta(0)
    assert timedelta(seconds=60) <= expires - before <= timedelta(seconds=65)

    jwks = app.get("/authz/jwks.json").json
    header, claims = verified(answer["token"], jwks)
    assert header["typ"] == "ckan-authz+jwt"
    assert claims["sub"] == user["id"]
    assert claims["preferred_username"] == user["name"]
    assert claims["name"] == "Alice Example"
    assert claims["iss"] == tk.config["ckan.site_url"]
    assert claims["scopes"] == f"ds:{dataset['name']}:read,update"
    assert claims["refs"] == {f"ds:{dataset['name']}:read,update": dataset["id"]}
    assert claims["exp"] == int(expires.timestamp()) == claims["iat"] + 60
    assert "aud" not in claims


def test_anonymous_callers_get_what_is_public(app, dataset, scope):
    answer = app.post(URL, json={"scopes": [scope, f"ds:{dataset['name']}:update"]}).json["result"]
    assert answer["user_id"] is None
    assert answer["granted_scopes"] == [scope]
    _, claims = verified(answer["token"], app.get("/authz/jwks.json").json)
    assert not {"sub", "name", "preferred_username"} & set(claims)


def test_get_is_refused(app, scope):
    assert "POST" in app.get(URL, query_string={"scopes": scope}, status=400).body


def test_a_form_with_scopes_separated_by_blanks(app, dataset, scope):
    answer = app.post(URL, data={"scopes": f"{scope}  ds:{dataset['id']}:read\n", "lifetime": "60"}).json[
        "result"
    ]
    assert answer["granted_scopes"] == [scope, f"ds:{dataset['id']}:read"]


def test_several_scopes_are_a_list_in_the_order_of_the_request(scope):
    first, second = (f"ds:{factories.Dataset()['name']}:read" for _ in range(2))
    answer = ask(None, second, scope, first, second, f"{scope},read")
    assert answer["granted_scopes"] == [second, scope, first]
    _, claims = verified(answer["token"], keys.jwks(config.verification_keys().values()))
    assert claims["scopes"] == [second, scope, first]


def test_when_nothing_is_granted_nothing_is_signed():
    user = factories.User()
    assert ask(user["name"], "ds:no-such-dataset:read", "ds:*:purge") == {
        "user_id": user["id"],
        "token": None,
        "expires_at": None,
        "requested_scopes": ["ds:no-such-dataset:read", "ds:*:purge"],
        "granted_scopes": [],
    }


# --- scopes -----------------------------------------------------------------------------------------------


def test_what_is_not_a_list_of_scopes():
    for scopes in (None, [], "", " ", 7, True, {"a": 1}, [{"a": 1}], [["ds:foo:read"]], [None], [7]):
        with pytest.raises(tk.ValidationError) as raised:
            tk.get_action("authz_authorize")({"user": ""}, {"scopes": scopes})
        assert set(raised.value.error_dict) == {"scopes"}, scopes


def test_scopes_are_needed(app):
    error = app.post(URL, json={}, status=409).json["error"]
    assert set(error) == {"__type", "scopes"}


def test_a_bad_scope_is_named_and_fails_the_request(scope):
    field, message = problem(None, scope, "ds:foo:")
    assert field == "scopes"
    assert "'ds:foo:'" in message


def test_unknown_types_are_named_with_the_known(scope):
    field, message = problem(None, scope, "database:foo:read")
    assert field == "scopes"
    assert "'database'" in message
    assert "ds" in message


def test_at_most_a_hundred_scopes(scope):
    assert len(ask(None, *[scope] * 100)["requested_scopes"]) == 100
    field, message = problem(None, *[scope] * 101)
    assert field == "scopes"
    assert "100" in message


def test_all_scopes_together_have_a_longest_length(scope):
    long = f"ds:{'x' * 100}/{'x' * 100}:" + ",".join("a" * 30 + str(n) for n in range(8))
    assert len(long) > 400
    assert ask(None, scope, *[long] * 70)["granted_scopes"] == [scope]
    for scopes in ([scope, *[long] * 90], " ".join([scope, *[long] * 90]), " " * 40_000):
        with pytest.raises(tk.ValidationError, match="32768 characters"):
            tk.get_action("authz_authorize")({"user": ""}, {"scopes": scopes})


def test_a_token_that_would_be_too_large_is_an_error():
    user = factories.User()
    names = [factories.Dataset(user=user)["name"] for _ in range(2)]
    many = [
        f"ds:{name}:{subscope}:{action}"
        for name in names
        for subscope in ("data", "metadata", "*")
        for action in (
            "read",
            "update",
            "patch",
            "delete",
            "read,update",
            "read,patch",
            "read,delete",
            "update,patch",
            "delete,update",
            "delete,patch",
            "read,update,patch",
            "read,update,patch,delete",
        )
    ]
    field, message = problem(user["name"], *many)
    assert field == "scopes"
    assert "8192" in message


# --- lifetime ---------------------------------------------------------------------------------------------


def test_a_lifetime_is_a_positive_whole_number(scope):
    for lifetime in (0, -1, "soon", "", "-5", "1.5", 1.5, True, False, [60], {"s": 1}, "\u0661", 30 * "9"):
        field, message = problem(None, scope, lifetime=lifetime)
        assert (field, "whole number" in message) == ("lifetime", True), lifetime


@pytest.mark.ckan_config("ckanext.authz_service.jwt_max_lifetime", 120)
def test_too_long_a_life_is_cut_down_and_the_answer_says_so(scope):
    for asked, given in ((1, 1), (119, 119), (121, 120), (10**9, 120), ("60", 60), (None, 120)):
        now = datetime.now(timezone.utc)
        answer = ask(None, scope, lifetime=asked)
        left = (datetime.fromisoformat(answer["expires_at"]) - now).total_seconds()
        assert given - 2 < left <= given + 2, asked


# --- audience ---------------------------------------------------------------------------------------------


@pytest.mark.ckan_config("ckanext.authz_service.jwt_audience", "https://service.example.org")
@pytest.mark.ckan_config("ckanext.authz_service.jwt_issuer", "https://other.example.org/")
def test_issuer_and_audience_are_options(scope):
    _, claims = verified(ask(None, scope)["token"], keys.jwks(config.verification_keys().values()))
    assert claims["iss"] == "https://other.example.org/"
    assert claims["aud"] == "https://service.example.org"
    assert config.lfs_audience() == "https://other.example.org/lfs"


def test_a_caller_cannot_choose_the_audience(scope):
    answer = ask(
        None,
        scope,
        aud="https://evil.example",
        audience="https://evil.example",
        issuer="https://evil.example",
    )
    assert opened(answer).scopes


# --- people -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [model.State.DELETED, model.State.PENDING])
def test_an_account_that_is_not_active_gets_nothing(scope, state):
    for user in (factories.Sysadmin(), factories.User()):
        account(user).state = state
        model.Session.commit()
        for context in ({"user": user["name"]}, {"user": user["name"], "ignore_auth": True}):
            with pytest.raises(tk.NotAuthorized):
                ask_with(context, scope)


def test_sites_can_narrow_down_who_gets_tokens(scope, monkeypatch):
    refuse = tk.auth_allow_anonymous_access(
        lambda context, data_dict: {"success": False, "msg": "members only"}
    )
    monkeypatch.setitem(authz._AuthFunctions._functions, "authz_authorize", refuse)
    with pytest.raises(tk.NotAuthorized, match="members only"):
        ask(None, scope)


# --- keys -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ["authz_authorize", "authz_public_key"])
def test_without_a_key_the_error_names_the_command_and_no_path(
    action, scope, ckan_config, monkeypatch, tmp_path, caplog
):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(tmp_path))
    with (
        caplog.at_level(logging.ERROR),
        pytest.raises(tk.ObjectNotFound, match="ckan authz keygen") as raised,
    ):
        tk.get_action(action)({"user": ""}, {"scopes": [scope]})
    assert str(tmp_path) not in str(raised.value)
    assert str(tmp_path) in caplog.text


def test_the_public_key(app):
    answer = app.get("/api/3/action/authz_public_key").json["result"]
    assert answer == {"public_key": config.public_key().pem}


# --- the mistakes of the past ------------------------------------------------------------------------------


def test_scopes_are_never_joined_by_blanks(scope):
    answer = ask(None, scope, f"ds:{factories.Dataset()['name']}:read")
    _, claims = verified(answer["token"], keys.jwks(config.verification_keys().values()))
    assert isinstance(claims["scopes"], list)
    assert not any(" " in text for text in claims["scopes"])


def test_every_scope_is_judged_for_itself():
    """An object or a permission that an earlier check left in the context must not answer a later one."""
    organization = factories.Organization()
    public, private = (
        factories.Dataset(owner_org=organization["id"], private=private) for private in (False, True)
    )
    context = {
        "user": "",
        "package": model.Package.get(public["id"]),
        "id": public["id"],
        "__auth_user_obj_checked": True,
    }
    both = [f"ds:{dataset['name']}:read" for dataset in (public, private)]
    for scopes in (both, both[::-1]):
        assert ask_with(dict(context), *scopes)["granted_scopes"] == both[:1]


def test_ignore_auth_and_somebody_elses_user_object_are_stripped():
    private = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    user = factories.User()
    sysadmin = account(factories.Sysadmin())
    for context in (
        {"user": user["name"], "ignore_auth": True},
        {"user": user["name"], "auth_user_obj": sysadmin},
        {"user": "", "ignore_auth": True, "auth_user_obj": sysadmin},
    ):
        assert ask_with(context, f"ds:{private['name']}")["granted_scopes"] == []


def test_the_user_of_a_running_request_is_not_asked(app):
    private = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    sysadmin = account(factories.Sysadmin())
    with app.flask_app.test_request_context():
        tk.login_user(sysadmin)
        tk.g.user, tk.g.userobj = sysadmin.name, sysadmin
        assert tk.current_user.name == sysadmin.name
        assert granted(None, f"ds:{private['name']}") == []


def test_what_was_taken_for_more_than_it_says_is_refused(dataset):
    sysadmin, name = factories.Sysadmin()["name"], dataset["name"]
    for bad in (
        f"ds:{name}:anything:read",
        f"ds:{name}:a:b:c",
        f"ds:{name}:",
        f"ds:{name}:read,",
        f"ds:{name} ds:*:purge",
        f"ds:{name}:read\nds:*:purge",
    ):
        field, message = problem(sysadmin, bad)
        assert field == "scopes"
        assert name in message
        assert message.isprintable()


def test_delete_is_one_action_and_not_six_letters():
    user = factories.User()
    dataset = factories.Dataset(user=user)
    assert granted(user["name"], f"ds:{dataset['name']}:d,e,l,t,delete") == [f"ds:{dataset['name']}:delete"]
