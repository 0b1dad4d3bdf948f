"""What the server has done, for Prometheus. Needs the extra ``metrics`` (prometheus_client).

With several worker processes, PROMETHEUS_MULTIPROC_DIR must name a directory that they share, or each one
counts for itself.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors, model
from ckanext.external_storage.lfs.settings import Settings

try:
    import prometheus_client
    import prometheus_client.multiprocess
except ImportError:
    prometheus_client = None

log = logging.getLogger(__name__)

UNDER_WAY = ("open", "received")
SHORTEST_TOKEN = 16
#: Seconds: a batch takes hundredths of one, a large file half an hour.
BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 1800)
#: A proxy adds one of these. From a proxy on this machine everybody's request comes from 127.0.0.1.
_PROXIED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_LABELS = ("method", "route")

if prometheus_client:
    # Of our own: other plugins of the same process may use the library, too.
    _registry = prometheus_client.CollectorRegistry()
    _requests = prometheus_client.Counter(
        "external_storage_lfs_requests", "Requests answered", (*_LABELS, "status"), registry=_registry
    )
    _received = prometheus_client.Counter(
        "external_storage_lfs_received_bytes", "Sizes of requests, as announced", _LABELS, registry=_registry
    )
    _sent = prometheus_client.Counter(
        "external_storage_lfs_sent_bytes", "Sizes of answers, as announced", _LABELS, registry=_registry
    )
    _seconds = prometheus_client.Histogram(
        "external_storage_lfs_seconds",
        "From a request's arrival to the last byte of its answer",
        _LABELS,
        buckets=BUCKETS,
        registry=_registry,
    )


def watch(request: Request, response: Response, route: str, started: float) -> None:
    """Count the request when its answer has been sent. ``started``: of `time.perf_counter`."""
    if not prometheus_client:
        return
    method = request.method if request.method in _METHODS else "other"
    status = str(response.status_code)
    sent = 0 if method == "HEAD" else response.content_length or 0
    received = request.content_length or 0

    def count() -> None:
        _requests.labels(method, route, status).inc()
        _received.labels(method, route).inc(received)
        _sent.labels(method, route).inc(sent)
        _seconds.labels(method, route).observe(time.perf_counter() - started)

    response.call_on_close(count)


def show(settings: Settings, request: Request) -> Response:
    """The numbers, for callers that may see them. Raises Forbidden, MetricsMissing."""
    if not _may_see(request, settings.metrics_token_file):
        raise errors.Forbidden(
            "Metrics are for callers on this machine that no proxy stands before, or with the token of"
            " ckanext.external_storage.metrics_token_file."
        )
    if not prometheus_client:
        raise errors.MetricsMissing
    numbers = prometheus_client.CollectorRegistry()
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        prometheus_client.multiprocess.MultiProcessCollector(numbers)
    else:
        numbers.register(_registry)
    numbers.register(_Uploads(settings.engine()))
    encode, content_type = prometheus_client.exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(numbers), content_type=content_type, headers={"Cache-Control": "no-store"})


def _may_see(request: Request, token_file: Path | None) -> bool:
    if token_file:
        try:
            token = token_file.read_bytes().strip()
        except OSError as error:
            log.error("metrics: the token cannot be read: %s", error)
            return False
        given = request.headers.get("Authorization", "").encode()
        return len(token) >= SHORTEST_TOKEN and hmac.compare_digest(given, b"Bearer " + token)
    try:
        here = ipaddress.ip_address(request.remote_addr or "").is_loopback
    except ValueError:  # a socket file: whoever is behind it is a proxy
        return False
    return here and not any(name in request.headers for name in _PROXIED)


class _Uploads:
    """Asked of the database each time: how many are under way is no one process's business."""

    def __init__(self, engine: sa.Engine):
        self.engine = engine

    def collect(self) -> Iterator[Any]:
        state = model.upload.c.state
        query = sa.select(state, sa.func.count()).where(state.in_(UNDER_WAY)).group_by(state)
        try:
            with self.engine.connect() as connection:
                found = dict(map(tuple, connection.execute(query)))
        except SQLAlchemyError as error:
            log.error("metrics: uploads cannot be counted: %s", error)
            return  # the rest is worth having
        assert prometheus_client
        family = prometheus_client.metrics_core.GaugeMetricFamily
        gauge = family("external_storage_uploads", "Uploads that have not ended", labels=["state"])
        for name in UNDER_WAY:
            gauge.add_metric([name], found.get(name, 0))
        yield gauge
