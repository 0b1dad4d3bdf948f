"""What a verified token opens on one dataset."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ckanext.authz_service.scope import Scope
from ckanext.authz_service.tokens import VerifiedToken
from ckanext.external_storage.lfs.access import Access, by_token

OID = 64 * "a"


def opened(text: str, dataset_id: str | None = "id", user: str | None = "user") -> Access:
    refs = {text: dataset_id} if dataset_id else {}
    scopes = (Scope.from_string(text),)
    return by_token(VerifiedToken(user, user, scopes, refs, "jti", datetime.now(timezone.utc)), "id")


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("obj:o/d/*:read", Access("user", "jti", read_current=True)),
        ("obj:o/d/*:write", Access("user", "jti", write=True)),
        ("obj:o/d/*:read,update", Access("user", "jti", write=True, read_current=True)),
        (f"obj:o/d/{OID}:read", Access("user", "jti", read_oids=frozenset({OID}))),
        (f"obj:o/d/{OID}:write", Access("user", "jti")),
        ("obj:o/d/*:metadata:read", Access("user", "jti")),
        (f"obj:o/d/{OID}:data:read", Access("user", "jti")),
        ("file:o/d/*:read", Access("user", "jti")),
        ("ds:o/d:read", Access("user", "jti")),
    ],
)
def test_what_each_scope_opens(scope: str, expected: Access):
    assert opened(scope) == expected


def test_only_what_is_bound_to_the_dataset_opens_it():
    assert not opened("obj:o/id/*:read,write", None)
    assert not opened("obj:o/d/*:read,write", "another")


def test_anonymous_callers_cannot_write():
    assert opened("obj:o/d/*:read,write", user=None) == Access(None, "jti", read_current=True)
