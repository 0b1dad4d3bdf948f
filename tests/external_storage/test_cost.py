"""What requests to the LFS server cost in SQL statements: no more for a hundred files than for one."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from ckan import model
from sqlalchemy import event

from tests.portal import Portal, editor_and_dataset, oid_of, pointer
from tests.portal import standing as standing_portal
from tests.statements import statements
from tests.upload_client import Client


@pytest.fixture(scope="module")
def portal() -> Iterator[Portal]:
    with standing_portal() as portal:
        batch_costs(portal, 1)  # whether a table is there is asked once in a process
        yield portal


@pytest.fixture
def client(portal) -> Client:
    return Client(portal, *editor_and_dataset())


def contents(number: int) -> list[bytes]:
    """That no other test has."""
    return [uuid.uuid4().bytes for _ in range(number)]


def cost(act: Callable[[], Any]) -> tuple[int, int]:
    """Statements, and connections that were taken for them."""
    taken = 0

    def take(*given: Any) -> None:
        nonlocal taken
        taken += 1

    engine: Any = model.meta.engine
    event.listen(engine, "checkout", take)
    try:
        with statements() as sent:
            act()
    finally:
        event.remove(engine, "checkout", take)
    return len(sent), taken


def batch_costs(portal: Portal, number: int) -> dict[str, tuple[int, int]]:
    editor, dataset = editor_and_dataset()
    token, bodies = portal.write_token(editor, dataset), contents(number)
    asked = [pointer(body) for body in bodies]

    def batch(operation: str) -> Any:
        return portal.batch(dataset, token, operation, *asked)

    first = cost(lambda: batch("upload"))
    again = cost(lambda: batch("upload"))
    return {"upload": first, "upload again": again, "download": cost(lambda: batch("download"))}


@pytest.mark.parametrize("number", [1, 100])
def test_a_batch(portal, number):
    assert batch_costs(portal, number) == {
        # The token; the dataset; what need not be sent; not to wait for the disk; which uploads are open; the
        # new ones; the quota; the user's number of uploads, and a lock before that.
        "upload": (9, 1),
        "upload again": (10, 1),  # and whether those that are open may go on
        "download": (3, 1),
    }


@pytest.mark.usefixtures("files_on_s3")
@pytest.mark.parametrize("number", [1, 100])
def test_a_batch_of_signed_requests(portal, number):
    assert batch_costs(portal, number) == {"upload": (8, 1), "upload again": (9, 1), "download": (3, 1)}


def test_a_file_by_git_lfs(portal):
    editor, dataset = editor_and_dataset()
    (data,) = contents(1)
    (answer,) = portal.batch(dataset, portal.write_token(editor, dataset), "upload", pointer(data))
    actions = answer["actions"]
    assert {
        "PUT": cost(lambda: portal.put(actions["upload"], data)),
        "verify": cost(lambda: portal.verify(actions["verify"], data)),
    } == {"PUT": (10, 2), "verify": (3, 1)}


def test_a_file_by_a_browser(client):
    data = b"".join(contents(100))
    upload = client.begin(len(data), fingerprint="a")
    half = len(data) // 2
    assert {
        "begin": cost(lambda: client.begin(len(data), fingerprint="b")),
        "begin again": cost(lambda: client.begin(len(data), 200, fingerprint="b")),
        "first piece": cost(lambda: client.patch(upload, 0, data[:half])),
        "HEAD": cost(lambda: client.tus("HEAD", upload, 200)),
        "show": cost(lambda: client.show(upload)),
        "last piece": cost(lambda: client.patch(upload, half, data[half:])),
        "complete": cost(lambda: client.complete(upload, oid=oid_of(data))),
    } == {
        "begin": (11, 1),
        "begin again": (6, 1),
        "first piece": (4, 2),  # no connection is held while bytes come
        "HEAD": (3, 1),
        "show": (3, 1),
        "last piece": (12, 3),
        "complete": (3, 1),
    }
