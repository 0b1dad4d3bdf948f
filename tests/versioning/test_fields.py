"""The table of metadata on the page of a version."""

from __future__ import annotations

from gettext import NullTranslations
from typing import Any

from ckanext.versioning import fields
from ckanext.versioning.fields import Field

EMPTY: dict[str, Any] = {"groups": [], "extras": []}


def rows(**dataset: Any) -> list[Field]:
    return fields.rows({**EMPTY, **dataset}, NullTranslations())


def test_what_core_knows_is_called_as_core_calls_it():
    found = rows(
        organization={"title": "Office"},
        groups=[{"name": "g1", "display_name": "One"}, {"name": "g2"}],
        license_id="x",
        license_title="Licence X",
        license_url="https://x.example",
        url="http://source.example",
        author="Ann",
        author_email="ann@x.example",
        maintainer_email="desk@x.example",
        version="2.1",
        private=True,
        title="elsewhere",
        metadata_modified="2026-05-01",
    )
    assert found == [
        Field("Organization", "Office"),
        Field("Groups", "One, g2"),
        Field("License", "Licence X", "https://x.example"),
        Field("Source", "http://source.example", "http://source.example"),
        Field("Author", "Ann", "mailto:ann@x.example"),
        Field("Maintainer", "desk@x.example", "mailto:desk@x.example"),
        Field("Version", "2.1"),
        Field("Visibility", "Private"),
    ]


def test_nothing_is_said_of_what_is_empty():
    assert rows(organization=None, url="", author=None, private=False, theme=[], contact=None) == []


def test_fields_that_a_portal_added():
    assert rows(
        update_frequency="daily",
        themes=["water", "air"],
        contacts=[{"name": "Ännie"}],
        homepage="https://h.example",
        count=0,
    ) == [
        Field("Update frequency", "daily"),
        Field("Themes", "water, air"),
        Field("Contacts", '[{"name": "Ännie"}]'),
        Field("Homepage", "https://h.example", "https://h.example"),
        Field("Count", "0"),
    ]


def test_extras_in_the_order_of_their_names():
    extras = [{"key": "b", "value": "2"}, {"key": "A", "value": "1"}, {"key": "c", "value": ""}]
    assert rows(extras=extras) == [Field("A", "1"), Field("b", "2")]


def test_only_web_pages_are_links():
    for url in (
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "data:text/html,x",
        "www.x.example",
        " https://x",
    ):
        assert [field.href for field in rows(url=url, license_id="x", license_url=url, more=url)] == [
            None
        ] * 3
    (author,) = rows(author="A", author_email="a@x?cc=b@x&body=<b>")
    assert author.href == "mailto:a@x%3Fcc%3Db@x%26body%3D%3Cb%3E"
