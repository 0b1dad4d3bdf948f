"""Whether what is recorded of a dataset is the dataset: read from the tables, without the code under test."""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from ckan import model
from ckan.lib.dictization.model_dictize import package_dictize

from ckanext.versioning import model as tables
from ckanext.versioning import verifying
from tests.versioning import recorded


def assert_head_is_the_dataset(package_id: str) -> None:
    """The newest revision holds the dataset as it is in the database, field by field."""
    head = recorded.newest(package_id)
    bodies = _bodies(package_id)
    stored = bodies[head.meta_sha]
    # A body leaves out the position, which is the state's.
    stored["resources"] = [
        {"position": state.position, **bodies[state.meta_sha]}
        for state in recorded.states(package_id, head.seq)
    ]
    found = current(package_id)
    # A clock of the system's: where it is all that changed, the body of the revision before still stands.
    for resource in [*stored["resources"], *found["resources"]]:
        del resource["metadata_modified"]
    assert stored == found


def assert_history_is_the_datasets(package_id: str) -> None:
    """The same; and the plugin's own verification finds nothing wrong with the whole history."""
    assert_head_is_the_dataset(package_id)
    assert list(verifying.findings(package_id)) == []


def current(package_id: str) -> dict[str, Any]:
    """The dataset as a new transaction sees it, in CKAN's own words."""
    model.Session.remove()
    package = model.Package.get(package_id)
    context: Any = {"model": model, "session": model.Session, "user": "", "for_edit": True}
    dictized = package_dictize(package, context, include_plugin_data=True)
    model.Session.remove()
    return json.loads(json.dumps(dictized))


def _bodies(package_id: str) -> dict[str, dict[str, Any]]:
    b = tables.metadata_blob
    with model.meta.engine.connect() as connection:
        rows = connection.execute(sa.select(b.c.sha, b.c.body).where(b.c.package_id == package_id))
        return {row.sha: json.loads(row.body) for row in rows}
