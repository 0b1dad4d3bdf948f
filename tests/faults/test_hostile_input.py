"""What strangers send is understood exactly as its grammar says, or refused in words; nothing else happens.

The grammars are written here a second time, from their documents.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ckanext.authz_service.errors import MalformedScope
from ckanext.authz_service.scope import MAX_LENGTH, Scope
from ckanext.external_storage import errors
from ckanext.external_storage.download import object_response
from ckanext.external_storage.lfs import batch, capability
from ckanext.external_storage.lfs.batch import MAX_OBJECTS, Pointer
from ckanext.external_storage.lfs.capability import Capability

FUZZ = pytest.mark.proof(examples=(100, 100_000))

#: Header values as WSGI gives them: bytes, each as one character (PEP 3333).
header_values = st.text(st.characters(max_codepoint=255), max_size=60)
pieces = st.sampled_from(["", *":/*,.-=_ ", "..", "::", "//", "\n", "\r", "\0", "\x7f", "A", "a", "0", "é"])


@st.composite
def damaged(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """One of *texts*, with up to three of its characters replaced by something else or by nothing."""
    text = draw(texts)
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(pieces) + text[place + draw(st.integers(0, 1)) :]
    return text


# --- scopes (ckanext/authz_service/scope.py) --------------------------------------------------------------

_NAME = r"[a-z][a-z0-9_-]{0,31}"
_SEGMENT = r"(?!\.\.?(?:[:/]|\Z))[A-Za-z0-9_.-]{1,100}"
_REF = rf"(?:\*|{_SEGMENT}(?:/{_SEGMENT}){{0,3}}(?:/\*?)?)"
_ACTIONS = rf"(?:\*|{_NAME}(?:,{_NAME})*)"
SCOPE = re.compile(rf"{_NAME}(?::{_REF}(?::(?:{_NAME}:|\*:)?{_ACTIONS})?)?\Z", re.ASCII)

names = st.text("abz09_-", min_size=1, max_size=4) | st.sampled_from(["read", "a" * 32, "a" * 33])
segments = st.text("abXY09_.-", min_size=1, max_size=4) | st.sampled_from(["org", "..", "A" * 100, "A" * 101])
refs = st.just("*") | st.builds(
    lambda segments, end: "/".join(segments) + end,
    st.lists(segments, min_size=1, max_size=5),
    st.sampled_from(["", "/", "/*"]),
)
action_lists = st.just("*") | st.lists(names, min_size=1, max_size=3).map(",".join)
scopes = st.builds(
    lambda parts, count: ":".join(parts[:count]),
    st.tuples(names, refs, names | st.just("*"), action_lists),
    st.integers(1, 4),
)


@FUZZ
@given(damaged(scopes) | st.text(max_size=40))
def test_a_scope_is_read_if_and_only_if_the_grammar_has_it(text: str):
    if SCOPE.match(text) and len(text) <= MAX_LENGTH:
        scope = Scope.from_string(text)
        assert Scope.from_string(str(scope)) == scope
    else:
        with pytest.raises(MalformedScope) as refused:
            Scope.from_string(text)
        assert refused.value.scope == text[:MAX_LENGTH]


# --- batch requests (git-lfs docs/api/batch.md) -----------------------------------------------------------

_OID = re.compile(r"[0-9a-f]{64}\Z", re.ASCII)

oids = st.text("0123456789abcdef", min_size=64, max_size=64)
anything = st.text(max_size=5) | st.sampled_from(
    [None, True, False, 0, -1, 1, 1.0, 1e400, 2**63, 2**63 - 1, 10**30, [], [None], ["basic"], {}, {"": []}]
)
lfs_objects = anything | st.builds(
    lambda oid, size: {"oid": oid, "size": size},
    oids | damaged(oids) | anything,
    st.integers(0, 2**64) | anything,
)
requests = st.fixed_dictionaries(
    {
        "operation": st.sampled_from(["upload", "download", "verify"]) | anything,
        "objects": st.lists(lfs_objects, max_size=3) | anything,
    },
    optional={
        "transfers": st.lists(st.sampled_from(["basic", "tus"]), max_size=2) | anything,
        "hash_algo": st.sampled_from(["sha256", "sha512"]) | anything,
        "ref": anything,
    },
)
bodies = damaged((requests | lfs_objects).map(json.dumps)).map(str.encode) | st.binary(max_size=40)


def read_json(body: bytes) -> Any:
    """None for what is no JSON, too."""
    try:
        return json.loads(body)
    except ValueError:
        return None


def well_formed(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    oid, size = item.get("oid"), item.get("size")
    return isinstance(oid, str) and bool(_OID.match(oid)) and type(size) is int and 0 <= size <= 2**63 - 1


def in_order(message: Any) -> bool:
    """Whether a batch request as a whole is one that this server can answer."""
    if not isinstance(message, dict) or not isinstance(message.get("objects"), list):
        return False
    # "transfers" may be left out, and then stands for ["basic"]; so does an empty one.
    transfers = message.get("transfers") or ["basic"]
    known = isinstance(transfers, list) and ("basic" in transfers or "tus" in transfers)
    return (
        message.get("operation") in ("upload", "download")
        and message.get("hash_algo", "sha256") == "sha256"
        and known
        and len(message["objects"]) <= MAX_OBJECTS
    )


@FUZZ
@given(bodies)
def test_a_batch_request_is_understood_object_by_object_or_refused(body: bytes):
    message = read_json(body)
    if not in_order(message):
        with pytest.raises(errors.BadRequest) as refused:
            batch.parse_request(body)
        assert refused.value.status in (400, 409, 413, 422)
        return
    request = batch.parse_request(body)
    assert request.operation == message["operation"]
    for item, sent in zip(request.objects, message["objects"], strict=True):
        if well_formed(sent):
            assert item == Pointer(sent["oid"], sent["size"])
        else:
            assert isinstance(item, dict)
            assert item["error"]["code"] == 422
            json.dumps(item).encode()  # it can be answered


@FUZZ
@given(bodies)
def test_a_verify_request_names_one_object_or_is_refused(body: bytes):
    message = read_json(body)
    if well_formed(message):
        assert batch.parse_pointer(body) == Pointer(message["oid"], message["size"])
    else:
        with pytest.raises(errors.BadRequest) as refused:
            batch.parse_pointer(body)
        assert refused.value.status in (400, 422)


# --- capabilities -----------------------------------------------------------------------------------------

SECRET = b"s" * 48
PERMIT = Capability("PUT", "dataset-id", "a" * 64, 5, "user-id", "jti", expires_at=1000)
HEADER = PERMIT.header(SECRET)["Authorization"]


@FUZZ
@given(
    damaged(st.just(HEADER)) | header_values | header_values.map(lambda text: f"{capability.SCHEME} {text}")
)
def test_a_header_opens_what_was_signed_or_nothing(header: str):
    try:
        found = capability.read(header, SECRET, now=0)
    except errors.NotAuthenticated:
        assert header != HEADER
        return
    assert found == PERMIT


# --- ranges (RFC 9110 §14.1, §14.2) -----------------------------------------------------------------------

_RANGE = re.compile(r"bytes=(?:(\d+)-(\d*)|-(\d+))\Z", re.ASCII)
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z", re.ASCII)

positions = st.integers(0, 30).map(str) | st.just("") | st.integers(0, 10**25).map(str)
range_specs = st.builds("{}-{}".format, positions, positions)
ranges = st.builds(
    "{}={}".format,
    st.sampled_from(["bytes", "bytes", "bytes", "Bytes", "lines", ""]),
    st.lists(range_specs, min_size=1, max_size=2).map(",".join),
)


def expected(header: str, size: int) -> tuple[int, int] | int | None:
    """For one range in strict syntax: what is sent (start, stop), or the status; None for anything else.

    Also None for an empty file, where a server may as well send all of nothing.
    """
    match = _RANGE.match(header)
    if not match or not size:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return (max(size - int(suffix), 0), size) if int(suffix) else 416
    if last and int(last) < int(first):
        return 200  # invalid, so it is ignored
    if int(first) >= size:
        return 416
    return int(first), min(int(last) + 1, size) if last else size


@FUZZ
@given(damaged(ranges) | header_values, st.binary(max_size=20))
def test_a_range_gets_its_bytes_or_all_of_them_or_a_refusal(header: str, data: bytes):
    environ = {**EnvironBuilder().get_environ(), "HTTP_RANGE": header}
    response = object_response(environ, io.BytesIO(data), "a" * 64, len(data))
    chunks, status, headers = run_wsgi_app(response, environ, buffered=True)
    body, code = b"".join(chunks), int(status[:3])
    sent = headers.get("Content-Range")
    if code == 206:
        said = _CONTENT_RANGE.match(sent or "")
        assert said
        first, last, size = map(int, said.groups())
        assert body == data[first : last + 1] != b""
        assert (int(headers["Content-Length"]), size) == (len(body), len(data))
    else:
        assert code in (200, 416)
        assert sent == (f"bytes */{len(data)}" if code == 416 else None)
        assert code == 416 or body == data
    wanted = expected(header, len(data))
    if isinstance(wanted, tuple):
        assert (code, body) == (206, data[slice(*wanted)])
    elif wanted is not None:
        assert code == wanted
