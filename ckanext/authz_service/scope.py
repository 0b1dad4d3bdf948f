"""Scopes: what a token is about, and what it allows there. Pure text, no permissions.

::

    scope  = type ":" ref ":" [ subscope ":" ] actions
    type   = lower *31( lower / digit / "_" / "-" )          subscope, action = type
    ref    = "*" / segment *3( "/" segment ) [ "/*" / "/" ]
    segment = 1*100( ALPHA / digit / "_" / "-" / "." )       but not "." or ".."
    actions = action *( "," action )                         sorted, unique, never "*"

This is what a token carries. Requests may be shorter: ``type``, ``type:ref``, and ``*`` for the ref,
the subscope or the whole list of actions. Leaving the list out (or ``*``) asks for every action that
can be granted. Nothing else is forgiven: a scope that was meant to be narrow must not become a wide
one because of a blank, an empty variable or a colon too many.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ckanext.authz_service.errors import MalformedScope

MAX_LENGTH = 2048
"""Longest scope, in characters: the longest ref has 405, the rest is room for any real list of actions."""

MAX_SEGMENTS = 4

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_NAME_RULE = "start with a lower-case letter and have at most 32 of a-z, 0-9, '_' and '-'"
_SEGMENT = re.compile(r"[A-Za-z0-9_.-]{1,100}")
# Blanks and control characters get a message of their own: they are what smuggles one scope into another
# where a consumer splits the claim at blanks. Everything outside ASCII is refused with them.
_FORBIDDEN = re.compile(r"[^\x21-\x7e]")


def is_name(text: object) -> bool:
    """Whether the text can be an entity type, a subscope or an action."""
    return isinstance(text, str) and _NAME.fullmatch(text) is not None


@dataclass(frozen=True, init=False)
class Scope:
    """One scope, always well-formed: a ``Scope`` that exists can be printed and read back unchanged.

    ``entity_id`` None stands for all entities of the type, ``subscope`` None for the entity as a whole,
    ``actions`` None for whatever can be granted. ``"*"`` is accepted for the first two and becomes None.

    Raises MalformedScope for anything the grammar does not allow, an empty collection of actions included
    (it could be read as "all").
    """

    entity_type: str
    entity_id: str | None
    actions: frozenset[str] | None
    subscope: str | None

    def __init__(
        self,
        entity_type: str,
        entity_id: str | None = None,
        actions: Iterable[str] | None = None,
        subscope: str | None = None,
    ):
        if isinstance(actions, str):
            raise TypeError(f"actions must be a collection of names, not the text {actions!r}")
        found = None if actions is None else frozenset(actions)
        # object.__setattr__ is how a frozen dataclass sets itself up.
        object.__setattr__(self, "entity_type", entity_type)
        object.__setattr__(self, "entity_id", None if entity_id == "*" else entity_id)
        object.__setattr__(self, "actions", found)
        object.__setattr__(self, "subscope", None if subscope == "*" else subscope)
        problem = self._problem()
        if problem:
            shown = (
                entity_type,
                entity_id,
                subscope,
                "" if found is None else ",".join(sorted(map(str, found))),
            )
            raise MalformedScope(":".join("*" if part is None else str(part) for part in shown), problem)

    @classmethod
    def from_string(cls, text: str) -> Scope:
        """Read one scope, short forms included.

        Raises MalformedScope, which quotes the text and names the broken rule.
        """
        if not isinstance(text, str):
            raise MalformedScope(repr(text)[:MAX_LENGTH], "it is not text")
        if len(text) > MAX_LENGTH:
            raise MalformedScope(text[:MAX_LENGTH], f"it is longer than {MAX_LENGTH} characters")
        if _FORBIDDEN.search(text):
            raise MalformedScope(
                text, "it contains a blank, a control character or a character outside ASCII"
            )
        parts = text.split(":")
        if len(parts) > 4:
            raise MalformedScope(text, f"it has {len(parts)} parts between colons, four at most are allowed")
        subscope = parts[2] if len(parts) == 4 else None
        listed = parts[-1] if len(parts) > 2 else "*"
        if listed == "":
            raise MalformedScope(text, "its list of actions is empty; leave the list out to ask for all")
        try:
            return cls(
                parts[0],
                parts[1] if len(parts) > 1 else None,
                None if listed == "*" else listed.split(","),
                subscope,
            )
        except MalformedScope as error:
            raise MalformedScope(text, error.problem) from None

    def with_actions(self, actions: Iterable[str]) -> Scope:
        """The same entity with these actions."""
        return Scope(self.entity_type, self.entity_id, actions, self.subscope)

    def __str__(self) -> str:
        """The canonical text: actions sorted, ``*`` only where nothing shorter says the same."""
        ref = self.entity_id if self.entity_id is not None else "*"
        listed = "*" if self.actions is None else ",".join(sorted(self.actions))
        if self.subscope is not None:
            return f"{self.entity_type}:{ref}:{self.subscope}:{listed}"
        if self.actions is not None:
            return f"{self.entity_type}:{ref}:{listed}"
        return self.entity_type if self.entity_id is None else f"{self.entity_type}:{ref}"

    def _problem(self) -> str | None:
        if not is_name(self.entity_type):
            return f"its type must {_NAME_RULE}"
        if self.entity_id is not None and (problem := _ref_problem(self.entity_id)):
            return problem
        if self.subscope is not None and not is_name(self.subscope):
            return f"its subscope must {_NAME_RULE}"
        if self.actions is not None:
            if not self.actions:
                return "its list of actions is empty; leave the list out to ask for all"
            if "*" in self.actions:
                return "'*' stands for all actions and cannot be one of a list"
            if not all(is_name(action) for action in self.actions):
                return f"each action must {_NAME_RULE}"
        if len(str(self)) > MAX_LENGTH:
            return f"it is longer than {MAX_LENGTH} characters"
        return None


def _ref_problem(ref: object) -> str | None:
    if not isinstance(ref, str) or ref == "":
        return "its ref is empty; write '*' to ask about all entities"
    segments = ref.split("/")
    if len(segments) > 1 and segments[-1] in ("", "*"):
        segments.pop()
    if len(segments) > MAX_SEGMENTS:
        return f"its ref has more than {MAX_SEGMENTS} segments"
    for segment in segments:
        if segment in (".", ".."):
            return "'.' and '..' cannot be segments of a ref"
        if len(segment) > 100:
            return "a segment of its ref is longer than 100 characters"
        if not _SEGMENT.fullmatch(segment):
            return "the segments of its ref must be letters, digits, '_', '-' or '.', and none may be empty"
    return None
