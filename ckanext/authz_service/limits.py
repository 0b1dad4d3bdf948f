"""How many tokens a user, or an address without a user, may ask for in a minute. Counted in CKAN's Redis.

Without Redis nothing is counted and tokens are issued: each is still checked with CKAN and short-lived, and a
portal whose downloads stop because a cache is down would be the greater harm. The log says so, and requests
do not wait for it.
"""

from __future__ import annotations

import functools
import logging
import time
from ipaddress import IPv6Address, ip_address

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ckanext.authz_service import audit, config
from ckanext.authz_service.errors import RateLimited

log = logging.getLogger(__name__)

WINDOW = 60
"""Seconds. A window begins with the first request in it."""

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


def _counted(key: str) -> tuple[int, int]:
    """The requests of this window, this one included, and the seconds until it ends, rounded up.

    (0, 0) if Redis does not answer.
    """
    global _silent_until
    if time.monotonic() < _silent_until:
        return 0, 0
    try:
        # One transaction, in which time stands still: the key cannot expire between the commands.
        with _redis(config.redis_url()).pipeline(transaction=True) as commands:
            commands.set(key, 0, ex=WINDOW, nx=True)
            commands.incr(key)
            commands.pttl(key)
            _, used, milliseconds = commands.execute()
    except (redis.RedisError, OSError) as error:
        _silent_until = time.monotonic() + _PAUSE
        log.warning(
            "Redis did not answer (%s), so requests for tokens are not counted and not limited for the next "
            "%d seconds. Check ckan.redis.url and the server.",
            type(error).__name__,
            _PAUSE,
        )
        return 0, 0
    return used, max(1, -(-milliseconds // 1000))


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
