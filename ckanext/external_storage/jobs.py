"""Received bytes are checked by CKAN's background jobs."""

from __future__ import annotations

import logging
import time

import ckantoolkit as tk
from ckan.lib import jobs
from redis.exceptions import RedisError
from rq import Worker

from ckanext.external_storage import config
from ckanext.external_storage.transfer import hashing

log = logging.getLogger(__name__)

#: Seconds for which a job that cannot begin yet keeps its worker, so that it does not run round and round.
_NAP = 2
#: Bytes per second that any store reaches: what a job's time is reckoned with.
_SLOWEST = 4 << 20


def check_upload(upload_id: str) -> str | None:
    """The job: the state of the upload after it.

    At an external server, somebody may be able to write the bytes for a little longer. Then this job goes to
    the end of the queue.
    """
    engine = config.engine()
    if hashing.must_wait(engine, upload_id):
        time.sleep(_NAP)
        tk.enqueue_job(check_upload, [upload_id], title=f"Check the file of upload {upload_id}")
        return "received"
    return hashing.check(engine, config.store(), upload_id)


def check_later(upload_id: str, size: int) -> None:
    """Start a job for a received upload of *size* bytes. It has as long as the bytes may take to be read.

    If none can be started, the next ``ckan external-storage cleanup`` does it.
    """
    timeout = tk.config["ckan.jobs.timeout"] + size // _SLOWEST
    title = f"Check the file of upload {upload_id}"
    try:
        tk.enqueue_job(check_upload, [upload_id], title=title, rq_kwargs={"timeout": timeout})
    except RedisError:
        log.warning("Upload %s waits for: ckan external-storage cleanup", upload_id, exc_info=True)


def worker_alive() -> bool:
    """Is a worker there that takes jobs of the queue that ours are in?"""
    try:
        return bool(Worker.all(queue=jobs.get_queue()))
    except RedisError:
        return False
