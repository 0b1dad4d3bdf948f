"""Redis, with the job queues. The lower databases belong to demos, the others to test runs (sandbox.py)."""

from __future__ import annotations

import shutil

import redis

from services.checkout import RUN, write_private
from services.processes import Program
from services.progress import Failure
from services.settings import HOST, Settings

DATABASES = 128
FIRST_OF_TESTS = 32
DIRECTORY = RUN / "redis"


def prepare(settings: Settings) -> Program:
    DIRECTORY.mkdir(mode=0o700, exist_ok=True)
    server = shutil.which("redis-server")
    if server is None:
        raise Failure("redis-server is not installed.", "run `make install`.")
    config = RUN / "redis.conf"
    lines = [
        f"bind {HOST}",
        f"port {settings.ports['redis']}",
        f"requirepass {settings.password}",
        f"databases {DATABASES}",
        f'dir "{DIRECTORY}"',
        "appendonly yes",
        'save ""',
        "daemonize no",
    ]
    write_private(config, "\n".join(lines) + "\n")
    return Program("redis", [server, str(config)], DIRECTORY)


def answers(settings: Settings) -> bool:
    try:
        return bool(redis.Redis.from_url(settings.redis_url(0)).ping())
    except redis.ConnectionError:
        return False
