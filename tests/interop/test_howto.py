"""The snippets of docs/howto_trust_tokens.rst run in a service of their own, on tokens of a running CKAN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ckan.tests import factories

from ckanext.authz_service import config, keys, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.scope import Scope
from tests.interop import documents, elsewhere
from tests.portal import Portal

AUDIENCE = "https://rows.example.org"
pytestmark = [
    pytest.mark.usefixtures("with_plugins"),
    pytest.mark.ckan_config("ckanext.authz_service.jwt_audience", AUDIENCE),
]

#: What the service of the page makes of questions: the user's id, or why it refused.
PYTHON = """
import json, sys
from trust import Refused, check

def answer(question):
    try:
        return {"user": check(*question)}
    except Refused as refused:
        return {"refused": str(refused)}

print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
"""
NODE = """
import { check } from "./trust.mjs";
import { text } from "node:stream/consumers";

async function answer(question) {
  try {
    return { user: await check(...question) };
  } catch (refused) {
    return { refused: refused.message };
  }
}

const questions = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(questions.map(answer))));
"""

Question = tuple[str, str, str]
Service = Callable[[list[Question]], list[dict[str, Any]]]


@dataclass
class People:
    portal: Portal
    editor: dict[str, Any]
    dataset: dict[str, Any]
    other: dict[str, Any]


@pytest.fixture
def people(app, address) -> People:
    editor = factories.UserWithToken()
    organization = factories.Organization(users=[{"name": editor["name"], "capacity": "editor"}])
    dataset, other = (factories.Dataset(owner_org=organization["id"]) for _ in range(2))
    return People(Portal(app), editor, dataset, other)


@pytest.fixture(params=["Python", "Node"])
def service(request, address, python: Path, node: Path, tmp_path: Path) -> Service:
    """Takes (token, action, dataset id) and answers as the snippet does."""
    name = {"Python": "trust.py", "Node": "trust.mjs"}[request.param]
    snippet = documents.filled_in(
        documents.example("howto_trust_tokens", name), {"https://data.example.org": address}
    )
    (tmp_path / name).write_text(snippet)
    if request.param == "Python":
        (tmp_path / "program.py").write_text(PYTHON)
        command: list[Any] = [python, "program.py"]
    else:
        command = elsewhere.in_node(NODE, node, tmp_path)
    return lambda questions: elsewhere.answer(command, questions, cwd=tmp_path)


def test_who_is_let_in(service: Service, people: People):
    portal, editor, dataset = people.portal, people.editor, people.dataset
    by_name, by_id = (f"ds:{dataset[key]}" for key in ("name", "id"))
    several = portal.token(editor, f"ds:{people.other['name']}:read", f"{by_id}:update,patch")
    anonymous = portal.token(None, f"{by_name}:read")
    assert service(
        [
            (portal.token(editor, f"{by_name}:read"), "read", dataset["id"]),
            (portal.token(editor, f"{by_name}:read,update"), "update", dataset["id"]),
            (portal.token(editor, by_name), "delete", dataset["id"]),
            (several, "patch", dataset["id"]),
            (several, "read", people.other["id"]),
            (anonymous, "read", dataset["id"]),
        ]
    ) == [{"user": editor["id"]}] * 5 + [{"user": None}]


def test_who_is_not(service: Service, people: People, ckan_config, monkeypatch, tmp_path):
    portal, editor, dataset, other = people.portal, people.editor, people.dataset, people.other
    scope = f"ds:{dataset['name']}:read"
    allowed = portal.token(editor, scope)
    data = portal.token(editor, f"ds:{dataset['name']}:data:read")
    ours = AuthorizedScope(Scope.from_string(scope), dataset["id"])
    granted_to_all = AuthorizedScope(Scope.from_string("ds:*:read"))

    def minted(key=None, scope=ours, audience: str | None = AUDIENCE, **more: Any) -> str:
        more = {"issuer": config.issuer(), "lifetime": 60, **more}
        return tokens.mint(key or config.signing_key(), [scope], audience=audience, **more).token

    assert service([(minted(), "read", dataset["id"])]) == [{"user": None}], (
        "what follows differs in one thing"
    )
    long_ago = datetime.now(timezone.utc) - timedelta(minutes=5)
    stranger = keys.generate(tmp_path / "stranger", "ES256")
    with monkeypatch.context() as patch:
        patch.setitem(ckan_config, "ckanext.authz_service.jwt_audience", "https://maps.example.org")
        for_another_service = portal.token(editor, scope)
    cases = {
        "another action": (allowed, "update", dataset["id"]),
        "part of the name of an action": (allowed, "rea", dataset["id"]),
        "another dataset": (allowed, "read", other["id"]),
        "a dataset by its name": (allowed, "read", dataset["name"]),
        "a part of the dataset only": (data, "read", dataset["id"]),
        "no single dataset": (minted(scope=granted_to_all), "read", dataset["id"]),
        "for another service": (for_another_service, "read", dataset["id"]),
        "for the site's own LFS server": (minted(audience=config.lfs_audience()), "read", dataset["id"]),
        "for nobody": (minted(audience=None), "read", dataset["id"]),
        "from another site": (minted(issuer="https://other.example.org"), "read", dataset["id"]),
        "with another key": (minted(stranger), "read", dataset["id"]),
        "expired": (minted(now=long_ago), "read", dataset["id"]),
        "from the future": (minted(now=long_ago + timedelta(minutes=10)), "read", dataset["id"]),
        "too long a life": (minted(lifetime=86_400), "read", dataset["id"]),
        "changed": (allowed[:-8] + "AAAAAAAA", "read", dataset["id"]),
        "an API token": (editor["token"], "read", dataset["id"]),
        "too large": (allowed + "A" * 9000, "read", dataset["id"]),
        "nothing": ("", "read", dataset["id"]),
    }
    answers = service(list(cases.values()))
    assert [name for name, answer in zip(cases, answers, strict=True) if "refused" not in answer] == []


def test_a_name_that_was_taken_over_opens_nothing(service: Service, people: People):
    portal, editor, dataset, other = people.portal, people.editor, people.dataset, people.other
    token = portal.token(editor, f"ds:{dataset['name']}:read")
    portal.action("package_patch", editor, id=dataset["id"], name=f"{dataset['name']}-moved")
    portal.action("package_patch", editor, id=other["id"], name=dataset["name"])
    ours, theirs = service([(token, "read", dataset["id"]), (token, "read", other["id"])])
    assert ours == {"user": editor["id"]}
    assert set(theirs) == {"refused"}
