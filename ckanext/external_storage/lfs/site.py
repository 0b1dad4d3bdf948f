"""What a CKAN can tell the server, where it runs inside of one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Account:
    """Whose API token it is. ``jti``: the token's id; revoking it ends what it opened."""

    user_id: str
    jti: str


@dataclass(frozen=True)
class Judgement:
    """What CKAN's auth functions let somebody do with a dataset now.

    ``readable``: those of the files asked about.
    """

    read: bool
    write: bool
    readable: frozenset[str]


class Site(Protocol):
    """Answers by CKAN's own rules, each time anew."""

    def anonymous_download(self) -> bool:
        """May callers without an account download public files?"""
        ...

    def account(self, token: str) -> Account | None:
        """The active user that CKAN issued an API token to; None if it is none."""
        ...

    def judge(self, account: Account | None, package_id: str, oids: Collection[str]) -> Judgement | None:
        """``account``: None for an anonymous caller. ``oids``: sha256 of files that are asked about.

        None if the account's token was revoked, or the account is not active.
        """
        ...

    def locked_out(self, address: str | None) -> int:
        """Seconds for which an address that sent too many wrong passwords is not listened to; else 0."""
        ...

    def note_failure(self, address: str | None) -> None:
        """A password from this address was wrong."""
        ...
