"""What is wrong with the set-up, and what to do about it: for ``ckan authz check``.

A check is a function without arguments that yields a text for each problem: what is wrong, what follows from
it, what to do. A new check is such a function and its line in `CHECKS`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa
from ckan.lib.redis import connect_to_redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from ckanext.authz_service import config, giftless_profile, keys, ledger, rotation, tokens
from ckanext.authz_service.errors import KeysError, LedgerMissing

MAX_SKEW = tokens.LEEWAY / 2
"""Seconds by which two clocks may differ: two servers that are each that far off still trust each other."""

_LATE = 24 * 60 * 60


def signing() -> Iterator[str]:
    """There is a key that signs, it can be read, and verifiers are given its public half."""
    try:
        keyring = config.keyring()
        key = keyring.signing_key()
        keyring.verification_keys()
    except KeysError as error:
        yield str(error)
        return
    wanted = keyring.algorithm
    if wanted and key.algorithm != wanted:
        yield (
            f"Tokens are signed with {key.algorithm}, and ckanext.authz_service.jwt_algorithm says {wanted}. "
            "Run ckan authz keys rotate, which brings a key for it, or change the option."
        )


def rotating() -> Iterator[str]:
    """A rotation that was begun is also completed."""
    try:
        keyring = config.keyring()
        if keyring.read_only or keyring.keys_dir is None:
            return
        position = rotation.position(keyring.keys_dir, max_lifetime=config.max_lifetime() + tokens.LEEWAY)
    except KeysError:
        return  # `signing` says it
    late = time.time() - position.due
    if position.stage != "resting" and late > _LATE:
        yield (
            f"A rotation of the keys is unfinished; its next step was due {late / _LATE:.0f} days ago. "
            "Run: ckan authz keys rotate"
        )


def files() -> Iterator[str]:
    """Keys can be read and replaced by nobody but CKAN."""
    seen = set()
    for path, private in config.key_files():
        try:
            found = keys.exposed(path, private=private)
            if private:
                found += _unreadable(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            found = [f"{path}: {error.strerror}. Run this command as the user CKAN runs as."]
        yield from (text for text in found if text not in seen)  # several keys are in one directory
        seen.update(found)


def giftless() -> Iterator[str]:
    """Where tokens for a giftless are wanted, there is the key that signs them."""
    if config.giftless_profile():
        try:
            giftless_profile.signing_key()
        except KeysError as error:
            yield str(error)


def tables() -> Iterator[str]:
    """Tokens can be written down."""
    try:
        with config.engine().connect() as connection:
            if not ledger.tables_present(connection):
                yield str(LedgerMissing())
    except SQLAlchemyError:
        return  # `clock` says it


def issuer() -> Iterator[str]:
    """Whoever looks for the keys of the issuer that a token names finds them at this site."""
    named, site = config.issuer(), config.site_url()
    if named == site:
        return
    ours, theirs = urlsplit(named), urlsplit(site)
    if ours.scheme not in ("http", "https"):
        return  # a name that was chosen, not an address: nobody looks for keys there
    remedy = "Remove ckanext.authz_service.jwt_issuer, or set ckan.site_url to the address that people use."
    if named.rstrip("/").lower() == site.rstrip("/").lower():
        yield (
            f"Tokens name the issuer {named}, which differs from ckan.site_url ({site}) in its spelling only"
            f", and verifiers compare it letter by letter. {remedy}"
        )
    elif (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
        yield (
            f"Tokens name the issuer {named}, and this site is {site}: verifiers that look for the keys at "
            f"the issuer's address do not find them, or find another site's. {remedy}"
        )


def clock() -> Iterator[str]:
    """The clock of this machine agrees with those of PostgreSQL and Redis."""
    clocks: list[tuple[str, Callable[[], float], type[Exception]]] = [
        ("PostgreSQL", _database_time, SQLAlchemyError),
        ("Redis", _redis_time, RedisError),
    ]
    for name, ask, failure in clocks:
        before = time.time()
        try:
            theirs = ask()
        except failure as error:
            yield f"The clock of {name} cannot be read ({type(error).__name__}). Check that it is running."
            continue
        # The answer is from some moment in between: only what no moment explains is a difference.
        ahead, behind = before - theirs, theirs - time.time()
        if max(ahead, behind) > MAX_SKEW:
            order = "ahead of" if ahead > behind else "behind"
            yield (
                f"The clock here is {max(ahead, behind):.0f} seconds {order} that of {name}: other servers "
                "refuse tokens as not yet valid, or accept them for too long. "
                "Let both machines synchronise their clocks (timedatectl set-ntp true)."
            )


CHECKS: dict[str, Callable[[], Iterator[str]]] = {
    "keys": signing,
    "rotation of keys": rotating,
    "key for giftless": giftless,
    "permissions of files": files,
    "list of issued tokens": tables,
    "issuer": issuer,
    "clocks": clock,
}
"""What is looked at, in this order, by the name that is printed."""


def _unreadable(path: Path) -> Iterator[str]:
    status, around = os.stat(path), os.stat(path.parent)
    if status.st_uid != around.st_uid and not status.st_mode & 0o040:
        yield (
            f"{path} can be read by the user number {status.st_uid} only, and its directory belongs to "
            f"{around.st_uid}: one of the two is probably not CKAN. "
            f"Run: chown --reference={path.parent} {path}"
        )


def _database_time() -> float:
    query = sa.text("SELECT extract(epoch FROM clock_timestamp())")
    with config.engine().connect() as connection:
        return float(connection.execute(query).scalar_one())


def _redis_time() -> float:
    seconds, microseconds = connect_to_redis().time()
    return seconds + microseconds / 1e6
