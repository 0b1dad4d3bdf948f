"""Who makes the change that is being saved, and by which way in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import ckantoolkit as tk
import flask
import rq
from ckan import model

from ckanext.versioning.errors import MessageRequired

#: In `Session.info`: the user of the action that runs, left by our hooks.
USER = "ckanext.versioning.user"
#: In `Session.info`: what the actions that run, or one that others commit, give to what is recorded.
_SAYING, _SAID = "ckanext.versioning.saying", "ckanext.versioning.said"
#: In `Session.info`: numbers of the revisions that were recorded, by dataset, while somebody is `watching`.
_RECORDED = "ckanext.versioning.recorded"
#: In `Session.info`: the dataset whose change needs a message and has none.
_OWED = "ckanext.versioning.owed"


@dataclass(frozen=True)
class Actor:
    """``id`` and ``name`` (display name at the time) are None where no user is known.

    ``origin`` is ``web``, ``api``, ``job``, ``cli`` or ``revert``; for the state of a dataset before its
    history began, ``baseline``. ``message`` is what they say about the change, None for nothing, and
    ``changeset`` what they call the changeset it belongs to. ``changesets`` has, by dataset, the changesets
    of what their action has recorded so far; whoever records adds to it.
    """

    id: str | None
    name: str | None
    origin: str
    message: str | None = None
    changeset: str | None = None
    changesets: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Said:
    message: str | None
    origin: str | None
    changesets: dict[str, str]


#: The request header by which a client says which saves belong together.
HEADER = "X-CKAN-Changeset"
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def changeset_name() -> str | None:
    """What the request's header calls the changeset; None without such a header, or outside of a request.

    Raises ValidationError for a value that is no name.
    """
    name = flask.request.headers.get(HEADER) if flask.has_request_context() else None
    if name is not None and not _NAME.fullmatch(name):
        problem = tk._("This is not 1 to 100 letters (A-Z), digits, or any of . _ : - and nothing was saved.")
        raise tk.ValidationError({HEADER: [problem]})
    return name


def note(context: Any) -> None:
    """Remember the user of an action for the transaction it runs in."""
    # The user object of the action's own check saves asking the database for it again.
    user, checked = context.get("user"), context.get("auth_user_obj")
    known = checked is not None and checked.is_authenticated and user in (checked.name, checked.id)
    model.Session().info[USER] = checked if known else user


@contextmanager
def saying(message: str | None, origin: str | None = None, *, deferred: bool = False) -> Iterator[None]:
    """What is recorded in this block gets *message*; blocks inside it that have none keep it.

    origin: in place of the way in. deferred: somebody else commits later, so it holds until then.
    """
    info = model.Session().info
    outer = info.get(_SAYING)
    around = outer or _Said(None, None, {})
    said = _Said(message or around.message, origin or around.origin, around.changesets)
    info[_SAYING] = said
    try:
        yield
        if deferred:
            info[_SAID] = said
    finally:
        info[_SAYING] = outer


@contextmanager
def watching() -> Iterator[dict[str, int]]:
    """Gives what is recorded in this block: dataset → number of its newest revision."""
    info = model.Session().info
    recorded: dict[str, int] = {}
    info[_RECORDED] = recorded
    try:
        yield recorded
    finally:
        info.pop(_RECORDED, None)


@contextmanager
def owing_message(package_id: str) -> Iterator[None]:
    """In this block a change of the dataset is refused: it needs a message, and has none."""
    info = model.Session().info
    outer = info.get(_OWED)
    info[_OWED] = package_id
    try:
        yield
    finally:
        info[_OWED] = outer


def owes_message(session: Any, package_id: str) -> bool:
    return session.info.get(_OWED) == package_id


def tell(session: Any, package_id: str, seq: int | None) -> None:
    """Let those who are `watching` know what was recorded. Raises MessageRequired."""
    if seq is not None and owes_message(session, package_id):
        raise MessageRequired
    recorded = session.info.get(_RECORDED)
    if recorded is not None and seq is not None:
        recorded[package_id] = seq


def forget(session: Any) -> None:
    """The transaction has ended. An open block goes on: CKAN 2.11 commits in the middle of some actions."""
    session.info.pop(USER, None)
    session.info.pop(_SAID, None)


def current(session: Any) -> Actor:
    """The one who acts in *session*'s transaction.

    That is the user of the last dataset action in it, else the user of the web request.
    """
    noted = session.info.get(USER)
    if isinstance(noted, str) and noted:
        # An anonymous caller's context may hold an IP address, which is nobody's name.
        noted = model.User.get(noted)
    elif not noted:
        noted = _requester()
    said = session.info.get(_SAYING) or session.info.get(_SAID) or _Said(None, None, {})
    return Actor(
        noted.id if noted else None,
        noted.display_name if noted else None,
        said.origin or origin(),
        said.message,
        changeset_name(),
        said.changesets,
    )


def _requester() -> Any:
    user = tk.current_user if flask.has_request_context() else None
    return user if user and user.is_authenticated else None


def origin() -> str:
    """By which way in somebody acts now: ``web``, ``api``, ``job`` or ``cli``."""
    if rq.get_current_job() is not None:
        return "job"
    if not flask.has_request_context():
        return "cli"
    return "api" if flask.request.path.startswith("/api/") else "web"
