from __future__ import annotations

import json

import pytest

from ckanext.external_storage import errors
from ckanext.external_storage.lfs.batch import (
    MAX_OBJECTS,
    Pointer,
    choose_transfer,
    parse_pointer,
    parse_request,
)

OID = "a" * 64


def body(**changes) -> bytes:
    return json.dumps({"operation": "upload", "objects": [{"oid": OID, "size": 3}], **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ref": None},
        {"ref": {}},
        {"ref": {"name": "refs/heads/main"}},
        {"transfers": ["tus", "basic", "ssh"]},
        {"transfers": ["multipart-basic", "basic"]},
        {"transfers": [None, 1, "basic"]},
        {"transfers": []},
        {"hash_algo": "sha256"},
        {"something_new": [1]},
    ],
    ids=str,
)
def test_accepts_what_git_lfs_clients_send(changes):
    assert parse_request(body(**changes)).objects == (Pointer(OID, 3),)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b"[]", 422),
        (body(operation="delete"), 422),
        (body(operation=None), 422),
        (body(hash_algo="sha512"), 409),
        (body(transfers=["multipart-basic"]), 422),
        (body(transfers="basic"), 422),
        (body(objects=None), 422),
        (body(objects={}), 422),
        (body(objects=[{"oid": OID, "size": 1}] * (MAX_OBJECTS + 1)), 413),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_refuses_the_whole_request(text, status):
    with pytest.raises(errors.BadRequest) as error:
        parse_request(text)
    assert error.value.status == status


@pytest.mark.parametrize(
    "item",
    [
        None,
        "text",
        {},
        {"oid": OID},
        {"oid": OID.upper(), "size": 1},
        {"oid": OID[1:], "size": 1},
        {"oid": OID + "\n", "size": 1},
        {"oid": "../../etc/passwd", "size": 1},
        {"oid": OID, "size": -1},
        {"oid": OID, "size": 1.5},
        {"oid": OID, "size": "1"},
        {"oid": OID, "size": True},
        {"oid": OID, "size": 2**63},
    ],
    ids=str,
)
def test_one_bad_object_does_not_spoil_the_others(item):
    request = parse_request(body(objects=[item, {"oid": OID, "size": 0}]))
    wrong, right = request.objects
    assert isinstance(wrong, dict)
    assert wrong["error"]["code"] == 422
    assert right == Pointer(OID, 0)


def test_verify_names_one_object():
    assert parse_pointer(json.dumps({"oid": OID, "size": 9}).encode()) == Pointer(OID, 9)
    with pytest.raises(errors.BadRequest):
        parse_pointer(b'{"oid": "x"}')


BOTH = ["basic", "tus", "ssh"]


@pytest.mark.parametrize(
    ("changes", "appending", "transfer"),
    [
        ({"transfers": BOTH}, True, "tus"),
        ({"transfers": BOTH}, False, "basic"),
        ({"transfers": ["basic"]}, True, "basic"),
        ({}, True, "basic"),
        ({"transfers": BOTH, "operation": "download"}, True, "basic"),
        ({"transfers": BOTH, "objects": [{"oid": OID, "size": 3}, {"oid": OID, "size": 0}]}, True, "basic"),
    ],
    ids=str,
)
def test_one_transfer_for_all_objects(changes, appending, transfer):
    assert choose_transfer(parse_request(body(**changes)), appending) == transfer


@pytest.mark.parametrize("changes", [{}, {"operation": "download"}, {"objects": [{"oid": OID, "size": 0}]}])
def test_a_client_that_knows_tus_only(changes):
    with pytest.raises(errors.BadRequest) as error:
        choose_transfer(parse_request(body(transfers=["tus"], **changes)), appending=bool(changes))
    assert error.value.status == 422
