"""What the actions accept."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import ckantoolkit as tk

from ckanext.versioning import base_revision, doi, refs
from ckanext.versioning.errors import InvalidRef

#: Revisions in one answer of `dataset_revision_list`, unless asked otherwise …
LIMIT = 20
#: … and the most that can be asked for.
MAX_LIMIT = 1000
#: Revisions in one answer of `revision_changes_since`, unless asked otherwise.
CHANGES = 100
#: Characters of a message.
MAX_MESSAGE = 1000
#: Characters of a release's title and of its notes.
MAX_TITLE, MAX_NOTES = 200, 20_000
#: Parts that one `dataset_revert` names.
MAX_PARTS = 1000


def dataset_revision_list() -> dict[str, Any]:
    return {
        "id": [tk.get_validator("not_missing"), _text],
        "all": [_default(False), tk.get_validator("boolean_validator")],
        "limit": [_default(LIMIT), _number(MAX_LIMIT)],
        "before_seq": [tk.get_validator("ignore_missing"), _number()],
        "author": [tk.get_validator("ignore_empty"), _text],
        "since": [tk.get_validator("ignore_empty"), _time(start=True)],
        "until": [tk.get_validator("ignore_empty"), _time()],
        "resource_id": [tk.get_validator("ignore_empty"), _text],
    }


def revision_changes_since() -> dict[str, Any]:
    return {
        "cursor": [tk.get_validator("ignore_empty"), _text],
        "limit": [_default(CHANGES), _number(MAX_LIMIT)],
    }


def dataset_revision_show() -> dict[str, Any]:
    return {
        "id": [tk.get_validator("not_missing"), _text],
        "ref": [tk.get_validator("not_missing"), _text],
    }


def dataset_release_create() -> dict[str, Any]:
    return {
        "dataset": [tk.get_validator("not_missing"), _text],
        "name": [tk.get_validator("not_missing"), _text],
        "revision_ref": [_default("head"), _text],
        **_said_about_a_release(),
    }


def dataset_release() -> dict[str, Any]:
    return {
        "dataset": [tk.get_validator("not_missing"), _text],
        "release": [tk.get_validator("not_missing"), _text],
    }


def dataset_release_update() -> dict[str, Any]:
    return {
        **dataset_release(),
        "name": [tk.get_validator("ignore_empty"), _text],
        **_said_about_a_release(),
    }


def dataset_release_list() -> dict[str, Any]:
    return {"dataset": [tk.get_validator("not_missing"), _text]}


def package_show_release() -> dict[str, Any]:
    return {
        "dataset": [tk.get_validator("not_missing"), _text],
        "release": [tk.get_validator("ignore_empty"), _text],
    }


def resource_show_release() -> dict[str, Any]:
    return {
        "id": [tk.get_validator("not_missing"), _text],
        "release": [tk.get_validator("not_missing"), _text],
    }


def dataset_release_next() -> dict[str, Any]:
    return {
        "dataset": [tk.get_validator("not_missing"), _text],
        "revision_ref": [_default("head"), _text],
    }


def _said_about_a_release() -> dict[str, Any]:
    return {
        "title": [tk.get_validator("ignore_missing"), _short(MAX_TITLE)],
        "description": [tk.get_validator("ignore_missing"), _short(MAX_NOTES)],
        "doi": [tk.get_validator("ignore_missing"), _doi],
    }


def dataset_revert() -> dict[str, Any]:
    return {
        "dataset": [tk.get_validator("not_missing"), _text],
        "revision_ref": [tk.get_validator("not_missing"), _text],
        "parts": [tk.get_validator("ignore_missing"), _names],
        **_about_a_save(),
    }


def saving() -> dict[str, Any]:
    """What core's actions that save take besides."""
    return {
        **_about_a_save(),
        "version_release": [tk.get_validator("ignore_missing"), tk.get_validator("boolean_validator")],
        "version_release_name": [tk.get_validator("ignore_empty"), _text],
    }


def _about_a_save() -> dict[str, Any]:
    return {
        "version_message": [tk.get_validator("ignore_empty"), _short(MAX_MESSAGE)],
        "base_revision": [tk.get_validator("ignore_empty"), _base],
    }


def show_revision() -> dict[str, Any]:
    return {
        "id": [tk.get_validator("not_missing"), _text],
        "revision_ref": [tk.get_validator("not_missing"), _text],
    }


def _default(value: Any) -> Any:
    make: Any = tk.get_validator("default")
    return make(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise tk.Invalid("Give this as text.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise tk.Invalid("This text has half of a surrogate pair in it, which is no character.") from None
    if "\0" in value:
        raise tk.Invalid("This text has a NUL character in it, which the database cannot hold.")
    return value


def _short(limit: int) -> Any:
    """Validator for text of up to *limit* characters; None for blank text."""

    def validator(value: Any) -> str | None:
        # Browsers send line ends as the standard for forms says; what is stored has Unix's.
        value = _text(value).replace("\r\n", "\n").strip()
        if len(value) > limit:
            raise tk.Invalid(f"This has {len(value)} characters. Give at most {limit}.")
        return value or None

    return validator


def _doi(value: Any) -> str | None:
    if not _text(value).strip():
        return None
    found = doi.bare(value)
    if found is None:
        raise tk.Invalid(
            "This is no DOI. Give it as 10.<registrant>/<suffix>, for example 10.5281/zenodo.1234, or as its "
            "address at https://doi.org/."
        )
    return found


def _base(value: Any) -> str:
    try:
        base_revision.parse(_text(value))
    except InvalidRef as error:
        raise tk.Invalid(str(error)) from None
    return value


def _names(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or len(value) > MAX_PARTS:
        raise tk.Invalid(f"Give a list of 1 to {MAX_PARTS} names or ids; leave it out for everything.")
    return [_text(name) for name in value]


def _time(*, start: bool = False) -> Any:
    """Validator for a point in time, in the forms that refs have; *start* as in `refs.moment`."""

    def validator(value: Any) -> datetime:
        try:
            found = refs.moment(_text(value), start=start)
        except InvalidRef:
            found = None
        if found is None:
            raise tk.Invalid("Give a time like 2026-05-01T12:00Z, or a date like 2026-05-01.")
        return found

    return validator


def _number(limit: int | None = None) -> Any:
    """Validator for a whole number from 1 to *limit*, inclusive."""

    def validator(value: Any) -> int:
        # Forms and query strings send numbers as text. bool is an int in Python, and true is no number.
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise tk.Invalid("Give a whole number, 1 or more.")
        if limit is not None and value > limit:
            raise tk.Invalid(f"{value} is too many. Ask for at most {limit} at a time.")
        return value

    return validator
