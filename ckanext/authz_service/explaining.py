"""Why a scope is granted or refused, told one question at a time, for ``ckan authz explain``."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from ckan import model

from ckanext.authz_service import permissions, registry
from ckanext.authz_service.authorizer import Authorizer, Authzzie
from ckanext.authz_service.errors import AuthzError
from ckanext.authz_service.permissions import Check, Memory
from ckanext.authz_service.scope import Scope

ANONYMOUS = "-"


class UnknownUser(AuthzError):
    """There is no account of this name or id."""

    def __init__(self, reference: str):
        super().__init__(
            f"There is no user with the name or id {reference!r}, so nothing can be said about them. "
            f"`ckan user list` shows all; {ANONYMOUS!r} stands for anonymous callers."
        )
        self.reference = reference


def explain(user: str, scope_text: str) -> Iterator[str]:
    """Lines of text: for each action who was asked and what CKAN said, and at last the scope that results.

    user: name or id, ``-`` for anonymous callers.

    Raises UnknownUser, and ScopeError (MalformedScope, UnknownEntityType, UnknownSubscope).
    """
    account = _account(user)
    scope = Scope.from_string(scope_text)
    authorizer = registry.authorizer()
    actions = _actions(authorizer, scope, account)  # raises for what is unknown, before anything is told

    yield f"user     {_name(account)}"
    yield f"scope    {scope}"
    if (original := authorizer.original_type(scope.entity_type)) != scope.entity_type:
        yield f"         {scope.entity_type!r} is another name for {original!r}"
    yield ""
    if account is not None and account.state != model.State.ACTIVE:
        yield f"The account is {account.state}, so no token is issued for it, whatever is asked."
        return
    for action in actions:
        yield from _about(authorizer, scope, action, account)
    granted = authorizer.grant(scope, context=permissions.context_for(account, Memory()))
    yield ""
    yield f"granted  {granted.scope if granted else 'nothing'}"
    if granted and granted.dataset_id:
        yield f"dataset  {granted.dataset_id}"


def _account(reference: str) -> model.User | None:
    if reference == ANONYMOUS:
        return None
    found = model.User.get(reference)
    if found is None:
        raise UnknownUser(reference)
    return found


def _name(account: model.User | None) -> str:
    if account is None:
        return "anonymous"
    return f"{account.name} (id {account.id}{', sysadmin' if account.sysadmin else ''})"


def _actions(authorizer: Authzzie, scope: Scope, account: model.User | None) -> list[str]:
    """Those that are asked for; all that are known or granted, if that is what is asked for."""
    known = authorizer.actions_of(scope)
    if scope.actions is not None:
        return sorted(scope.actions)
    granted = authorizer.get_granted_actions(scope, context=permissions.context_for(account, Memory()))
    return sorted({*known, *granted})


def _about(authorizer: Authzzie, scope: Scope, action: str, account: model.User | None) -> Iterator[str]:
    # Each action starts with an empty memory, so that what it needs is told with it.
    memory = Memory()
    answers = authorizer.answers(
        scope.with_actions([action]), context=permissions.context_for(account, memory)
    )
    known = authorizer.actions_of(scope)
    original = known.get(action, action)
    yield f"{action}: {'granted' if any(original in answer.actions for answer in answers) else 'refused'}"
    if original != action:
        yield f"    is another name for {original!r}"
    if not answers:
        yield f"    no authorizer answers for it; known actions: {', '.join(known)}"
    for answer in answers:
        verdict = "granted" if original in answer.actions else "not granted"
        yield f"    {verdict} by {_authorizer(answer.authorizer)}"
    for step in memory.steps:
        yield f"    {_told(step)}"


def _told(step: Check | str) -> str:
    if isinstance(step, str):
        return step
    data = ", ".join(f"{key}={value}" for key, value in step.data.items())
    answer = "CKAN allows" if step.allowed else "CKAN refuses"
    return f"{answer} {step.action}({data})" + (f": {step.reason}" if step.reason else "")


def _authorizer(authorizer: Authorizer) -> str:
    """Where it is from: ``module.name``."""
    function: Any = authorizer
    while isinstance(function, functools.partial):
        function = function.func
    name = getattr(function, "__qualname__", type(function).__name__)
    return f"{getattr(function, '__module__', type(function).__module__)}.{name}"
