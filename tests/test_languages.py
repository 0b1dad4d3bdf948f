"""Pages and errors are in the language of the page."""

from __future__ import annotations

import html
import io
import uuid
from collections.abc import Iterator
from typing import Any

import ckantoolkit as tk
import polib
import pytest
from flask_babel import get_translations

from services import translations
from tests.portal import Portal, editor_and_dataset, standing

#: Pages of each plugin, and a text that they have.
TEXTS = {
    "/user/{user}/tokens": "Issued tokens",
    "/user/{user}/uploads": "Unfinished uploads",
    "/dataset/{dataset}/versions": "Filter the list",
}


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing() as portal:
        yield portal


@pytest.mark.parametrize("language", translations.LANGUAGES)
def test_pages(portal: Portal, language: str):
    editor, dataset = editor_and_dataset()
    catalog = polib.pofile(str(translations.path(language)))
    for address, text in TEXTS.items():
        entry = catalog.find(text)
        assert entry
        page = portal.get(
            f"/{language}{address.format(user=editor['name'], dataset=dataset['name'])}", editor
        )
        assert f">{entry.msgstr}</" in html.unescape(page.body)
        assert f">{text}</" not in page.body


def test_an_error(portal: Portal):
    page = portal.get("/de/user/somebody/uploads", status=403)
    assert "Diese Seite ist nur für den Benutzer selbst." in page.body


def test_a_language_without_translations_keeps_its_plurals(portal: Portal):
    """Polish has other forms for 3 and for 5; see `services.translations.rules_alone`."""
    with portal.app.flask_app.test_request_context("/pl/", environ_overrides={"CKAN_LANG": "pl"}):
        assert [get_translations().plural(number) for number in (1, 3, 5)] == [0, 1, 2]


def test_what_keeps_a_file_out_is_said_in_the_form_s_language(
    portal: Portal, monkeypatch: pytest.MonkeyPatch
):
    """As the form without JavaScript sends it; texts of modules that know no language, too."""
    editor, dataset = editor_and_dataset()
    address, sent = f"/de/dataset/{dataset['id']}/resource/new", {"Authorization": editor["token"]}

    def told(**fields: Any) -> str:
        form = {"id": "", "url_type": "upload", "save": "go-metadata", **fields}
        answer = portal.client.post(address, data=form, headers=sent, content_type="multipart/form-data")
        assert answer.status_code == 200
        return html.unescape(answer.text)

    def file(name: str) -> Any:
        return io.BytesIO(b"1234"), name

    monkeypatch.setitem(tk.config, "ckanext.external_storage.refused_types", ["exe"])
    assert "deren Namen auf .exe enden" in told(upload=file("a.exe"))
    monkeypatch.setitem(tk.config, "ckanext.external_storage.quota", "3")
    assert "Die Organisation darf 3 " in told(upload=file("a.csv"))
    monkeypatch.setitem(tk.config, "ckanext.external_storage.max_upload_size", "2")
    assert "Die Datei hat 4 " in told(upload=file("a.csv"))
    assert "keinen solchen Upload" in told(url="a.csv", upload_id=str(uuid.uuid4()))
