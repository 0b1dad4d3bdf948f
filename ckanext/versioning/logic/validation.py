"""How the actions check what they were given."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk


def validated(valid: dict[str, Any], data_dict: dict[str, Any]) -> dict[str, Any]:
    # Not with the caller's context: a schema that another action left in it would replace ours.
    given, problems = tk.navl_validate(data_dict, valid, {})
    if problems:
        raise tk.ValidationError(problems)
    return given
