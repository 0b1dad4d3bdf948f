"""The registry of who answers for which scopes. Pure: it knows no permissions of its own.

An *authorizer* is a callable that a plugin registers for a type of entity. It is called with the parsed
ref as keyword arguments and whatever the caller passes along (in CKAN: ``context=``), and says which
actions it grants::

    def may_read(id, context):
        return ["read"] if ... else []

It returns names of actions, or ``Granted(names, dataset_id)`` when the scope is about one dataset.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ckanext.authz_service.errors import (
    BindingError,
    MalformedScope,
    UnknownEntityType,
    UnknownSubscope,
    quoted,
)
from ckanext.authz_service.scope import Scope, is_name

__all__ = [
    "Answer",
    "AuthorizedScope",
    "Authorizer",
    "Authzzie",
    "Granted",
    "Normalizer",
    "RefParser",
    "UnknownEntityType",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Granted:
    """An authorizer's answer about one dataset: names of actions, and that dataset's id (never its name).

    The id goes into the token, so that a dataset which takes the name over later is not opened by it.
    """

    actions: Iterable[str]
    dataset_id: str | None = None


@dataclass(frozen=True)
class AuthorizedScope:
    """What may be signed: a scope that lists its actions, and the id of its dataset if it is about one."""

    scope: Scope
    dataset_id: str | None = None


Authorizer = Callable[..., "Granted | Iterable[str]"]
RefParser = Callable[[str], Mapping[str, Any]]
Normalizer = Callable[[Scope, Scope], Scope]


@dataclass(frozen=True)
class Answer:
    """What one authorizer said: the actions it was believed to grant, and the dataset it spoke of."""

    authorizer: Authorizer
    actions: frozenset[str]
    dataset_id: str | None


# Authorizers by action. The key None holds those that answer for every action without an entry of its own.
_Bound = dict["str | None", tuple[Authorizer, ...]]


@dataclass
class _Call:
    """One authorizer that has to be asked, and the actions it may speak for."""

    authorizer: Authorizer
    actions: set[str] = field(default_factory=set)
    any_other: bool = False


class Authzzie:
    """Types of entities: their authorizers, ref parsers, normalizers and aliases.

    What a scope is granted depends on what is registered and not on the order in which it was, save that the
    later of two registrations of the same thing replaces the earlier. Looking something up never adds to the
    registry, so that unknown names in requests cost no memory.
    """

    def __init__(self) -> None:
        self._bound: dict[str, dict[str | None, _Bound]] = {}
        self._ref_parsers: dict[str, RefParser] = {}
        self._aliases: dict[tuple[str, str | None], dict[str, str]] = {}
        self._normalizers: dict[tuple[str, str | None], Normalizer] = {}
        self._type_aliases: dict[str, str] = {}

    @property
    def entity_types(self) -> tuple[str, ...]:
        """The types that can be asked about, their aliases included, sorted."""
        aliases = (alias for alias, original in self._type_aliases.items() if original in self._bound)
        return tuple(sorted({*self._bound, *aliases}))

    def original_type(self, entity_type: str) -> str:
        """The type that an alias stands for; any other name comes back as it is."""
        return self._type_aliases.get(entity_type, entity_type)

    # --- what plugins register ---------------------------------------------------------------------------

    def register_authorizer(
        self,
        entity_type: str,
        authorizer: Authorizer,
        actions: Iterable[str] | None = None,
        subscopes: Iterable[str | None] | None = None,
        append: bool = False,
    ) -> None:
        """Let ``authorizer`` answer for these actions of the type.

        :param actions: None means every action it returns. (A None among names is ignored.)
        :param subscopes: parts of the entity that it answers for; None stands for the entity as a whole,
            which is also the default.
        :param append: False replaces whoever answered for these actions before, so that a plugin can override
            the defaults; True grants what either grants.

        It is believed for the actions it is bound to and no others: overriding one action of a type is not
        undone by the old authorizer that still serves the other actions.

        Raises BindingError when a name cannot be part of a scope.
        """
        if isinstance(actions, str) or isinstance(subscopes, str):
            raise BindingError(entity_type, "actions and subscopes are collections of names, not one text")
        parts = [None] if subscopes is None else list(subscopes)
        names = None if actions is None else list(actions)
        if names == [] or not parts:
            raise BindingError(entity_type, "it is registered for no action or no subscope; None means all")
        names = [name for name in names or [] if name is not None]
        # All names are checked before any is bound: a refused registration leaves nothing behind.
        self._check_type(entity_type)
        for subscope in parts:
            if subscope is not None:
                _check_name(entity_type, subscope, "subscope")
            for action in names:
                _check_name(entity_type, action, "action")
                if action in self._aliases.get((entity_type, subscope), {}):
                    raise BindingError(
                        entity_type, f"{action!r} is an alias; register for the action it stands for"
                    )

        by_subscope = self._bound.setdefault(entity_type, {})
        for subscope in parts:
            bound = by_subscope.setdefault(subscope, {})
            if not names:
                _bind_every_action(bound, authorizer, append)
            for action in names:
                before = bound.get(action, bound.get(None, ())) if append else ()
                bound[action] = (*before, authorizer)

    def register_entity_ref_parser(self, entity_type: str, parser: RefParser) -> None:
        """Let ``parser`` turn a ref of this type into the keyword arguments of its authorizers.

        It gets the ref as written, ``*`` for a scope about all entities, and raises ValueError, with half a
        sentence for the user, for a ref that the type does not have. Without a parser the only argument is
        ``id``, None for all entities.
        """
        self._check_type(entity_type)
        self._ref_parsers[entity_type] = parser

    def register_scope_normalizer(
        self, entity_type: str, normalizer: Normalizer, subscope: str | None = None
    ) -> None:
        """Let ``normalizer(requested, granted)`` say how a granted scope is written into the token.

        It is called with the scope as it was asked for and as it was granted, where anything was, and returns
        the scope to sign. It may

        - leave actions out, but neither add one nor leave the list away, which verifiers read as "all";
        - write the ref in another way, if what that ref names is granted to the same user as well: the
          authorizers are asked about it, and must grant the same actions on the same dataset. A wildcard
          cannot come in.

        Anything else it returns is a BindingError when the scope is asked for, and nothing is signed.
        """
        self._check_type(entity_type)
        if subscope is not None:
            _check_name(entity_type, subscope, "subscope")
        self._normalizers[entity_type, subscope] = normalizer

    def register_type_alias(self, alias: str, original: str) -> None:
        """Let ``alias`` be another name for the entity type ``original``, registered by now or later.

        A granted scope keeps the name that was asked for, so whoever checks the token must know the alias.

        Raises BindingError when the alias is a type with bindings of its own, or part of a chain: what a name
        means must not depend on the order of registration.
        """
        for name in (alias, original):
            _check_name(original, name, "entity type")
        if alias == original or original in self._type_aliases or alias in self._type_aliases.values():
            raise BindingError(original, f"the alias {alias!r} for {original!r} makes a chain of aliases")
        of_parts = (entity_type for entity_type, _ in (*self._aliases, *self._normalizers))
        if alias in {*self._bound, *self._ref_parsers, *of_parts}:
            raise BindingError(original, f"{alias!r} has bindings of its own and cannot be an alias")
        self._type_aliases[alias] = original

    def register_action_alias(
        self, alias: str, original: str, entity_type: str, subscope: str | None = None
    ) -> None:
        """Let ``alias`` be another name for the action ``original``: granted whenever that is granted.

        Raises BindingError when the alias is an action with an authorizer of its own, or part of a chain:
        what a name means must not depend on the order of registration.
        """
        self._check_type(entity_type)
        for name in (alias, original):
            _check_name(entity_type, name, "action")
        aliases = self._aliases.get((entity_type, subscope), {})
        if alias == original or original in aliases or alias in aliases.values():
            raise BindingError(entity_type, f"the alias {alias!r} for {original!r} makes a chain of aliases")
        if alias in self._bound.get(entity_type, {}).get(subscope, {}):
            raise BindingError(entity_type, f"{alias!r} has an authorizer and cannot be an alias")
        self._aliases.setdefault((entity_type, subscope), {})[alias] = original

    # --- what callers ask --------------------------------------------------------------------------------

    def grant(self, scope: Scope, **kwargs: Any) -> AuthorizedScope | None:
        """What may be signed of this scope, or None if nothing may.

        Actions that were not asked for are never part of the answer; a scope without a list of actions asks
        for all, and the answer lists them, aliases included. Authorizers are united. If those that grant
        something speak of different datasets, nothing is granted: the token could not say which one it opens.

        Raises UnknownEntityType, UnknownSubscope and MalformedScope (a ref that the type does not have), and
        BindingError for an answer that cannot be used.
        """
        granted = self._united(scope, kwargs)
        normalizer = self._normalizers.get((self.original_type(scope.entity_type), scope.subscope))
        if granted is None or normalizer is None:
            return granted
        return self._normalized(normalizer, scope, granted, kwargs)

    def answers(self, scope: Scope, **kwargs: Any) -> list[Answer]:
        """What each authorizer that has a say about this scope answers, in an order that is always the same.

        Raises what ``grant`` raises.
        """
        entity_type, bound, aliases = self._lookup(scope)
        asked = None if scope.actions is None else {aliases.get(action, action) for action in scope.actions}
        # The caller's own arguments win: nothing in a ref may replace the context.
        arguments = {**self._parse_ref(entity_type, scope), **kwargs}
        answers = []
        for call in _calls(bound, asked):
            answer = _checked(entity_type, call.authorizer(**arguments))
            believed = (
                action
                for action in answer.actions
                if action in call.actions
                or (call.any_other and action not in bound and action not in aliases)
            )
            answers.append(Answer(call.authorizer, frozenset(believed), answer.dataset_id))
        return answers

    def actions_of(self, scope: Scope) -> dict[str, str]:
        """The names of actions that were registered for such scopes, each with the action it stands for.

        An authorizer that answers for every action may know more. Raises UnknownEntityType, UnknownSubscope.
        """
        _, bound, aliases = self._lookup(scope)
        names = {action: action for action in bound if action is not None}
        return dict(sorted({**names, **aliases}.items()))

    def authorize_scope(self, scope: Scope, **kwargs: Any) -> Scope | None:
        """``grant`` without the dataset: the scope with its granted actions, or None if there are none."""
        authorized = self.grant(scope, **kwargs)
        return authorized.scope if authorized else None

    def get_granted_actions(self, scope: Scope, **kwargs: Any) -> frozenset[str]:
        """``grant`` as a set: the granted actions of this scope, possibly none."""
        authorized = self.grant(scope, **kwargs)
        return (authorized.scope.actions if authorized else None) or frozenset()

    # --- inside ------------------------------------------------------------------------------------------

    def _check_type(self, entity_type: str) -> None:
        _check_name(entity_type, entity_type, "entity type")
        if entity_type in self._type_aliases:
            raise BindingError(entity_type, "it is an alias; register for the type it stands for")

    def _lookup(self, scope: Scope) -> tuple[str, _Bound, Mapping[str, str]]:
        """The type behind the scope's name, and the authorizers and action aliases of this part of it."""
        entity_type = self.original_type(scope.entity_type)
        by_subscope = self._bound.get(entity_type)
        if by_subscope is None:
            raise UnknownEntityType(str(scope), scope.entity_type, self.entity_types)
        bound = by_subscope.get(scope.subscope)
        if bound is None:
            known = [name for name in by_subscope if name is not None]
            raise UnknownSubscope(str(scope), scope.entity_type, scope.subscope, known)
        return entity_type, bound, self._aliases.get((entity_type, scope.subscope), {})

    def _parse_ref(self, entity_type: str, scope: Scope) -> Mapping[str, Any]:
        parser = self._ref_parsers.get(entity_type)
        if parser is None:
            return {"id": scope.entity_id}
        try:
            return parser("*" if scope.entity_id is None else scope.entity_id)
        except ValueError as error:
            raise MalformedScope(str(scope), str(error)) from error

    def _united(self, scope: Scope, kwargs: Mapping[str, Any]) -> AuthorizedScope | None:
        answers = [answer for answer in self.answers(scope, **kwargs) if answer.actions]
        granted = {action for answer in answers for action in answer.actions}
        datasets = {answer.dataset_id for answer in answers if answer.dataset_id is not None}
        if len(datasets) > 1:
            log.warning(
                "Nothing granted for %s: authorizers disagree about its dataset: %s", scope, sorted(datasets)
            )
            return None
        _, _, aliases = self._lookup(scope)
        if scope.actions is not None:
            names = {action for action in scope.actions if aliases.get(action, action) in granted}
        else:
            names = granted | {alias for alias, original in aliases.items() if original in granted}
        if not names:
            return None
        return AuthorizedScope(scope.with_actions(names), next(iter(datasets), None))

    def _normalized(
        self, normalizer: Normalizer, requested: Scope, granted: AuthorizedScope, kwargs: Mapping[str, Any]
    ) -> AuthorizedScope:
        """What the normalizer makes of a grant, which is never more than that. Raises BindingError."""
        entity_type, before = self.original_type(requested.entity_type), granted.scope
        after = normalizer(requested, before)

        def wrong(problem: str) -> BindingError:
            made = f"the normalizer made {quoted(str(after))} of {quoted(str(before))}"
            return BindingError(entity_type, f"{made}: {problem}")

        if not isinstance(after, Scope):
            raise wrong("that is not a Scope")
        if (after.entity_type, after.subscope) != (before.entity_type, before.subscope):
            raise wrong("type and subscope must stay")
        if after.actions is None or not after.actions <= (before.actions or frozenset()):
            raise wrong("it may leave actions out, and neither add one nor leave the list away")
        if after.entity_id == before.entity_id:
            return AuthorizedScope(after, granted.dataset_id)
        if after.entity_id is None or after.entity_id.endswith(("*", "/")):
            raise wrong("a wildcard cannot come in")
        try:
            again = self._united(after, kwargs)
        except MalformedScope as error:
            raise wrong(error.problem) from error
        if again is None or again != AuthorizedScope(after, granted.dataset_id):
            raise wrong("the new ref is not granted to the same extent")
        return again


def _check_name(entity_type: str, name: object, kind: str) -> None:
    if not is_name(name):
        raise BindingError(entity_type, f"{name!r} cannot be the name of the {kind} in a scope")


def _bind_every_action(bound: _Bound, authorizer: Authorizer, append: bool) -> None:
    if append:
        for action in list(bound):
            bound[action] = (*bound[action], authorizer)
        bound.setdefault(None, (authorizer,))
    else:
        bound.clear()
        bound[None] = (authorizer,)


def _calls(bound: _Bound, asked: set[str] | None) -> Iterable[_Call]:
    """Each authorizer that has a say, once, in an order that does not depend on hashing."""
    calls: dict[int, _Call] = {}
    for action in sorted(asked) if asked is not None else sorted(bound, key=lambda name: name or ""):
        for authorizer in bound.get(action, bound.get(None, ())):
            call = calls.setdefault(id(authorizer), _Call(authorizer))
            if action is None:
                call.any_other = True
            else:
                call.actions.add(action)
    return calls.values()


def _checked(entity_type: str, answer: object) -> Granted:
    if not isinstance(answer, Granted):
        answer = Granted(answer)  # type: ignore[arg-type]  # checked below, whatever it is
    actions = answer.actions
    # A text is iterable too: set().update("delete") grants d, e, l and t.
    if isinstance(actions, (str, bytes)) or not isinstance(actions, Iterable):
        raise BindingError(entity_type, f"an authorizer answered {actions!r} and not a collection of actions")
    names = frozenset(actions)
    for name in names:
        if not is_name(name):
            raise BindingError(entity_type, f"an authorizer granted {name!r}, which cannot name an action")
    if answer.dataset_id is not None and (not isinstance(answer.dataset_id, str) or not answer.dataset_id):
        raise BindingError(entity_type, f"an authorizer gave {answer.dataset_id!r} as the id of a dataset")
    return Granted(names, answer.dataset_id)
