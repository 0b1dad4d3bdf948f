"""Who was given what: one line of JSON for each request for a token, on a logger of its own.

The token itself is never part of it. JSON in ASCII has no raw control characters, so nothing that a caller
sends can start a second line or move the cursor of whoever reads the log.
"""

from __future__ import annotations

import json
import logging
from ipaddress import ip_address
from typing import Any, Literal

import ckantoolkit as tk
from flask import has_request_context

log = logging.getLogger(__name__)

UNKNOWN_ADDRESS = "unknown"
"""Where a web server does not say who called, as those do that listen on a socket file."""

Event = Literal["issued", "refused", "limited"]


def record(event: Event, user: str | None, **facts: Any) -> None:
    """Write a line: ``event``, ``user`` (id, or null), ``address`` (null outside of a request) and
    the facts. These must be JSON, and nothing secret.
    """
    line = {"event": event, "user": user, "address": client_address(), **facts}
    log.info("%s", json.dumps(line, ensure_ascii=True))


def client_address() -> str | None:
    """The IP address that sent the running request, None if there is none: a job, a command, a test.

    It is ``REMOTE_ADDR`` as the web server, or werkzeug's ProxyFix, has set it. Headers are not looked at:
    anyone can write them.
    """
    if not has_request_context() or "REMOTE_ADDR" not in tk.request.environ:
        return None
    try:
        return str(ip_address(tk.request.environ["REMOTE_ADDR"]))
    except ValueError:
        return UNKNOWN_ADDRESS
