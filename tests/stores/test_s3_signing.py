"""Our signatures are those of botocore, whatever is signed: both sign the same requests, and are compared."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from urllib.parse import quote, urlencode

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from freezegun import freeze_time
from hypothesis import given
from hypothesis import strategies as st

from ckanext.external_storage.storage.s3_signing import Signer

NOW = datetime(2026, 11, 21, 23, 59, 58, 999_999, tzinfo=timezone.utc)
BASES = [
    "https://bucket.s3.eu-central-1.amazonaws.com/",
    "https://s3.example.org/bucket/",
    "http://s3.example.org:80/bucket/",
    "https://S3.Example.org:443/a%20b/",
    "http://127.0.0.1:9000/bucket/",
    "http://[::1]:9000/bucket/",
]

texts = st.text(st.characters(codec="utf-8"))
#: Dots, slashes, blanks, percent signs, controls, any script.
keys = st.text(st.characters(codec="utf-8"), min_size=1) | st.text("./%+ ~?#&=\t\n\\é", min_size=1)
header_names = st.sampled_from(["Content-Type", "Content-Length", "If-None-Match", "x-amz-checksum-sha256"])
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126) | st.just(" "), min_size=1)
query_names = st.sampled_from(
    ["partNumber", "uploadId", "response-content-type", "a", "Z", "X-Amz-Zero", "x y"]
)


def of_botocore(credentials, region, base, method, key, lifetime, headers, query) -> str:
    url = base + quote(key)
    if query:
        url += "?" + urlencode(query, quote_via=quote)
    request = AWSRequest(method, url, headers=dict(headers))
    seconds = int(lifetime.total_seconds())
    S3SigV4QueryAuth(credentials.get_frozen_credentials(), "s3", region, expires=seconds).add_auth(request)
    assert request.url
    return request.url


@given(
    base=st.sampled_from(BASES),
    region=st.sampled_from(["us-east-1", "eu-central-1"]),
    method=st.sampled_from(["GET", "PUT"]),
    key=keys,
    seconds=st.integers(1, 604_800),
    headers=st.dictionaries(header_names, header_values),
    query=st.dictionaries(query_names, texts),
    access_key=st.text("ABC/+ =", min_size=1),
    secret=texts,
    token=st.none() | texts,
)
def test_the_same_as_botocore(base, region, method, key, seconds, headers, query, access_key, secret, token):
    credentials, lifetime = (
        Credentials(access_key, secret, token),
        timedelta(seconds=seconds, milliseconds=999),
    )
    with freeze_time(NOW):
        signed = Signer(credentials, region, base).sign(method, key, lifetime, headers, query)
        theirs = of_botocore(credentials, region, base, method, key, lifetime, headers, query)
    assert signed.href == theirs
    assert signed.expires_at == NOW.replace(microsecond=0) + timedelta(seconds=seconds)
    assert signed.header == {name: value for name, value in headers.items() if name != "Content-Length"}


def test_a_new_day_and_new_credentials_are_new_keys():
    def signed(secret: str, now: datetime) -> bool:
        credentials = Credentials("AK", secret)
        with freeze_time(now):
            asked = ("us-east-1", BASES[0], "GET", "k", timedelta(minutes=1), {}, {})
            ours = Signer(credentials, *asked[:2]).sign(*asked[2:])
            return ours.href == of_botocore(credentials, *asked)

    days = [NOW, NOW + timedelta(seconds=2), NOW]
    assert all(signed(secret, day) for day in days for secret in ("one", "two", "one"))


@pytest.mark.parametrize("left", [timedelta(minutes=5), timedelta(hours=1)])
def test_no_longer_than_the_credentials_that_sign(left: timedelta):
    class Temporary(Credentials):
        def refresh_needed(self, refresh_in: int) -> bool:
            return left < timedelta(seconds=refresh_in)

    with freeze_time(NOW):
        signer = Signer(Temporary("AK", "secret", "token"), "us-east-1", BASES[0])
        ends = signer.sign("GET", "k", timedelta(minutes=15)).expires_at
    promised = timedelta(minutes=10) if left < timedelta(minutes=15) else timedelta(minutes=15)
    assert ends == NOW.replace(microsecond=0) + promised
