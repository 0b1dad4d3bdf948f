"""Another site's page makes a browser call an action of ours, by the session that its user has here."""

from __future__ import annotations

from typing import Any

import pytest
from ckan.tests import factories

PASSWORD = "long-enough-for-ckan"
#: By what is loaded: an action that changes something.
ACTIONS = {
    "authz_service": "authz_authorize",
    "authz_service external_storage": "external_storage_upload_discard",
    "versioning": "dataset_release_create",
}


@pytest.mark.parametrize(
    "action",
    [
        pytest.param(action, marks=pytest.mark.ckan_config("ckan.plugins", plugins))
        for plugins, action in ACTIONS.items()
    ],
)
@pytest.mark.usefixtures("with_plugins")
def test_each_plugin_refuses_it(app: Any, monkeypatch: pytest.MonkeyPatch, action: str):
    user: Any = factories.UserWithToken(password=PASSWORD)
    client = app.test_client()
    client.post("/user/login", data={"login": user["name"], "password": PASSWORD})
    monkeypatch.setitem(app.flask_app.config, "WTF_CSRF_ENABLED", True)
    by_token = app.test_client().get("/api/action/status_show", headers={"Authorization": user["token"]})
    assert by_token.status_code == 200  # from here on, the check of CKAN 2.12 lets all calls pass
    refused = client.post(f"/api/action/{action}", json={})
    assert refused.status_code == 400
    by_ckan_itself = refused.text.startswith("<!DOCTYPE")  # on 2.11
    assert by_ckan_itself or "Reload the page, or call with an API token." in refused.text
