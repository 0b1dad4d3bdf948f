"""Datasets for tests that need no CKAN around them: a row of core's table, and nothing else."""

from __future__ import annotations

import uuid
from typing import Any

import sqlalchemy as sa
from ckan import model


def make_dataset(engine: sa.Engine, **values: Any) -> str:
    """Its id."""
    id = str(uuid.uuid4())
    with engine.begin() as connection:
        connection.execute(model.package_table.insert().values(id=id, name=id, **values))
    return id
