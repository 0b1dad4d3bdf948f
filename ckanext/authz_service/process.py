"""What this process runs with: the configuration and the database of its CKAN, or of the site that it serves
without a CKAN in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

_without_ckan: tuple[Mapping[str, Any], sa.Engine] | None = None


def run_without_ckan(options: Mapping[str, Any], engine: sa.Engine) -> None:
    """From now on these count, and CKAN stays away. ``options`` have the types of their declarations."""
    global _without_ckan
    _without_ckan = options, engine


def options() -> Mapping[str, Any]:
    """The site's options, with defaults and types as declared."""
    if _without_ckan:
        return _without_ckan[0]
    from ckan.common import config

    return config


def engine() -> sa.Engine:
    """The site's database; connections of it are independent of CKAN's session."""
    if _without_ckan:
        return _without_ckan[1]
    from ckan import model

    if model.meta.engine is None:
        raise RuntimeError("CKAN's model has not been initialised.")
    return model.meta.engine
