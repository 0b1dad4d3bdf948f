from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.authz_service.errors import MalformedScope
from ckanext.authz_service.scope import MAX_LENGTH, Scope

names = st.from_regex(r"[a-z][a-z0-9_-]{0,31}", fullmatch=True)
segments = st.from_regex(r"[A-Za-z0-9_.-]{1,100}", fullmatch=True).filter(
    lambda text: text not in (".", "..")
)
refs = st.builds(
    lambda parts, end: "/".join(parts) + end,
    st.lists(segments, min_size=1, max_size=4),
    st.sampled_from(["", "/", "/*"]),
)
action_sets = st.frozensets(names, min_size=1, max_size=8)
scopes = st.builds(Scope, names, st.none() | refs, st.none() | action_sets, st.none() | names)
granted_scopes = st.builds(Scope, names, st.none() | refs, action_sets, st.none() | names)


# --- reading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ds", Scope("ds")),
        ("ds:*", Scope("ds")),
        ("ds:*:*", Scope("ds")),
        ("ds:*:*:*", Scope("ds")),
        ("ds:foo", Scope("ds", "foo")),
        ("ds:foo:*", Scope("ds", "foo")),
        ("ds:foo:*:*", Scope("ds", "foo")),
        ("ds:foo:read", Scope("ds", "foo", {"read"})),
        ("ds:foo:update,read", Scope("ds", "foo", {"read", "update"})),
        ("ds:foo:read,read", Scope("ds", "foo", {"read"})),
        ("ds:*:read", Scope("ds", None, {"read"})),
        ("ds:foo:*:read", Scope("ds", "foo", {"read"})),
        ("ds:foo:meta:*", Scope("ds", "foo", None, "meta")),
        ("ds:foo:meta:read", Scope("ds", "foo", {"read"}, "meta")),
        ("ds:foo:meta", Scope("ds", "foo", {"meta"})),  # three parts are always type:ref:actions
        ("ds:org/foo:read", Scope("ds", "org/foo", {"read"})),
        ("ds:org/:create", Scope("ds", "org/", {"create"})),
        ("ds:org/*:read", Scope("ds", "org/*", {"read"})),
        ("obj:ns/ds/" + 64 * "a" + ":read", Scope("obj", "ns/ds/" + 64 * "a", {"read"})),
        ("x:a/b/c/d/*:read", Scope("x", "a/b/c/d/*", {"read"})),
    ],
)
def test_what_is_understood(text, expected):
    assert Scope.from_string(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "ds:",  # an empty ref is more likely an empty variable than a wish for everything
        "ds::read",
        "ds:foo:",
        "ds:foo:meta:",
        "ds:foo::read",
        "ds:foo:read,",
        "ds:foo:,read",
        "ds:foo:read,*",
        "ds:foo:*,read",
        "ds:foo:a:b:c",
        "ds:foo:a:b:c:d",
        "ds:foo:meta:read:",
        "ds:foo bar:read",
        "ds:foo:read update",
        " ds:foo:read",
        "ds:foo:read\n",
        "ds:foo\x00:read",
        "ds:foo\x7f:read",
        "ds:f\u00f6\u00f6:read",
        "ds:foo\u2028:read",
        "DS:foo:read",
        "ds:foo:Read",
        "1s:foo:read",
        "ds:.:read",
        "ds:..:read",
        "ds:../foo:read",
        "ds:org/..:read",
        "ds:org//foo:read",
        "ds:/foo:read",
        "ds:/:read",
        "ds:org/*/foo:read",
        "ds:*/foo:read",
        "ds:*/*:read",
        "ds:org/foo//:read",
        "ds:a/b/c/d/e:read",
        "ds:foo%2Fbar:read",
        "ds:foo@r1:read",
        "ds:" + 101 * "a" + ":read",
        33 * "a" + ":foo:read",
        "ds:foo:" + 33 * "a",
        "ds:foo:" + ",".join(f"action{i}" for i in range(400)),
        "ds:" + "a" * 100_000,
    ],
)
def test_what_is_refused_with_the_scope_in_the_error(text):
    with pytest.raises(MalformedScope) as raised:
        Scope.from_string(text)
    assert raised.value.scope == text[:MAX_LENGTH]
    assert len(str(raised.value)) < 500
    assert str(raised.value).isascii()
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("ds:foo:", "list of actions is empty"),
        ("ds:foo:meta:", "list of actions is empty"),
        ("ds:foo:read,", "each action must"),
        ("ds:foo:read,*", "'*' stands for all"),
        ("ds:foo bar:read", "blank"),
        ("ds:foo:read\n", "blank"),
        ("ds::read", "ref is empty"),
        ("ds:foo:a:b:c", "5 parts"),
        ("ds:../foo:read", "'.' and '..'"),
        ("ds:org//foo:read", "none may be empty"),
        ("ds:a/b/c/d/e:read", "more than 4 segments"),
        ("ds:" + 101 * "a" + ":read", "longer than 100"),
        ("ds:" + 3000 * "a", "longer than 2048"),
        ("DS:foo:read", "its type must"),
        ("ds:foo:Meta:read", "its subscope must"),
    ],
)
def test_the_error_says_which_rule_is_broken(text, rule):
    with pytest.raises(MalformedScope) as raised:
        Scope.from_string(text)
    assert rule in raised.value.problem


@pytest.mark.parametrize("value", [None, 7, ["ds:foo:read"], b"ds:foo:read"])
def test_only_text_is_a_scope(value):
    with pytest.raises(MalformedScope):
        Scope.from_string(value)


@given(st.text(max_size=60) | st.text("ds:*/,.a \n", max_size=30))
def test_any_text_is_either_a_scope_that_prints_canonically_or_refused(text):
    try:
        scope = Scope.from_string(text)
    except MalformedScope:
        return
    assert Scope.from_string(str(scope)) == scope
    assert not set(str(scope)) - set(text) - set(":*")


# --- building ---------------------------------------------------------------------------------------------


def test_wildcards_are_the_same_as_leaving_out():
    assert Scope("ds", "*", None, "*") == Scope("ds")


@pytest.mark.parametrize(
    "arguments",
    [
        ("ds", "foo", []),
        ("ds", "foo", ["*"]),
        ("ds", "foo", ["read", "*"]),
        ("ds", "foo", ["read update"]),
        ("ds", "foo", ["a:b"]),
        ("ds", "foo", [1]),
        ("ds", "", ["read"]),
        ("ds", "foo:bar", ["read"]),
        ("ds", 7, ["read"]),
        ("ds", "foo", ["read"], ""),
        ("ds:x", "foo", ["read"]),
        (None, "foo", ["read"]),
        ("ds", "foo", [f"action{number}" for number in range(400)]),
    ],
)
def test_a_scope_that_could_not_be_printed_cannot_be_built(arguments):
    with pytest.raises(MalformedScope):
        Scope(*arguments)


def test_one_text_is_not_a_collection_of_actions():
    with pytest.raises(TypeError):
        Scope("ds", "foo", "delete")


def test_scopes_are_values():
    scope = Scope("ds", "foo", ["read", "update"])
    assert len({scope, Scope("ds", "foo", ("update", "read"))}) == 1
    with pytest.raises(AttributeError):
        scope.actions = None  # type: ignore[misc]
    assert scope.with_actions(["read"]) == Scope("ds", "foo", ["read"])
    assert scope.actions == {"read", "update"}


# --- printing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope("ds"), "ds"),
        (Scope("ds", "foo"), "ds:foo"),
        (Scope("ds", None, {"read"}), "ds:*:read"),
        (Scope("ds", "foo", {"update", "read"}), "ds:foo:read,update"),
        (Scope("ds", "foo", {"read"}, "meta"), "ds:foo:meta:read"),
        (Scope("ds", "foo", None, "meta"), "ds:foo:meta:*"),
        (Scope("ds", None, None, "meta"), "ds:*:meta:*"),
    ],
)
def test_canonical_text(scope, text):
    assert str(scope) == text


@given(scopes)
def test_reading_undoes_printing(scope):
    assert Scope.from_string(str(scope)) == scope


# --- nothing granted can be read as more -------------------------------------------------------------------


def read_permissively(text):
    """A scope as the older parsers read it: nothing is trimmed or checked, no actions or '*' means all."""
    parts = text.split(":")
    ref = parts[1] if len(parts) > 1 and parts[1] != "*" else None
    subscope = parts[2] if len(parts) == 4 and parts[2] != "*" else None
    listed = parts[len(parts) - 1] if len(parts) in (3, 4) else "*"
    actions = None if listed in ("*", "") else frozenset(listed.split(","))
    return parts[0], ref, subscope, actions


@given(st.lists(granted_scopes, min_size=1, max_size=5, unique=True))
def test_every_kind_of_consumer_reads_exactly_what_was_granted(granted):
    meant = {(s.entity_type, s.entity_id, s.subscope, s.actions) for s in granted}
    texts = [str(scope) for scope in granted]
    claim = texts[0] if len(texts) == 1 else texts  # as tokens.mint writes it
    as_list_or_one_scope = claim if isinstance(claim, list) else [claim]
    split_at_blanks = " ".join(as_list_or_one_scope).split()
    assert {read_permissively(text) for text in as_list_or_one_scope} == meant
    assert {read_permissively(text) for text in split_at_blanks} == meant
    # Consumers that split at commas (not a known habit) must not find a whole scope after one.
    assert all(":" not in rest for text in texts for rest in text.split(",")[1:])
