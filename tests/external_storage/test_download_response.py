"""HTTP answers with stored bytes: RFC 9110 ranges and validators, RFC 6266 names."""

from __future__ import annotations

import io
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ckanext.external_storage.download import content_disposition, media_type, object_response

DATA = b"0123456789"
OID = "a" * 64


def get(method="GET", **headers):
    environ = EnvironBuilder(method=method, headers=[(k.replace("_", "-"), v) for k, v in headers.items()])
    environ = environ.get_environ()
    response = object_response(environ, io.BytesIO(DATA), OID, len(DATA), "data.csv")
    body, status, answer = run_wsgi_app(response, environ, buffered=True)
    return int(status[:3]), b"".join(body), answer


@pytest.mark.parametrize(
    ("header", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-2", 206, b"89", "bytes 8-9/10"),
        ("bytes=5-500", 206, b"56789", "bytes 5-9/10"),
        ("bytes=10-", 416, None, "bytes */10"),
        ("bytes=0-1,4-5", 200, DATA, None),
        ("bytes=3-1", 200, DATA, None),
        ("lines=1-2", 200, DATA, None),
        ("nonsense", 200, DATA, None),
    ],
)
def test_ranges(header, status, body, content_range):
    got = get(Range=header)
    assert got[0] == status
    if body is not None:
        assert got[1] == body
        assert got[2]["Content-Length"] == str(len(body))
    assert got[2].get("Content-Range") == content_range


def test_a_range_of_another_version_gives_the_whole_file():
    assert get(Range="bytes=3-", If_Range=f'"{OID}"')[:2] == (206, b"3456789")
    assert get(Range="bytes=3-", If_Range='"other"')[:2] == (200, DATA)


def test_unchanged_content_is_not_sent_again():
    status, body, headers = get(If_None_Match=f'"{OID}"')
    assert (status, body) == (304, b"")
    assert headers["ETag"] == f'"{OID}"'


def test_head_has_the_headers_and_no_body():
    status, body, headers = get("HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "10")
    assert headers["Accept-Ranges"] == "bytes"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.js", "text/plain"),
        ("a.MJS", "text/plain"),
        ("a.css", "text/css"),
        (None, "application/octet-stream"),
    ],
)
def test_no_page_can_have_it_as_its_script(name: str | None, expected: str):
    assert media_type(name) == expected


def test_hostile_content_is_kept_harmless():
    headers = get()[2]
    assert headers["Content-Disposition"].startswith("attachment")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert "private" in headers["Cache-Control"]


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("data.csv", 'attachment; filename="data.csv"'),
        ("a b.csv", 'attachment; filename="a b.csv"'),
        ("été.csv", "attachment; filename=\"ete.csv\"; filename*=UTF-8''%C3%A9t%C3%A9.csv"),
        ("数据.csv", "attachment; filename=\".csv\"; filename*=UTF-8''%E6%95%B0%E6%8D%AE.csv"),
        ('q"uote%.csv', "attachment; filename=\"q_uote_.csv\"; filename*=UTF-8''q%22uote%25.csv"),
        ("../../etc/passwd", 'attachment; filename="etcpasswd"'),
        ("a\r\nSet-Cookie: x", 'attachment; filename="aSet-Cookie: x"'),
        ("", "attachment"),
        (None, "attachment"),
    ],
)
def test_names(name, header):
    assert content_disposition(name) == header


@given(st.text())
def test_any_name_is_one_safe_header(name):
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)
    if extended := re.search(r"filename\*=UTF-8''(.*)$", header):
        shown = unquote(extended[1])
        assert not set(shown) & set("/\\\r\n\0")
