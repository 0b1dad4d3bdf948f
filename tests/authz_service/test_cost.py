"""What a request for a token costs in SQL statements: it grows with the datasets, not with the scopes."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from ckan import model
from ckan.tests import factories, helpers

from ckanext.authz_service import issuing, permissions, registry
from ckanext.authz_service.scope import Scope
from tests.statements import statements

pytestmark = pytest.mark.usefixtures("with_key", "with_plugins")

ACTIONS = ("read", "update", "patch", "delete")


def cost(user: str, scopes: list[str], granted: int | None = None) -> int:
    """Statements of asking CKAN about these scopes, in a session that knows nothing yet.

    Signing needs no database; without it the number of scopes is not limited by the size of a token.
    """
    asked = [Scope.from_string(text) for text in scopes]
    sign = pytest.MonkeyPatch()
    sign.setattr(issuing, "_sign", lambda *rest: None)
    model.Session.remove()
    try:
        with statements() as sent:
            issued = issuing.issue({"user": user}, asked)  # type: ignore[typeddict-item]
    finally:
        sign.undo()
    assert len(issued.granted) == (len(scopes) if granted is None else granted)
    return len(sent)


def editor_and_datasets(count: int) -> tuple[str, dict[str, Any], list[Any]]:
    editor: Any = factories.User()["name"]
    organization: Any = factories.Organization(users=[{"name": editor, "capacity": "editor"}])
    resources = [{"url": f"http://example.org/{number}"} for number in range(3)]
    datasets: list[Any] = [
        factories.Dataset(owner_org=organization["id"], private=True, resources=resources)
        for _ in range(count)
    ]
    return editor, organization, datasets


def all_ways_to_ask(dataset: dict[str, Any], organization: dict[str, Any]) -> list[str]:
    """A hundred different scopes about one dataset."""
    lists = [",".join(chosen) for count in (1, 2, 3, 4) for chosen in combinations(ACTIONS, count)]
    refs = [f"ds:{dataset['name']}", f"ds:{organization['name']}/{dataset['id']}", f"ds:{dataset['id']}"]
    scopes = [
        f"{ref}:{part}{actions}" for ref in refs for part in ("", "data:", "metadata:") for actions in lists
    ]
    return scopes[:100]


def test_a_hundred_scopes_about_one_dataset_cost_what_one_costs():
    editor, organization, (dataset,) = editor_and_datasets(1)
    scopes = all_ways_to_ask(dataset, organization)
    assert len(set(scopes)) == 100
    one = cost(editor, [f"ds:{dataset['name']}:{','.join(ACTIONS)}"])
    assert one > 0
    # The dataset is found by its name and by its id, and the organisation is found once.
    assert cost(editor, scopes) <= one + 3


PATTERNS = (
    "ds:{name}:read,update",
    "ds:{org}/{id}:read",
    "res:{resource}:read",
    "res:{org}/{name}/*:read,update",
    "obj:ckan/{name}/*:read,write",
)


def test_statements_grow_with_the_datasets_and_no_faster():
    editor, organization, datasets = editor_and_datasets(6)
    for pattern in PATTERNS:
        scopes = [
            pattern.format(org=organization["name"], resource=found["resources"][0]["id"], **found)
            for found in datasets
        ]
        one, two, six = (cost(editor, scopes[:count]) for count in (1, 2, 6))
        each = two - one
        assert each >= 0, pattern
        assert six == one + 5 * each, pattern


def test_one_dataset_with_many_files_costs_what_a_small_one_costs():
    editor, _, (dataset,) = editor_and_datasets(1)
    resources = [{"url": f"http://example.org/{number}"} for number in range(40)]
    large = factories.Dataset(owner_org=dataset["owner_org"], resources=resources)
    for pattern in ("res:{org}/{name}/*:read,update", "obj:{org}/{name}/*:read,write"):
        small_scope, large_scope = (
            pattern.format(org=found["organization"]["name"], name=found["name"])
            for found in (dataset, large)
        )
        assert cost(editor, [large_scope]) == cost(editor, [small_scope])


def test_what_does_not_exist_is_looked_for_once():
    user = factories.User()["name"]
    unknown = [f"ds:unknown:{','.join(chosen)}" for chosen in combinations(ACTIONS, 2)]
    assert cost(user, unknown, granted=0) == cost(user, unknown[:1], granted=0)
    elsewhere = [f"{kind}:unknown/x/*:read" for kind in ("res", "obj")] + ["org:unknown:read", "ds:unknown/*"]
    for scope in elsewhere:
        types = [scope, scope.replace(":read", ":update")]
        assert cost(user, types, granted=0) == cost(user, types[:1], granted=0)


def test_each_question_is_asked_once_and_each_time_in_a_fresh_context(monkeypatch):
    asked: list[tuple[str, dict[str, Any], int]] = []
    check = permissions.tk.check_access

    def note(action: str, context: Any, data: Any) -> Any:
        assert set(context) == {"user", "auth_user_obj"}
        asked.append((action, data, id(context)))
        return check(action, context, data)

    editor, organization, (dataset,) = editor_and_datasets(1)
    monkeypatch.setattr(permissions.tk, "check_access", note)
    cost(editor, all_ways_to_ask(dataset, organization))
    assert sorted(action for action, _, _ in asked) == [
        "package_delete",
        "package_patch",
        "package_show",
        "package_update",
    ]
    assert all(data == {"id": dataset["id"]} for _, data, _ in asked)


def test_nothing_is_remembered_beyond_a_request():
    dataset = factories.Dataset(owner_org=factories.Organization()["id"], private=True)
    reader = factories.User()["name"]
    scopes = [f"ds:{dataset['id']}:read"]
    cost(reader, scopes, granted=0)
    helpers.call_action(
        "member_create", id=dataset["owner_org"], object=reader, object_type="user", capacity="member"
    )
    cost(reader, scopes, granted=1)


def test_requests_leave_nothing_behind_in_the_process():
    """Unknown names are looked up without being kept: neither in the registry nor in a cache of ours."""
    authorizer = registry.authorizer()
    before = repr(authorizer.__dict__)
    for number in range(20):
        cost("", [f"ds:unknown-{number}:read,a{number}", f"org:o{number}", f"res:r{number}"], granted=0)
    assert registry.authorizer() is authorizer
    assert repr(authorizer.__dict__) == before
