"""Tokens for stored objects are for the site's LFS server, and only for it."""

from __future__ import annotations

import ckantoolkit as tk
import pytest
from ckan import plugins
from ckan.tests import factories

from ckanext.authz_service import verifying
from ckanext.authz_service.authorizer import Granted
from ckanext.authz_service.errors import InvalidToken
from ckanext.authz_service.interfaces import IAuthorizationBindings
from tests.authz_service.site import ask, opened


class Objects(plugins.SingletonPlugin):
    """Answers for ``obj`` in place of external_storage, which this plugin must do without."""

    plugins.implements(IAuthorizationBindings)

    def register_authz_bindings(self, authorizer):
        authorizer.register_authorizer(
            "obj", lambda id, context: Granted(["read"], "id-of-ds"), actions=["read"]
        )


@pytest.fixture
def objects(provide_plugin):
    provide_plugin("Objects", Objects)


pytestmark = [
    pytest.mark.ckan_config("ckan.plugins", "authz_service Objects"),
    pytest.mark.usefixtures("objects", "with_key", "with_plugins"),
]


def test_a_token_for_objects_opens_the_lfs_server_and_nothing_else():
    answer = ask(None, "obj:ns/ds/*:read,write")
    assert verifying.lfs_token(answer["token"]).refs == {"obj:ns/ds/*:read": "id-of-ds"}
    with pytest.raises(InvalidToken) as raised:
        opened(answer)
    assert raised.value.reason == "wrong_audience"


def test_a_token_for_datasets_does_not_open_the_lfs_server():
    answer = ask(None, f"ds:{factories.Dataset()['name']}:read")
    with pytest.raises(InvalidToken) as raised:
        verifying.lfs_token(answer["token"])
    assert raised.value.reason == "wrong_audience"


@pytest.mark.ckan_config("ckanext.authz_service.jwt_audience", "https://service.example.org")
def test_authz_verify_takes_tokens_for_each_audience_and_shows_which():
    user = factories.User()["name"]
    payloads = []
    for scope in (f"ds:{factories.Dataset()['name']}:read", "obj:ns/ds/*:read"):
        answer = tk.get_action("authz_verify")({"user": ""}, {"token": ask(user, scope)["token"]})
        assert answer["verified"] is True
        payloads.append(answer["payload"])
    assert [claims["aud"] for claims in payloads] == [
        "https://service.example.org",
        tk.config["ckan.site_url"] + "/lfs",
    ]


def test_both_in_one_request_are_refused_before_anything_is_asked():
    with pytest.raises(tk.ValidationError, match="one by one"):
        ask(None, "obj:ns/ds/*:read", "ds:no-such-dataset:read")
