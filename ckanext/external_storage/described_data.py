"""What a resource says of its data in fields of its own: a schema, a few rows. Pure."""

from __future__ import annotations

import ast
import json
from typing import Any

#: Characters of a field that are looked at.
LIMIT = 1 << 20


def parsed(value: Any) -> Any:
    """What a field like ``schema`` holds, however it was stored: as JSON, as text of JSON, or as older
    clients left it, as the text of a Python literal.

    ``{}`` if there is nothing; text that is neither stays text.

    >>> parsed('{"fields": [null]}'), parsed("{'fields': [None]}"), parsed(None), parsed("see page 4")
    ({'fields': [None]}, {'fields': [None]}, {}, 'see page 4')
    """
    if value is None or value == "":
        return {}
    if not isinstance(value, str) or len(value) > LIMIT:
        return value
    for read in (json.loads, ast.literal_eval):
        try:
            found = read(value)
            json.dumps(found)  # a literal can be a set, or bytes, which no answer can hold
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            continue
        return found
    return value
