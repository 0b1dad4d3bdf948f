"""What a dataset's page says of it beside title, description, tags and resources, as rows of a table.

Pure: no CKAN, no database. Fields that a portal added are shown as well, under the names they are stored by.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from ckanext.versioning.words import Translator


@dataclass(frozen=True)
class Field:
    """``href`` is where the text leads, None if it is no link."""

    label: str
    text: str
    href: str | None = None


#: What the page shows elsewhere, what `known` says in its own words, and what is nothing to read.
_NOT_PLAIN = frozenset(
    {
        "author",
        "author_email",
        "creator_user_id",
        "extras",
        "groups",
        "id",
        "is_current",
        "isopen",
        "license_id",
        "license_title",
        "license_url",
        "maintainer",
        "maintainer_email",
        "metadata_created",
        "metadata_modified",
        "name",
        "notes",
        "num_resources",
        "num_tags",
        "organization",
        "owner_org",
        "private",
        "relationships_as_object",
        "relationships_as_subject",
        "resources",
        "revision",
        "revision_ref",
        "state",
        "tags",
        "title",
        "tracking_summary",
        "type",
        "url",
        "version",
    }
)


def rows(dataset: Mapping[str, Any], translator: Translator) -> list[Field]:
    """The fields of a dataset as `package_show` gives it that have something in them."""
    return [*_known(dataset, translator), *_added(dataset), *_extras(dataset)]


def _known(dataset: Mapping[str, Any], translator: Translator) -> Iterator[Field]:
    _ = translator.gettext  # in the words of core's pages, which are translated already
    organization = (dataset.get("organization") or {}).get("title")
    groups = ", ".join(
        g.get("display_name") or g.get("title") or g["name"] for g in dataset.get("groups") or []
    )
    fields = [
        Field(_("Organization"), organization or ""),
        Field(_("Groups"), groups),
        Field(
            _("License"),
            dataset.get("license_title") or dataset.get("license_id") or "",
            _web(dataset.get("license_url")),
        ),
        Field(_("Source"), dataset.get("url") or "", _web(dataset.get("url"))),
        _person(_("Author"), dataset.get("author"), dataset.get("author_email")),
        _person(_("Maintainer"), dataset.get("maintainer"), dataset.get("maintainer_email")),
        Field(_("Version"), dataset.get("version") or ""),
        Field(_("Visibility"), _("Private") if dataset.get("private") else ""),
    ]
    yield from (field for field in fields if field.text)


def _person(label: str, name: str | None, email: str | None) -> Field:
    return Field(label, name or email or "", f"mailto:{quote(email, safe='@')}" if email else None)


def _web(url: str | None) -> str | None:
    # Only what a browser opens as a page: a `javascript:` address would run in the reader's name.
    return url if url and url.lower().startswith(("http://", "https://")) else None


def _added(dataset: Mapping[str, Any]) -> Iterator[Field]:
    for key, value in dataset.items():
        if key not in _NOT_PLAIN and value not in (None, "", [], {}):
            yield Field(
                key.replace("_", " ").capitalize(),
                _plain(value),
                _web(value if isinstance(value, str) else None),
            )


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)


def _extras(dataset: Mapping[str, Any]) -> Iterator[Field]:
    for extra in sorted(dataset.get("extras") or [], key=lambda extra: extra["key"]):
        if extra["value"]:
            yield Field(extra["key"], _plain(extra["value"]), _web(_plain(extra["value"])))
