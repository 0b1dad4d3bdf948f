"""What the actions accept."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

#: Revisions in one answer of `dataset_revision_list`, unless asked otherwise …
LIMIT = 20
#: … and the most that can be asked for.
MAX_LIMIT = 1000


def dataset_revision_list() -> dict[str, Any]:
    return {
        "id": [tk.get_validator("not_missing"), _text],
        "all": [_default(False), tk.get_validator("boolean_validator")],
        "limit": [_default(LIMIT), _number(MAX_LIMIT)],
        "before_seq": [tk.get_validator("ignore_missing"), _number()],
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
        "description": [_default(""), _text],
        "title": [tk.get_validator("ignore_empty"), _text],
        "revision_ref": [_default("head"), _text],
    }


def dataset_release_list() -> dict[str, Any]:
    return {"dataset": [tk.get_validator("not_missing"), _text]}


def package_show_revision() -> dict[str, Any]:
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
