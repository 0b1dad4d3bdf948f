"""Pages and errors are in the language of the page."""

from __future__ import annotations

import pytest
from ckan.tests import factories
from flask_babel import get_translations

UNFINISHED = {"de": "Unfertige Uploads", "es": "Subidas sin terminar", "fr": "Envois inachevés"}


@pytest.mark.parametrize("language", UNFINISHED)
def test_a_page(portal, language):
    user = factories.UserWithToken()
    page = portal.get(f"/{language}/user/{user['name']}/uploads", user)
    assert f"<h1>{UNFINISHED[language]}</h1>" in page.body


def test_an_error(portal):
    page = portal.get("/de/user/somebody/uploads", status=403)
    assert "Diese Seite ist nur für den Benutzer selbst." in page.body


def test_a_language_without_translations_keeps_its_plurals(portal):
    """Polish has other forms for 3 and for 5; see `services.translations.rules_alone`."""
    with portal.app.flask_app.test_request_context("/pl/", environ_overrides={"CKAN_LANG": "pl"}):
        assert [get_translations().plural(number) for number in (1, 3, 5)] == [0, 1, 2]
