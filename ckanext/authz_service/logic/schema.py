"""What the actions accept."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk

from ckanext.authz_service import ledger
from ckanext.authz_service.errors import ScopeError
from ckanext.authz_service.issuing import MAX_SCOPES, MAX_SCOPES_LENGTH
from ckanext.authz_service.scope import Scope

#: Tokens in one answer of ``authz_token_list``, unless asked otherwise …
LIMIT = 100
#: … and the most that can be asked for.
MAX_LIMIT = 1000


def authorize() -> dict[str, Any]:
    """``scopes`` → list of Scope, ``lifetime`` → seconds (absent if not given)."""
    return {
        "scopes": [tk.get_validator("not_missing"), _scopes],
        "lifetime": [tk.get_validator("ignore_missing"), _seconds],
    }


def verify() -> dict[str, Any]:
    """``token`` → text, ``strict`` → bool."""
    return {
        "token": [tk.get_validator("not_missing"), _any_text],
        "strict": [_default(True), _flag],
    }


def token_list() -> dict[str, Any]:
    """``user_id`` → text (absent if not given), ``all`` → bool, ``limit`` → int, ``cursor`` → Cursor."""
    return {
        "user_id": [tk.get_validator("ignore_missing"), _text],
        "all": [_default(False), _flag],
        "limit": [_default(LIMIT), _limit],
        "cursor": [tk.get_validator("ignore_missing"), _cursor],
    }


def token_revoke() -> dict[str, Any]:
    """``jti`` or ``user_id`` → text; the other one is absent."""
    return {
        "jti": [_one_of_both, tk.get_validator("ignore_missing"), _text],
        "user_id": [tk.get_validator("ignore_missing"), _text],
    }


def _default(value: Any) -> Any:
    make: Any = tk.get_validator("default")
    return make(value)


def _one_of_both(key: Any, data: Any, errors: Any, context: Any) -> None:
    if (data.get(("jti",)) in (None, tk.missing)) == (data.get(("user_id",)) in (None, tk.missing)):
        errors[key].append("Give jti to revoke one token, or user_id to revoke all of a user.")
        raise tk.StopOnError


def _any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise tk.Invalid("Give this as text.")
    return value


def _text(value: Any) -> str:
    if "\0" in _any_text(value) or not _encodable(value):
        raise tk.Invalid("This text has a character in it that the database cannot hold.")
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _flag(value: Any) -> bool:
    # CKAN's own validator takes whatever it does not know for false.
    known = {"true": True, "false": False}
    if isinstance(value, str) and value.lower() in known:
        return known[value.lower()]
    if not isinstance(value, bool):
        raise tk.Invalid("Give true or false.")
    return value


def _limit(value: Any) -> int:
    number = _whole_number(value)
    if number is None or not 1 <= number <= MAX_LIMIT:
        raise tk.Invalid(f"Give a whole number from 1 to {MAX_LIMIT}.")
    return number


def _cursor(value: Any) -> ledger.Cursor:
    try:
        return ledger.Cursor.from_string(value)
    except ValueError:
        raise tk.Invalid("Give the cursor of the page before, or leave it out for the first page.") from None


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
    number = _whole_number(value)
    if number is None or number <= 0:
        raise tk.Invalid(
            "The lifetime is a whole number of seconds, 1 or more. Leave it out for the longest."
        )
    return number


def _whole_number(value: Any) -> int | None:
    # Forms send numbers as text. bool is an int in Python, and true is no number.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
