"""HTTP answers with stored bytes: RFC 9110 ranges and validators, RFC 6266 names."""

from __future__ import annotations

import io
import re
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder, run_wsgi_app

from ckanext.external_storage.download import (
    content_disposition,
    media_type,
    object_response,
    presentation,
    redirect_response,
)

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
        ("invoice\u202efdp.exe", 'attachment; filename="invoicefdp.exe"'),
        (
            "a\u2100b\uff02.csv",
            "attachment; filename=\"aa_cb_.csv\"; filename*=UTF-8''a%E2%84%80b%EF%BC%82.csv",
        ),
        ("x" * 300 + ".csv", f'attachment; filename="{"x" * 196}.csv"'),
        ("", "attachment"),
        (None, "attachment"),
    ],
)
def test_names(name, header):
    assert content_disposition(name) == header


#: Characters that have done harm in headers and in what browsers show.
HOSTILE = st.text(
    st.sampled_from("\u202a\u202e\u2066\u2069\u200f\u061c\u2100\uff0f\uff02\r\n\t\0\"'%;\\/.a\u00e9\ud800")
)


@given(st.text() | HOSTILE)
def test_any_name_is_one_safe_header(name):
    header = content_disposition(name)
    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') in (0, 2)
    quoted = re.search(r'filename="([^"]*)"', header)
    extended = re.search(r"filename\*=UTF-8''(.*)$", header)
    for shown in (quoted[1] if quoted else "", unquote(extended[1]) if extended else ""):
        assert shown.isprintable()  # no line ends, and nothing that turns the order of characters round
        assert not set(shown) & set("/\\")
        assert len(shown) <= 4000


@given(
    st.text() | HOSTILE,
    st.sampled_from(["html", "svg", "xhtml", "xml", "js", "css", "pdf", "csv", "gz", "png"]),
)
def test_nothing_that_browsers_run_is_inline(name, ending):
    everything = {
        f"{kind}/{sub}"
        for kind in ("text", "image", "application")
        for sub in ("html", "svg+xml", "xhtml+xml", "xml", "javascript", "css", "pdf", "csv", "png", "plain")
    }
    shown = presentation(f"{name}.{ending}", everything)
    is_inline = shown.disposition.startswith("inline")
    assert is_inline == (
        shown.content_type.split(";")[0] in ("application/pdf", "text/plain", "image/png")
        and ending in ("pdf", "csv", "png", "js")
    )
    assert "script" not in shown.content_type
    assert ("sandbox" in shown.policy) or shown.content_type == "application/pdf"


def test_compressed_is_not_what_it_will_be():
    assert media_type("data.csv.gz") == "application/gzip"
    assert media_type("data.csv.bz2") == "application/octet-stream"


def test_a_signed_address_is_for_this_once():
    href = "https://bucket.example/a%2Fb?X-Amz-Signature=1%2B2"
    response = redirect_response(href)
    _body, status, headers = run_wsgi_app(response, EnvironBuilder().get_environ(), buffered=True)
    assert (status[:3], headers["Location"]) == ("302", href)
    assert headers["Cache-Control"] == "private, no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert response.get_data() == b""
