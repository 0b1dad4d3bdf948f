"""The whole LFS server, asked by whoever has a token: no body of a request makes it fail."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.faults.test_hostile_input import bodies, lfs_objects, requests
from tests.portal import LFS_JSON, editor_and_dataset, standing

FUZZ = pytest.mark.proof(examples=(30, 10_000))

#: Most of them reach the database.
sound = st.builds(
    lambda operation, objects, transfers: {
        "operation": operation,
        "objects": objects,
        "transfers": transfers,
    },
    st.sampled_from(["upload", "download"]),
    st.lists(lfs_objects, max_size=5),
    st.sampled_from([["basic"], ["tus", "basic"], ["tus"], []]),
)


@pytest.fixture(scope="module")
def ask() -> Iterator[Callable[[bytes], Any]]:
    """The answer to a batch request with this body, by somebody who may do everything with a dataset."""
    with standing() as portal:
        editor, dataset = editor_and_dataset()
        url = f"/lfs/{dataset['organization']['name']}/{dataset['name']}.git/info/lfs/objects/batch"
        tokens = (portal.write_token(editor, dataset) for _ in itertools.count())
        # Each is good for a while only.
        token = itertools.chain.from_iterable(itertools.repeat(token, 500) for token in tokens)

        def post(body: bytes) -> Any:
            headers = {"Authorization": f"Bearer {next(token)}", "Content-Type": LFS_JSON}
            return portal.client.post(url, data=body, headers=headers)

        yield post


@FUZZ
@given(body=bodies | (sound | requests).map(json.dumps).map(str.encode))
def test_no_batch_request_makes_the_server_fail(ask, body: bytes):
    answer = ask(body)
    assert answer.status_code in (200, 400, 409, 411, 413, 422)
    message = json.loads(answer.data)
    if answer.status_code != 200:
        assert message["message"]
        return
    # By the published schema of an answer (git-lfs tq/schemas).
    assert message["transfer"] in ("basic", "tus")
    assert message["hash_algo"] == "sha256"
    for item in message["objects"]:
        assert isinstance(item["oid"], str)
        assert isinstance(item["size"], int)
        assert item["size"] >= 0
        assert item.keys() <= {"oid", "size", "authenticated", "actions", "error"}
        assert not {"actions", "error"} <= item.keys()
        if "error" in item:
            assert isinstance(item["error"]["code"], int)
            assert item["error"]["message"]
        for name, action in item.get("actions", {}).items():
            assert name in ("upload", "verify", "download")
            assert action.keys() == {"href", "header", "expires_in", "expires_at"}
            assert action["href"].startswith("http")
            assert all(isinstance(value, str) for value in action["header"].values())
            assert 0 < action["expires_in"] <= 2**31 - 1
