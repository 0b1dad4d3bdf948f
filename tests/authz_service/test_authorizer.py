from __future__ import annotations

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ckanext.authz_service.authorizer import Answer, AuthorizedScope, Authzzie, Granted
from ckanext.authz_service.errors import BindingError, MalformedScope, UnknownEntityType, UnknownSubscope
from ckanext.authz_service.scope import Scope


def grants(*actions, dataset=None):
    """An authorizer that always answers the same."""
    return lambda **ref: Granted(actions, dataset) if dataset else actions


def granted(authorizer, text, **kwargs):
    """The answer for a scope as text, None for nothing."""
    scope = authorizer.authorize_scope(Scope.from_string(text), **kwargs)
    return None if scope is None else str(scope)


@pytest.fixture
def authorizer():
    return Authzzie()


# --- asking -----------------------------------------------------------------------------------------------


def test_only_requested_actions_are_kept(authorizer):
    authorizer.register_authorizer(
        "ds", grants("read", "update", "purge"), actions=["read", "update", "purge"]
    )
    assert granted(authorizer, "ds:foo:read,delete") == "ds:foo:read"
    assert granted(authorizer, "ds:foo:delete") is None


def test_no_list_asks_for_all_and_the_answer_lists_them(authorizer):
    authorizer.register_authorizer("ds", grants("read", "update"), actions=["read", "update", "purge"])
    assert granted(authorizer, "ds:foo") == "ds:foo:read,update"
    assert granted(authorizer, "ds:foo:*") == "ds:foo:read,update"
    authorizer.register_authorizer("ds", grants(), actions=["read", "update"])
    assert granted(authorizer, "ds:foo") is None


def test_the_parsed_ref_and_the_callers_arguments_arrive(authorizer):
    seen = []
    authorizer.register_authorizer("ds", lambda **ref: seen.append(ref) or ["read"], actions=["read"])
    granted(authorizer, "ds:foo:read", context={"user": "me"})
    granted(authorizer, "ds:*:read", context={})
    authorizer.register_entity_ref_parser("ds", lambda ref: {"parts": ref.split("/"), "context": "forged"})
    granted(authorizer, "ds:org/foo:read", context={"user": "me"})
    granted(authorizer, "ds:*:read", context={})
    assert seen == [
        {"id": "foo", "context": {"user": "me"}},
        {"id": None, "context": {}},
        {"parts": ["org", "foo"], "context": {"user": "me"}},
        {"parts": ["*"], "context": {}},
    ]


def test_a_ref_that_the_type_does_not_have(authorizer):
    def parser(ref):
        raise ValueError("expected <namespace>/<dataset>/<sha256>")

    authorizer.register_authorizer("obj", grants("read"), actions=["read"])
    authorizer.register_entity_ref_parser("obj", parser)
    with pytest.raises(MalformedScope, match=r"'obj:foo:read'.*expected <namespace>") as raised:
        granted(authorizer, "obj:foo:read")
    assert raised.value.scope == "obj:foo:read"


def test_only_authorizers_of_requested_actions_are_asked(authorizer):
    asked = []
    for action in ("read", "update"):
        authorizer.register_authorizer(
            "ds", lambda action=action, **ref: asked.append(action) or [action], actions=[action]
        )
    granted(authorizer, "ds:foo:read,nonsense")
    assert asked == ["read"]
    granted(authorizer, "ds:foo")
    assert asked == ["read", "read", "update"]


def test_unknown_types_and_subscopes_are_errors_that_list_the_known(authorizer):
    authorizer.register_authorizer(
        "ds", grants("read"), actions=["read"], subscopes=["data", None, "metadata"]
    )
    authorizer.register_authorizer("org", grants("read"), actions=["read"])
    with pytest.raises(UnknownEntityType, match="ds, org") as no_type:
        granted(authorizer, "dataset:foo:read")
    assert (no_type.value.entity_type, no_type.value.known) == ("dataset", ("ds", "org"))
    with pytest.raises(UnknownSubscope, match="data, metadata") as no_subscope:
        granted(authorizer, "ds:foo:anything:read")
    assert (no_subscope.value.subscope, no_subscope.value.known) == ("anything", ("data", "metadata"))
    assert granted(authorizer, "ds:foo:data:read") == "ds:foo:data:read"


def test_asking_adds_nothing_to_the_registry(authorizer):
    authorizer.register_authorizer("ds", grants("read"), actions=["read"])
    authorizer.register_type_alias("dataset", "ds")
    authorizer.register_scope_normalizer("ds", lambda requested, granted: granted)
    before = repr(authorizer.__dict__)
    for number in range(100):
        granted(authorizer, f"dataset:foo{number}:read,action{number}")
        granted(authorizer, f"ds:foo:action{number}")
        with pytest.raises(UnknownSubscope):
            granted(authorizer, f"ds:foo:sub{number}:read")
        with pytest.raises(UnknownEntityType):
            granted(authorizer, f"type{number}:foo:read")
    assert repr(authorizer.__dict__) == before


# --- several authorizers ----------------------------------------------------------------------------------


def test_several_authorizers_are_united(authorizer):
    authorizer.register_authorizer("ds", grants("read"), actions=["read", "list"])
    authorizer.register_authorizer("ds", grants("list"), actions=["list"], append=True)
    assert granted(authorizer, "ds:foo:list,read") == "ds:foo:list,read"


def test_a_later_registration_replaces_an_earlier_one_for_its_actions(authorizer):
    authorizer.register_authorizer("ds", grants("read", "update"), actions=["read", "update"])
    authorizer.register_authorizer("ds", grants(), actions=["read"])
    # The first still answers for update, and still says "read": it is not believed.
    assert granted(authorizer, "ds:foo:read,update") == "ds:foo:update"
    assert granted(authorizer, "ds:foo") == "ds:foo:update"


def test_an_authorizer_for_every_action(authorizer):
    authorizer.register_authorizer("thing", grants("look", "touch"))
    assert granted(authorizer, "thing:x:touch") == "thing:x:touch"
    assert granted(authorizer, "thing:x") == "thing:x:look,touch"
    authorizer.register_authorizer("thing", grants(), actions=["touch"])
    assert granted(authorizer, "thing:x:look,touch") == "thing:x:look"
    assert granted(authorizer, "thing:x") == "thing:x:look"
    authorizer.register_authorizer("thing", grants("touch", "buy"), append=True)
    assert granted(authorizer, "thing:x") == "thing:x:buy,look,touch"
    authorizer.register_authorizer("thing", grants("sell"), actions=["sell"], append=True)
    assert granted(authorizer, "thing:x") == "thing:x:buy,look,sell,touch"
    authorizer.register_authorizer("thing", grants("nothing-else"))
    assert granted(authorizer, "thing:x") == "thing:x:nothing-else"


def test_an_authorizer_bound_to_several_actions_is_asked_once(authorizer):
    calls = []
    authorizer.register_authorizer("ds", lambda **ref: calls.append(1) or ["a", "b"], actions=["a", "b"])
    assert granted(authorizer, "ds:foo") == "ds:foo:a,b"
    assert len(calls) == 1


# --- datasets ---------------------------------------------------------------------------------------------


def test_the_dataset_comes_with_the_grant(authorizer):
    authorizer.register_authorizer("ds", grants("read", dataset="id-1"), actions=["read"])
    authorizer.register_authorizer("ds", grants("read"), actions=["read"], append=True)
    assert authorizer.grant(Scope("ds", "foo", ["read"])) == AuthorizedScope(
        Scope("ds", "foo", ["read"]), "id-1"
    )


def test_authorizers_that_disagree_on_the_dataset_grant_nothing(authorizer):
    authorizer.register_authorizer("ds", grants("read", dataset="id-1"), actions=["read"])
    authorizer.register_authorizer("ds", grants("update", dataset="id-2"), actions=["update"])
    assert authorizer.grant(Scope("ds", "foo", ["read", "update"])) is None
    assert authorizer.grant(Scope("ds", "foo", ["read"])) == AuthorizedScope(
        Scope("ds", "foo", ["read"]), "id-1"
    )


def test_an_authorizer_that_grants_nothing_cannot_spoil_the_dataset(authorizer):
    authorizer.register_authorizer("ds", grants("read", dataset="id-1"), actions=["read"])
    authorizer.register_authorizer("ds", grants("update", dataset="id-2"), actions=["read"], append=True)
    assert authorizer.grant(Scope("ds", "foo", ["read"])) == AuthorizedScope(
        Scope("ds", "foo", ["read"]), "id-1"
    )


# --- aliases ----------------------------------------------------------------------------------------------


@pytest.fixture
def with_alias(authorizer):
    authorizer.register_authorizer("obj", grants("read", "update"), actions=["read", "update"])
    authorizer.register_action_alias("write", "update", "obj")
    return authorizer


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("obj:x:write", "obj:x:write"),
        ("obj:x:update", "obj:x:update"),
        ("obj:x:update,write", "obj:x:update,write"),
        ("obj:x:read,write", "obj:x:read,write"),
        ("obj:x", "obj:x:read,update,write"),
    ],
)
def test_an_alias_is_granted_whenever_its_original_is(with_alias, asked, answer):
    assert granted(with_alias, asked) == answer


def test_an_alias_is_refused_whenever_its_original_is(with_alias):
    with_alias.register_authorizer("obj", grants("write"), actions=["update"])  # speaks of the alias only
    assert granted(with_alias, "obj:x:write") is None
    assert granted(with_alias, "obj:x:update,write") is None
    assert granted(with_alias, "obj:x") == "obj:x:read"


def test_an_alias_belongs_to_its_type_and_subscope(with_alias):
    with_alias.register_authorizer("ds", grants("update"), actions=["update"])
    with_alias.register_authorizer("obj", grants("update"), actions=["update"], subscopes=["data"])
    assert granted(with_alias, "ds:x:write") is None
    assert granted(with_alias, "obj:x:data:write") is None


def test_an_authorizer_for_every_action_cannot_grant_an_alias_by_its_name(authorizer):
    authorizer.register_authorizer("obj", grants("write"))
    authorizer.register_action_alias("write", "update", "obj")
    assert granted(authorizer, "obj:x:write") is None
    assert granted(authorizer, "obj:x") is None


@pytest.mark.parametrize(
    "second", [("update", "modify"), ("again", "write"), ("write", "write"), ("read", "update")]
)
def test_a_name_means_one_thing(with_alias, second):
    with pytest.raises(BindingError):
        with_alias.register_action_alias(*second, "obj")
    with pytest.raises(BindingError):
        with_alias.register_authorizer("obj", grants("write"), actions=["write"])


def test_answers_do_not_depend_on_the_hash_seed():
    program = """
from ckanext.authz_service.authorizer import Authzzie, Granted
from ckanext.authz_service.scope import Scope
authorizer = Authzzie()
names = ["read", "update", "delete", "purge", "list"]
for name in names:
    authorizer.register_authorizer("obj", lambda name=name, **ref: Granted({name}, "id"), actions={name})
    authorizer.register_action_alias(name + "-alias", name, "obj")
authorizer.register_type_alias("file", "obj")
authorizer.register_scope_normalizer("obj", lambda asked, given: given)
asked = Scope("obj", "x", {name + "-alias" for name in names} | {"read"})
print(authorizer.authorize_scope(asked), authorizer.authorize_scope(Scope("obj", "x")))
print(authorizer.entity_types, list(authorizer.actions_of(asked)))
"""
    answers = set()
    for seed in ("0", "1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
        )
        answers.add(run.stdout)
    assert answers == {
        "obj:x:delete-alias,list-alias,purge-alias,read,read-alias,update-alias "
        "obj:x:delete,delete-alias,list,list-alias,purge,purge-alias,read,read-alias,update,update-alias\n"
        "('file', 'obj') ['delete', 'delete-alias', 'list', 'list-alias', 'purge', 'purge-alias', 'read', "
        "'read-alias', 'update', 'update-alias']\n"
    }


# --- aliases of types --------------------------------------------------------------------------------------


def test_an_alias_of_a_type_is_answered_like_the_type_and_keeps_its_name(authorizer):
    authorizer.register_type_alias("dataset", "ds")  # before the type: the order does not matter
    authorizer.register_authorizer("ds", grants("read", "update", dataset="id-1"), actions=["read", "update"])
    authorizer.register_entity_ref_parser("ds", lambda ref: {"id": ref})
    authorizer.register_action_alias("look", "read", "ds")
    authorizer.register_scope_normalizer(
        "ds", lambda asked, given: given.with_actions(given.actions - {"update"})
    )
    assert authorizer.grant(Scope("dataset", "foo")) == AuthorizedScope(
        Scope("dataset", "foo", ["look", "read"]), "id-1"
    )
    assert granted(authorizer, "ds:foo") == "ds:foo:look,read"
    assert authorizer.original_type("dataset") == "ds"
    assert authorizer.original_type("unknown") == "unknown"


def test_errors_about_an_alias_speak_of_what_was_asked(authorizer):
    authorizer.register_type_alias("dataset", "ds")
    with pytest.raises(UnknownEntityType, match=r"'dataset'.*Known types: none"):
        granted(authorizer, "dataset:foo:read")
    authorizer.register_authorizer("ds", grants("read"), actions=["read"])
    with pytest.raises(UnknownEntityType, match="Known types: dataset, ds"):
        granted(authorizer, "database:foo:read")
    with pytest.raises(UnknownSubscope, match="'dataset:foo:data:read'"):
        granted(authorizer, "dataset:foo:data:read")


REGISTRATIONS = [
    lambda authorizer: authorizer.register_authorizer("dataset", grants("read"), actions=["read"]),
    lambda authorizer: authorizer.register_entity_ref_parser("dataset", lambda ref: {}),
    lambda authorizer: authorizer.register_action_alias("look", "read", "dataset"),
    lambda authorizer: authorizer.register_scope_normalizer("dataset", lambda asked, given: given, "data"),
    lambda authorizer: authorizer.register_type_alias("again", "dataset"),
    lambda authorizer: authorizer.register_type_alias("ds", "other"),
]


@pytest.mark.parametrize("other", REGISTRATIONS)
@pytest.mark.parametrize("first", [True, False])
def test_a_type_is_an_alias_or_has_bindings_in_whatever_order(authorizer, other, first):
    steps = [lambda authorizer: authorizer.register_type_alias("dataset", "ds"), other]
    steps = steps if first else steps[::-1]
    steps[0](authorizer)
    with pytest.raises(BindingError):
        steps[1](authorizer)


@pytest.mark.parametrize("pair", [("ds", "ds"), ("DS", "ds"), ("dataset", "d s")])
def test_an_alias_of_a_type_that_means_nothing(authorizer, pair):
    with pytest.raises(BindingError):
        authorizer.register_type_alias(*pair)


def test_the_later_alias_of_a_type_counts(authorizer):
    authorizer.register_authorizer("ds", grants("read"), actions=["read"])
    authorizer.register_authorizer("other", grants("list"), actions=["list"])
    authorizer.register_type_alias("dataset", "ds")
    authorizer.register_type_alias("dataset", "other")
    assert granted(authorizer, "dataset:x") == "dataset:x:list"


# --- who answered ------------------------------------------------------------------------------------------


def test_each_authorizers_answer_by_itself(authorizer):
    reads, updates = grants("read", "purge", dataset="id-1"), grants()
    authorizer.register_authorizer("ds", updates, actions=["update"])
    authorizer.register_authorizer("ds", reads, actions=["read"])
    assert authorizer.answers(Scope("ds", "foo")) == [
        Answer(reads, frozenset({"read"}), "id-1"),
        Answer(updates, frozenset(), None),
    ]
    assert authorizer.answers(Scope("ds", "foo", ["nonsense"])) == []


def test_the_known_actions(with_alias):
    known = {"read": "read", "update": "update", "write": "update"}
    assert with_alias.actions_of(Scope("obj", "x", ["nonsense"])) == known


# --- whatever is registered and asked ----------------------------------------------------------------------

few_names = st.sampled_from(["read", "update", "list", "a", "b"])
some = st.frozensets(few_names, max_size=4)


@given(
    bound=st.lists(
        st.tuples(st.none() | st.frozensets(few_names, min_size=1), some, st.booleans()), min_size=1
    ),
    asked=st.none() | st.frozensets(few_names, min_size=1),
)
def test_what_is_granted_was_asked_for_and_answered_and_reads_back(bound, asked):
    authorizer = Authzzie()
    for actions, answer, append in bound:
        authorizer.register_authorizer("ds", grants(*answer), actions=actions, append=append)
    authorized = authorizer.grant(Scope("ds", "foo", asked))
    if authorized is None:
        return
    scope = authorized.scope
    assert scope.actions
    assert asked is None or scope.actions <= asked
    assert scope.actions <= {action for _, answer, _ in bound for action in answer}
    assert (scope.entity_type, scope.entity_id, scope.subscope) == ("ds", "foo", None)
    assert Scope.from_string(str(scope)) == scope


# --- mistakes of plugins -----------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["delete", b"delete", None, True, [1], ["*"], ["read update"], [""]])
def test_an_answer_that_is_not_a_collection_of_actions_grants_nothing(authorizer, answer):
    authorizer.register_authorizer("ds", lambda **ref: answer, actions=["delete", "d"])
    with pytest.raises(BindingError):
        granted(authorizer, "ds:foo")


@pytest.mark.parametrize("dataset_id", ["", 7])
def test_a_dataset_id_is_text(authorizer, dataset_id):
    authorizer.register_authorizer("ds", lambda **ref: Granted(["read"], dataset_id), actions=["read"])
    with pytest.raises(BindingError):
        granted(authorizer, "ds:foo")


@pytest.mark.parametrize(
    "registration",
    [
        {"entity_type": "DS"},
        {"actions": ["*"]},
        {"actions": ["re ad"]},
        {"actions": "read"},
        {"actions": []},
        {"subscopes": [""]},
        {"subscopes": ["a:b"]},
        {"subscopes": "data"},
        {"subscopes": []},
    ],
)
def test_a_registration_that_could_not_be_asked_for_leaves_nothing_behind(authorizer, registration):
    arguments = {"entity_type": "ds", "authorizer": grants("read"), "actions": ["read"], **registration}
    with pytest.raises(BindingError):
        authorizer.register_authorizer(**arguments)
    assert authorizer.entity_types == ()


def test_granted_actions_as_a_set(with_alias):
    assert with_alias.get_granted_actions(Scope("obj", "x", ["read", "nonsense"])) == {"read"}
    assert with_alias.get_granted_actions(Scope("obj", "x", ["nonsense"])) == frozenset()
