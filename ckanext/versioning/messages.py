"""Where a save has to say what it changes, by `version_message`.

A site or an organisation asks for it, and it holds wherever a message can be given: in CKAN's forms of
datasets and resources, and in the API's actions that take one. Jobs, commands, and pages and actions without
such a field save without; so do drafts, and saves that change nothing.
"""

from __future__ import annotations

from typing import Any

import flask
import sqlalchemy as sa
from ckan import model

from ckanext.versioning import actor, config, recording, releases
from ckanext.versioning.errors import MessageRequired

#: The custom field by which an organisation asks for messages, and what stands for not doing so.
ORGANIZATION_FIELD = "versioning_require_message"
_NO = {"", "0", "f", "false", "n", "no", "off"}

#: Core's actions that take a message.
ACTIONS = frozenset(
    {
        *("package_create", "package_patch", "package_revise", "package_update"),
        *("resource_create", "resource_delete", "resource_patch", "resource_update"),
    }
)


def required(owner_org: str | None) -> bool:
    """Do datasets of this organisation (its id) need messages?"""
    if config.require_message():
        return True
    organization: Any = model.Group.get(owner_org) if owner_org else None
    value = organization.extras.get(ORGANIZATION_FIELD, "") if organization else ""
    return str(value).strip().lower() not in _NO


def missing(package: Any) -> bool:
    """Would a change of *package* now lack a message that it needs?"""
    return (
        not actor.current(model.Session()).message
        and not package.state.startswith("draft")
        and required(package.owner_org)
        and not (_committed_state(package.id) or "draft").startswith("draft")
    )


def check_change(package_id: str) -> None:
    """Raise MessageRequired if what is saved, but not committed, needs a message and would be a revision.

    When it is committed that is noticed anyway (`actor.tell`), but on 2.12 the index has it by then.
    """
    session = model.Session()
    if not actor.owes_message(session, package_id):
        return
    # Recorded for a try, and taken back: only that tells what really makes a revision.
    with session.begin_nested() as attempt:
        seq = recording.record(session, package_id)
        attempt.rollback()
    if seq is not None:
        raise MessageRequired


def can_be_given() -> bool:
    """Does the request come by a way in that takes a message?"""
    if not flask.has_request_context():
        return False
    given: dict[str, Any] = flask.request.view_args or {}
    if actor.origin() == "api":
        return given.get("logic_function") in ACTIONS
    # The forms of core, for datasets of all types: <type>.edit, <type>_resource.edit and .new.
    view = (flask.request.endpoint or "").rpartition(".")[2]
    return actor.origin() == "web" and view in ("edit", "new") and "package_type" in given


def _committed_state(package_id: str) -> str | None:
    """The dataset's state as others still see it."""
    engine: Any = model.meta.engine
    with engine.connect() as connection:
        table = model.package_table
        return connection.execute(sa.select(table.c.state).where(table.c.id == package_id)).scalar()


def form(name_or_id: str) -> dict[str, Any]:
    """What CKAN's form about a dataset says at our fields.

    ``required``: a message is; ``major`` and ``minor``: names proposed for a release with and without
    changed files, None where there is no number to count.
    """
    package = model.Package.get(name_or_id)
    if package is None:
        return {"required": False, "major": None, "minor": None}
    major, minor = releases.next_names(package.id)
    return {"required": required(package.owner_org), "major": major, "minor": minor}
