"""Tokens of a running CKAN, and its key set, in libraries that share nothing with ours."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import urlopen

import pytest
from ckan.tests import factories

from tests.authz_service.jose import decode64, encode64
from tests.interop import elsewhere

pytestmark = pytest.mark.usefixtures("with_plugins")

JOSERFC = """
import json, sys
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

def answer(question):
    keys = KeySet.import_key_set(question["jwks"])
    try:
        token = jwt.decode(question["token"], keys, algorithms=["RS256", "ES256", "EdDSA"])
    except JoseError as error:
        return {"error": error.error}
    return {"header": token.header, "claims": token.claims}

print(json.dumps([answer(question) for question in json.load(sys.stdin)]))
"""

JOSE = """
import { createLocalJWKSet, jwtVerify } from "jose";
import { text } from "node:stream/consumers";

async function answer({ jwks, token }) {
  try {
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(jwks));
    return { header: protectedHeader, claims: payload };
  } catch (error) {
    return { error: error.code };
  }
}

const questions = JSON.parse(await text(process.stdin));
console.log(JSON.stringify(await Promise.all(questions.map(answer))));
"""


def fetched(url: str) -> Any:
    with urlopen(url) as response:
        return json.load(response)


def tampered(token: str) -> str:
    """The same, but for another user."""
    header, claims, signature = token.split(".")
    changed = {**json.loads(decode64(claims)), "sub": "somebody-else"}
    return ".".join([header, encode64(json.dumps(changed).encode()), signature])


@pytest.fixture
def user() -> dict[str, Any]:
    return factories.UserWithToken()


@pytest.fixture
def dataset(user) -> dict[str, Any]:
    return factories.Dataset(user=user)


@pytest.fixture
def questions(
    app, address, keys_by_algorithm, ckan_config, monkeypatch, user, dataset
) -> list[dict[str, Any]]:
    """For each algorithm the key set of a site with such a key, and a token."""
    found = []
    for directory in keys_by_algorithm.values():
        monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", str(directory))
        answer = app.post(
            "/api/3/action/authz_authorize",
            json={"scopes": [f"ds:{dataset['name']}:read", f"ds:{dataset['id']}:update"]},
            headers={"Authorization": user["token"]},
        ).json["result"]
        found.append({"jwks": fetched(f"{address}/authz/jwks.json"), "token": answer["token"]})
    return found


@pytest.mark.parametrize("library", ["joserfc in Python", "jose in Node"])
def test_they_read_what_we_signed_and_nothing_else(
    library, questions, user, dataset, address, python, node, tmp_path
):
    forged = [{**question, "token": tampered(question["token"])} for question in questions]
    foreign = [
        {**question, "jwks": questions[number - 1]["jwks"]} for number, question in enumerate(questions)
    ]
    program = [python, "-c", JOSERFC] if "Python" in library else elsewhere.in_node(JOSE, node, tmp_path)
    answers = elsewhere.answer(program, [*questions, *forged, *foreign])

    read, refused = answers[:3], answers[3:]
    assert [answer["header"]["alg"] for answer in read] == ["RS256", "ES256", "EdDSA"]
    for answer, question in zip(read, questions, strict=True):
        assert answer["header"]["kid"] == question["jwks"]["keys"][0]["kid"]
        claims = answer["claims"]
        assert (claims["iss"], claims["sub"]) == (address, user["id"])
        assert len(claims["scopes"]) == 2
        by_name = [scope for scope in claims["scopes"] if dataset["id"] not in scope]
        assert claims["refs"] == dict.fromkeys(by_name, dataset["id"])
    assert len(refused) == 6
    for answer in refused:
        assert set(answer) == {"error"}, answer
