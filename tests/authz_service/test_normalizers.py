"""Scope normalizers: whatever one returns, a token never carries more than was granted."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.authz_service.authorizer import AuthorizedScope, Authzzie, Granted
from ckanext.authz_service.errors import BindingError
from ckanext.authz_service.scope import Scope
from tests.authz_service.test_scope import action_sets, granted_scopes, names, refs

#: Names of datasets, and the id behind each. All actions but "purge" are granted on them.
DATASETS = {"foo": "id-1", "org/foo": "id-1", "id-1": "id-1", "bar": "id-2", "foo/*": "id-1", "foo/": "id-1"}


def on_known_datasets(**ref: Any) -> Granted:
    return Granted(["read", "update"], DATASETS.get(ref["id"]))


def only_read_on_foo(**ref: Any) -> Granted | list[str]:
    return Granted(["read"], "id-1") if ref["id"] in ("foo", "org/foo") else []


@pytest.fixture
def authorizer() -> Authzzie:
    registry = Authzzie()
    registry.register_authorizer("ds", on_known_datasets, actions=["read", "update"])
    return registry


def granted(authorizer: Authzzie, text: str) -> str | None:
    answer = authorizer.grant(Scope.from_string(text))
    return str(answer.scope) if answer else None


def test_it_sees_what_was_asked_and_what_was_granted(authorizer):
    seen = []
    authorizer.register_scope_normalizer(
        "ds", lambda requested, granted: seen.append((requested, granted)) or granted
    )
    assert granted(authorizer, "ds:foo:read,purge") == "ds:foo:read"
    assert granted(authorizer, "ds:foo") == "ds:foo:read,update"
    assert seen == [
        (Scope("ds", "foo", ["read", "purge"]), Scope("ds", "foo", ["read"])),
        (Scope("ds", "foo"), Scope("ds", "foo", ["read", "update"])),
    ]


def test_it_is_not_asked_where_nothing_is_granted(authorizer):
    authorizer.register_scope_normalizer("ds", lambda requested, granted: pytest.fail("asked"))
    assert granted(authorizer, "ds:foo:purge") is None


def test_it_may_leave_actions_out(authorizer):
    authorizer.register_scope_normalizer("ds", lambda requested, granted: granted.with_actions(["read"]))
    assert granted(authorizer, "ds:foo:read,update") == "ds:foo:read"


def test_it_may_name_the_same_dataset_in_another_way(authorizer):
    authorizer.register_scope_normalizer(
        "ds", lambda requested, granted: Scope("ds", "org/foo", granted.actions)
    )
    assert authorizer.grant(Scope("ds", "foo", ["read"])) == AuthorizedScope(
        Scope("ds", "org/foo", ["read"]), "id-1"
    )


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (Scope("ds", "foo", ["read", "update"]), "neither add one"),
        (Scope("ds", "foo", ["purge"]), "neither add one"),
        (Scope("ds", "foo"), "leave the list away"),
        (Scope("res", "foo", ["read"]), "type and subscope"),
        (Scope("ds", "foo", ["read"], "data"), "type and subscope"),
        (Scope("ds", "bar", ["read"]), "same extent"),  # granted too, but another dataset
        (Scope("ds", "unknown", ["read"]), "same extent"),
        (Scope("ds", None, ["read"]), "wildcard"),
        (Scope("ds", "foo/*", ["read"]), "wildcard"),
        (Scope("ds", "foo/", ["read"]), "wildcard"),
        ("ds:foo:read", "not a Scope"),
        (None, "not a Scope"),
    ],
)
def test_anything_else_is_an_error_and_not_a_grant(authorizer, returned, problem):
    authorizer.register_scope_normalizer("ds", lambda requested, granted: returned)
    with pytest.raises(BindingError, match=problem):
        granted(authorizer, "ds:foo:read")


def test_a_new_ref_is_granted_to_no_less_an_extent():
    authorizer = Authzzie()
    authorizer.register_authorizer("ds", only_read_on_foo, actions=["read"])
    authorizer.register_authorizer(
        "ds", lambda **ref: Granted(["update"], "id-1") if ref["id"] == "foo" else (), actions=["update"]
    )
    authorizer.register_scope_normalizer(
        "ds", lambda requested, granted: Scope("ds", "org/foo", granted.actions)
    )
    assert granted(authorizer, "ds:foo:read") == "ds:org/foo:read"
    with pytest.raises(BindingError, match="same extent"):
        granted(authorizer, "ds:foo:read,update")


def test_a_ref_that_the_type_does_not_have_is_an_error_of_the_binding(authorizer):
    def parser(ref: str) -> dict[str, str]:
        if "/" in ref:
            raise ValueError("its ref must be a dataset")
        return {"id": ref}

    authorizer.register_entity_ref_parser("ds", parser)
    authorizer.register_scope_normalizer(
        "ds", lambda requested, granted: Scope("ds", "org/foo", granted.actions)
    )
    with pytest.raises(BindingError, match="its ref must be a dataset"):
        granted(authorizer, "ds:foo:read")


def test_it_belongs_to_one_part_of_a_type_and_the_later_one_counts(authorizer):
    authorizer.register_authorizer("ds", on_known_datasets, actions=["read", "update"], subscopes=["data"])
    authorizer.register_scope_normalizer("ds", lambda requested, granted: pytest.fail("replaced"), "data")
    authorizer.register_scope_normalizer(
        "ds", lambda requested, granted: granted.with_actions(["read"]), "data"
    )
    assert granted(authorizer, "ds:foo:data:*") == "ds:foo:data:read"
    assert granted(authorizer, "ds:foo") == "ds:foo:read,update"


def test_it_may_be_registered_before_the_type_it_is_for():
    authorizer = Authzzie()
    authorizer.register_scope_normalizer("ds", lambda requested, granted: granted.with_actions(["read"]))
    authorizer.register_authorizer("ds", on_known_datasets, actions=["read", "update"])
    assert granted(authorizer, "ds:foo") == "ds:foo:read"


@given(asked=granted_scopes, returned=st.builds(Scope, names, st.none() | refs, st.none() | action_sets))
def test_no_normalizer_widens_a_grant(asked: Scope, returned: Scope):
    authorizer = Authzzie()
    allowed = {"read", *sorted(asked.actions or ())[:2]}
    authorizer.register_authorizer(
        asked.entity_type, lambda **ref: Granted(allowed, "id-1"), subscopes=[asked.subscope]
    )
    plain = authorizer.grant(asked)
    # Near misses are likelier than chance would make them.
    for candidate in (
        returned,
        Scope(asked.entity_type, returned.entity_id, returned.actions, asked.subscope),
        Scope(asked.entity_type, asked.entity_id, returned.actions, asked.subscope),
        Scope(asked.entity_type, returned.entity_id, sorted(asked.actions or ())[:1], asked.subscope),
    ):
        authorizer.register_scope_normalizer(asked.entity_type, lambda *_: candidate, asked.subscope)  # noqa: B023
        try:
            answer = authorizer.grant(asked)
        except BindingError:
            continue
        if plain is None:
            assert answer is None
            continue
        assert answer is not None
        assert answer.scope.actions
        assert answer.scope.actions <= (plain.scope.actions or set())
        assert answer.dataset_id == plain.dataset_id
        assert (answer.scope.entity_type, answer.scope.subscope) == (asked.entity_type, asked.subscope)
        assert answer.scope.entity_id == asked.entity_id or not str(answer.scope.entity_id).endswith(
            ("/", "*")
        )
        assert Scope.from_string(str(answer.scope)) == answer.scope
