"""How many tokens somebody may ask for in a minute, counted in the real Redis."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

import ckantoolkit as tk
import pytest
import requests
from ckan.lib.redis import connect_to_redis
from ckan.tests import factories

from ckanext.authz_service import audit, limits
from ckanext.authz_service.limits import WINDOW
from ckanext.authz_service.too_many_requests import TooManyRequests
from tests.authz_service.site import ask

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins", "nothing_counted")

URL = "/api/3/action/authz_authorize"
ANONYMOUS = "ckanext.authz_service.rate_limit_anonymous"
USER = "ckanext.authz_service.rate_limit_user"

two_anonymous = pytest.mark.ckan_config(ANONYMOUS, 2)
two_per_user = pytest.mark.ckan_config(USER, 2)


@pytest.fixture
def nothing_counted(monkeypatch):
    monkeypatch.setattr(limits, "_silent_until", 0.0)
    for key in connect_to_redis().scan_iter("*:authz_service:requests:*"):
        connect_to_redis().delete(key)


@pytest.fixture
def scope():
    return f"ds:{factories.Dataset()['name']}:read"


def post(app, scope: str, address: str = "192.0.2.1", status: int = 200, **headers: str) -> Any:
    return app.post(
        URL,
        json={"scopes": [scope]},
        headers=headers,
        environ_overrides={"REMOTE_ADDR": address},
        status=status,
    )


# --- over HTTP --------------------------------------------------------------------------------------------


@two_anonymous
def test_an_address_is_told_when_to_come_back(app, scope):
    for _ in range(2):
        assert post(app, scope).json["result"]["token"]
    response = post(app, scope, status=429)
    assert response.headers["Content-Type"].startswith("application/json")
    assert set(response.json) == {"success", "error", "help"}
    assert response.json["success"] is False
    assert response.json["help"].endswith("help_show?name=authz_authorize")
    assert set(response.json["error"]) == {"__type", "message"}
    assert response.json["error"]["__type"] == "Too Many Requests Error"
    assert 0 < int(response.headers["Retry-After"]) <= WINDOW
    message = response.json["error"]["message"]
    assert f"Try again in {response.headers['Retry-After']} seconds" in message


@two_anonymous
def test_over_the_wire(address, scope):
    first, second, third = (
        requests.post(f"{address}{URL}", json={"scopes": scope}, timeout=30) for _ in range(3)
    )
    assert (first.status_code, second.status_code, third.status_code) == (200, 200, 429)
    assert 0 < int(third.headers["Retry-After"]) <= WINDOW
    assert int(third.headers["Content-Length"]) == len(third.content)
    assert third.json()["error"]["__type"] == "Too Many Requests Error"


@two_anonymous
def test_other_addresses_and_users_are_not_meant(app, scope):
    token = factories.UserWithToken()["token"]
    for _ in range(2):
        post(app, scope)
    post(app, scope, status=429)
    post(app, scope, "192.0.2.2")
    post(app, scope, Authorization=token)


@two_anonymous
@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded"])
def test_headers_do_not_change_the_address(app, scope, header):
    for number in range(2):
        post(app, scope, **{header: f"198.51.100.{number}"})
    post(app, scope, status=429, **{header: "198.51.100.77"})


@two_anonymous
def test_a_customer_with_many_addresses_is_one_caller(app, scope):
    post(app, scope, "2001:db8:1:2::1")
    post(app, scope, "2001:db8:1:2:ffff::2")
    post(app, scope, "2001:db8:1:2:3::3", status=429)
    post(app, scope, "2001:db8:1:3::1")
    post(app, scope, "192.0.2.9")
    post(app, scope, "::ffff:192.0.2.9")
    post(app, scope, "192.0.2.9", status=429)


@two_anonymous
def test_callers_whose_address_the_server_does_not_tell_share_one_limit(app, scope):
    for _ in range(2):
        post(app, scope, "")
    post(app, scope, "", status=429)


@two_per_user
def test_a_user_is_limited_wherever_they_call_from(app, scope):
    one, other = (factories.UserWithToken()["token"] for _ in range(2))
    post(app, scope, "192.0.2.1", Authorization=one)
    post(app, scope, "192.0.2.2", Authorization=one)
    assert int(post(app, scope, "192.0.2.3", 429, Authorization=one).headers["Retry-After"]) > 0
    post(app, scope, "192.0.2.3", Authorization=other)


@pytest.mark.ckan_config(ANONYMOUS, 0)
@pytest.mark.ckan_config(USER, 0)
def test_zero_is_no_limit(app, scope):
    for _ in range(3):
        post(app, scope)
    assert list(connect_to_redis().scan_iter("*:authz_service:requests:*")) == []


@two_anonymous
def test_what_is_not_granted_counts_and_what_is_malformed_does_not(app, scope):
    for _ in range(3):
        post(app, "ds:foo:", status=409)
    for _ in range(2):
        post(app, "ds:no-such-dataset:read")
    post(app, scope, status=429)


@two_anonymous
def test_the_window_ends(app, scope):
    for _ in range(2):
        post(app, scope)
    (key,) = connect_to_redis().scan_iter("*:authz_service:requests:*")
    assert 0 < connect_to_redis().ttl(key) <= WINDOW
    connect_to_redis().pexpire(key, 1)
    while connect_to_redis().exists(key):
        time.sleep(0.01)
    post(app, scope)


@two_anonymous
def test_other_answers_of_the_api_stay_as_they_are(app, scope):
    """Also those of an action that does without the token and is then refused something else."""
    original = tk.get_action("authz_authorize")
    for _ in range(2):
        post(app, scope)
    post(app, scope, status=429)
    assert app.post("/api/3/action/package_create", json={"name": "x"}, status=403)

    def insists(context, data_dict):
        with pytest.raises(TooManyRequests):
            original(context, {"scopes": scope})
        raise tk.NotAuthorized("for another reason")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ckan.logic._actions", {"authz_authorize": insists})
        refused = post(app, scope, status=403)
    assert refused.json["error"]["message"] == "Access denied: for another reason"
    assert "Retry-After" not in refused.headers


# --- inside CKAN ------------------------------------------------------------------------------------------


@two_per_user
def test_callers_inside_ckan_can_tell(scope):
    user = factories.User()["name"]
    for _ in range(2):
        ask(user, scope)
    with pytest.raises(TooManyRequests) as raised:
        ask(user, scope)
    assert isinstance(raised.value, tk.NotAuthorized), "who does not know it takes it for a refusal"
    assert 0 < raised.value.retry_after <= WINDOW


@two_anonymous
def test_jobs_and_commands_without_a_user_are_not_counted(scope):
    for _ in range(3):
        assert ask(None, scope)["token"]


# --- without Redis ----------------------------------------------------------------------------------------


@two_anonymous
def test_without_redis_tokens_are_issued_and_the_log_says_so_once(
    app, scope, ckan_config, monkeypatch, caplog
):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setitem(ckan_config, "ckan.redis.url", f"redis://:secret@127.0.0.1:{port}/0")
    with caplog.at_level(logging.WARNING, limits.__name__):
        for _ in range(4):
            post(app, scope)
    (line,) = [record.getMessage() for record in caplog.records if record.name == limits.__name__]
    assert "not limited" in line
    assert "secret" not in caplog.text


@two_anonymous
def test_a_redis_that_accepts_and_says_nothing_is_not_waited_for(
    app, scope, ckan_config, monkeypatch, caplog
):
    with socket.create_server(("127.0.0.1", 0)) as mute, caplog.at_level(logging.WARNING, limits.__name__):
        monkeypatch.setitem(ckan_config, "ckan.redis.url", f"redis://127.0.0.1:{mute.getsockname()[1]}/0")
        post(app, scope)
    assert "TimeoutError" in caplog.text


# --- what is written down ---------------------------------------------------------------------------------


@two_anonymous
def test_each_refusal_is_in_the_audit_log(app, scope, caplog):
    with caplog.at_level(logging.INFO, audit.__name__):
        for _ in range(2):
            post(app, scope)
        post(app, scope, status=429)
    lines = [record.getMessage() for record in caplog.records if record.name == audit.__name__]
    assert '"event": "limited"' in lines[-1]
    assert '"address": "192.0.2.1"' in lines[-1]
