"""Received bytes are checked by CKAN's background jobs.

They are started the same way with and without CKAN in the process (`process`); who does them has CKAN.
"""

from __future__ import annotations

import functools
import logging
import time

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue, Worker

from ckanext.external_storage import config
from ckanext.external_storage.transfer import hashing

log = logging.getLogger(__name__)

#: Seconds for which a job that cannot begin yet keeps its worker, so that it does not run round and round.
_NAP = 2
#: Bytes per second that any store reaches: what a job's time is reckoned with.
_SLOWEST = 4 << 20
#: Seconds that Redis may say nothing: somebody waits whose file has arrived.
_PATIENCE = 5


def check_upload(upload_id: str) -> str | None:
    """The job: the state of the upload after it.

    At an external server, somebody may be able to write the bytes for a little longer. Then this job goes to
    the end of the queue.
    """
    engine = config.engine()
    if (size := hashing.must_wait(engine, upload_id)) is not None:
        time.sleep(_NAP)
        check_later(upload_id, size)
        return "received"
    return hashing.check(engine, config.store(), upload_id)


def check_later(upload_id: str, size: int) -> None:
    """Start a job for a received upload of *size* bytes. It has as long as the bytes may take to be read.

    If none can be started, the next ``ckan external-storage cleanup`` does it.
    """
    timeout = config.job_timeout() + size // _SLOWEST
    title = f"Check the file of upload {upload_id}"
    try:
        queue().enqueue_call(check_upload, (upload_id,), timeout=timeout, meta={"title": title})
    except RedisError:
        log.warning("Upload %s waits for: ckan external-storage cleanup", upload_id, exc_info=True)


def worker_alive() -> bool:
    """Is a worker there that takes jobs of the queue that ours are in?"""
    try:
        return bool(Worker.all(queue=queue()))
    except RedisError:
        return False


def queue() -> Queue:
    """The one that CKAN calls ``default``."""
    return Queue(config.job_queue(), connection=_redis(config.redis_url()))


@functools.lru_cache(maxsize=1)
def _redis(url: str) -> Redis:
    return Redis.from_url(
        url, socket_timeout=_PATIENCE, socket_connect_timeout=_PATIENCE, retry=Retry(NoBackoff(), 1)
    )
