"""Tokens are the same with the oldest and the newest PyJWT: each accepts and refuses what the others do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ckanext.authz_service import keypair, keys, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken
from ckanext.authz_service.scope import Scope
from tests.authz_service.jose import verified

ROOT = Path(__file__).parent.parent.parent
OLDEST = "2.4.0"

PROGRAM = """
import json, sys, jwt
from ckanext.authz_service import keys, keyring, tokens
from ckanext.authz_service.authorizer import AuthorizedScope, Authzzie
from ckanext.authz_service.errors import InvalidToken
from ckanext.authz_service.scope import Scope

directory, theirs = sys.argv[1], json.load(sys.stdin)
assert "ckan" not in sys.modules

def outcome(token, algorithm):
    accepted = keyring.Keyring(keys_dir=directory + "/" + algorithm, algorithm=algorithm).verification_keys()
    try:
        return str(tokens.verify(token, accepted, "i", None, 900).scopes[0])
    except InvalidToken as error:
        return error.reason

def sign(algorithm):
    key = keys.load(directory + "/" + algorithm).using(algorithm)
    scope = AuthorizedScope(Scope("ds", "a", ["read"]), "id")
    anonymous = tokens.mint(key, [scope], issuer="i", audience=None, lifetime=60)
    named = tokens.mint(key, [scope], issuer="i", audience=None, lifetime=60, user=tokens.User("u", "n"))
    return [anonymous.token, named.token]

mine = {algorithm: sign(algorithm) for algorithm in keys.ALGORITHMS}
own = {algorithm: [outcome(token, algorithm) for token in mine[algorithm]] for algorithm in mine}
other = {algorithm: [outcome(token, algorithm) for token in theirs[algorithm]] for algorithm in theirs}
print(json.dumps({"version": jwt.__version__, "mine": mine, "own": own, "other": other}))
"""


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    made = tmp_path_factory.mktemp("keys")
    for algorithm in keys.ALGORITHMS:
        keys.generate(made / algorithm, algorithm)
    return made


def sign(directory: Path, algorithm: str) -> list[str]:
    """A good token, and then the same cut short, altered, of another key, with two wrong algorithms."""
    key = keys.load(directory / algorithm).using(algorithm)
    scope = AuthorizedScope(Scope("ds", "a", ["read"]), "id")

    def mint(key: keys.SigningKey) -> str:
        return tokens.mint(key, [scope], issuer="i", audience=None, lifetime=60).token

    good = mint(key)
    header, payload, signature = good.split(".")
    stranger = keypair.new_private_key(algorithm)
    forged = f"{header}.{payload}.{mint(stranger).split('.')[2]}"
    return [good, good[:-4], f"{header}.{payload[:-2]}AA.{signature}", mint(stranger), forged]


@pytest.mark.parametrize("version", [OLDEST, "newest"])
def test_tokens_with_this_version_of_pyjwt(version: str, directory: Path):
    python = environment(version)
    mine = {algorithm: sign(directory, algorithm) for algorithm in keys.ALGORITHMS}
    ran = subprocess.run(
        [python, "-c", PROGRAM, directory],
        cwd=ROOT,
        input=json.dumps(mine),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    answer = json.loads(ran.stdout)
    assert answer["version"] == OLDEST or version == "newest"
    for algorithm in keys.ALGORITHMS:
        assert answer["own"][algorithm] == ["ds:a:read"] * 2
        good, *bad = answer["other"][algorithm]
        assert good == "ds:a:read"
        assert bad == [outcome(token, directory, algorithm) for token in mine[algorithm][1:]]
        accepted = [key.using(algorithm) for key in keys.verification_keys(directory / algorithm).values()]
        for token in answer["mine"][algorithm]:
            assert outcome(token, directory, algorithm) == "accepted"
            _, claims = verified(token, keys.jwks(accepted))
            assert claims["scopes"] == "ds:a:read"


def outcome(token: str, directory: Path, algorithm: str) -> str:
    """Why the PyJWT of this process refuses the token, if it does."""
    accepted = keys.verification_keys(directory / algorithm)
    try:
        tokens.verify(token, {kid: key.using(algorithm) for kid, key in accepted.items()}, "i", None, 900)
    except InvalidToken as error:
        return error.reason
    return "accepted"


def environment(version: str) -> Path:
    """A Python with this PyJWT, kept for the next run; which one is the newest is asked each time."""
    home = ROOT / ".run" / "pyjwt" / f"{version}-python{sys.version_info[0]}.{sys.version_info[1]}"
    python = home / "bin" / "python"
    if not python.exists():
        uv("venv", "--quiet", "--clear", "--python", sys.executable, home)
    wanted = ["--upgrade", "pyjwt"] if version == "newest" else [f"pyjwt=={version}"]
    uv("pip", "install", "--quiet", "--python", python, *wanted, "cryptography")
    return python


def uv(*command: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "uv", *command], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
