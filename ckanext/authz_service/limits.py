"""How many tokens a user, or an address without a user, may ask for in a minute, and how many wrong passwords
an address may send. Counted in CKAN's Redis.

Without Redis nothing is counted and tokens are issued: each is still checked with CKAN and short-lived, and a
portal whose downloads stop because a cache is down would be the greater harm. The log says so, and requests
do not wait for it.
"""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ckanext.authz_service import audit, config
from ckanext.authz_service.errors import RateLimited

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds. A window begins with the first request in it."""

FAILURES = 30
"""Wrong passwords that an address may send in a window."""

_TIMEOUT = 0.25
_PAUSE = 30.0
_silent_until = 0.0


def count(user_id: str | None) -> None:
    """Count one request for a token by this user or, without one, by the address that sent it.

    What comes from neither, a job or a command of the site itself, is not counted.

    Raises RateLimited when there were as many as the site allows already.
    """
    address = audit.client_address()
    if user_id is not None:
        limit, subject = config.rate_limit_user(), f"user:{user_id}"
    elif address is not None:
        limit, subject = config.rate_limit_anonymous(), f"address:{_network(address)}"
    else:
        return
    if limit == 0:
        return
    used, seconds_left = _counted(f"{config.redis_prefix()}requests:{subject}")
    if used > limit:
        audit.record("limited", user_id, limit=limit, window=WINDOW, retry_after=seconds_left)
        raise RateLimited(limit, WINDOW, seconds_left)


def note_failure(address: str | None) -> None:
    """Count a wrong password from this address (``REMOTE_ADDR``)."""
    _counted(_failures_of(address))


def locked_out(address: str | None) -> int:
    """Seconds for which nothing from this address is looked at, because of its wrong passwords; else 0."""
    key = _failures_of(address)

    def ask(commands: Any) -> None:
        commands.get(key)
        commands.pttl(key)

    failures, milliseconds = _asked(ask) or (None, 0)
    return max(1, -(-milliseconds // 1000)) if int(failures or 0) >= FAILURES else 0


def _failures_of(address: str | None) -> str:
    try:
        subject = _network(str(ip_address(address or "")))
    except ValueError:
        subject = audit.UNKNOWN_ADDRESS
    return f"{config.redis_prefix()}failures:{subject}"


def _counted(key: str) -> tuple[int, int]:
    """The requests of this window, this one included, and the seconds until it ends, rounded up.

    (0, 0) if Redis does not answer.
    """

    def ask(commands: Any) -> None:
        commands.set(key, 0, ex=WINDOW, nx=True)
        commands.incr(key)
        commands.pttl(key)

    answer = _asked(ask)
    if answer is None:
        return 0, 0
    _, used, milliseconds = answer
    return used, max(1, -(-milliseconds // 1000))


def _asked(ask: Callable[[Any], None]) -> list[Any] | None:
    """What Redis answers to the commands that *ask* gives it; None if it does not.

    They are one transaction, in which time stands still: a key cannot expire between them.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        return None
    try:
        with _redis(config.redis_url()).pipeline(transaction=True) as commands:
            ask(commands)
            return commands.execute()
    except (redis.RedisError, OSError) as error:
        _silent_until = time.monotonic() + _PAUSE
        log.warning(
            "Redis did not answer (%s), so requests for tokens are not counted and not limited for the next "
            "%d seconds. Check ckan.redis.url and the server.",
            type(error).__name__,
            _PAUSE,
        )
        return None


@functools.lru_cache(maxsize=1)
def _redis(url: str) -> redis.Redis:
    # CKAN's own connection waits for Redis as long as it takes, and newer clients try again for seconds.
    return redis.Redis.from_url(
        url, socket_timeout=_TIMEOUT, socket_connect_timeout=_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )


def _network(address: str) -> str:
    """What counts as one caller: an IPv4 address, or the /64 that IPv6 gives to each customer."""
    if address == audit.UNKNOWN_ADDRESS:
        return address
    found = ip_address(address)
    if not isinstance(found, IPv6Address):
        return address
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    return str(IPv6Address(int(found) >> 64 << 64)) + "/64"
