"""What the actions accept."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from ckanext.authz_service.errors import ScopeError
from ckanext.authz_service.issuing import MAX_SCOPES, MAX_SCOPES_LENGTH
from ckanext.authz_service.scope import Scope


def authorize() -> dict[str, Any]:
    """``scopes`` → list of Scope, ``lifetime`` → seconds (absent if not given)."""
    return {
        "scopes": [tk.get_validator("not_missing"), _scopes],
        "lifetime": [tk.get_validator("ignore_missing"), _seconds],
    }


def _scopes(value: Any) -> list[Scope]:
    texts = [value] if isinstance(value, str) else value
    if (
        isinstance(texts, list)
        and sum(len(text) for text in texts if isinstance(text, str)) > MAX_SCOPES_LENGTH
    ):
        raise tk.Invalid(
            f"The scopes are longer than {MAX_SCOPES_LENGTH} characters together. Ask in several requests."
        )
    if isinstance(value, str):
        value = value.split()
    if not isinstance(value, list) or not value:
        raise tk.Invalid("Give the scopes as a list of texts, or as one text with blanks between them.")
    if len(value) > MAX_SCOPES:
        raise tk.Invalid(
            f"{len(value)} scopes are more than the {MAX_SCOPES} of one request. Ask in several requests."
        )
    try:
        return [Scope.from_string(text) for text in value]
    except ScopeError as error:
        raise tk.Invalid(str(error)) from None


def _seconds(value: Any) -> int:
    # Forms send numbers as text. bool is an int in Python, and true is not a number of seconds.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise tk.Invalid(
            "The lifetime is a whole number of seconds, 1 or more. Leave it out for the longest."
        )
    return value
