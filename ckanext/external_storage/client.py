"""Client of a Git LFS server: batch, and the transfer ``basic`` (git-lfs docs/api/batch.md). Knows no CKAN.

Every request ends within a time that is known before, and a server that does not answer is left alone for a
while. Addresses of actions and tokens are secrets: no error of this module, nor its cause, has one in it.
"""

from __future__ import annotations

import io
import json
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from ckanext.external_storage import errors
from ckanext.external_storage.storage.base import Readable, Signed

MEDIA_TYPE = "application/vnd.git-lfs+json"
#: Bytes of an answer to a batch about one object.
_MAX_ANSWER = 1 << 20
#: Seconds that an action lives when the server does not say.
_LIFETIME = 900
_ATTEMPTS = 3
_REDIRECTS = 3
#: Answers of a server, or of a proxy before it, that is busy or away.
_TROUBLE = frozenset({429, 500, 502, 503, 504})


class Breaker:
    """Fail at once after *failures* in a row, for *pause* seconds; then one caller tries again."""

    def __init__(self, failures: int = 5, pause: float = 15, clock: Callable[[], float] = time.monotonic):
        self.failures, self.pause, self._clock = failures, pause, clock
        self._lock = threading.Lock()
        self._failed, self._closed_until = 0, 0.0

    def check(self) -> None:
        """Raises StoreUnavailable while the server is left alone."""
        with self._lock:
            if self._failed < self.failures:
                return
            now = self._clock()
            if now < self._closed_until:
                raise errors.StoreUnavailable from Trouble("not asked: it has failed several times in a row")
            self._closed_until = now + self.pause  # the others wait for what this caller finds

    def failed(self) -> None:
        with self._lock:
            self._failed += 1
            self._closed_until = self._clock() + self.pause

    def succeeded(self) -> None:
        with self._lock:
            self._failed = 0


class Trouble(Exception):
    """What went wrong, for the log: the cause of an error, without addresses and tokens."""


@dataclass(frozen=True)
class Upload:
    """What a client does to upload an object. ``verify`` None: nothing is to be sent after the bytes."""

    upload: Signed = field(repr=False)
    verify: Signed | None = field(repr=False)


class LfsServer:
    """The LFS server below *url*, such as ``https://lfs.example.org``.

    *timeout*: seconds that a connection may say nothing. Asking again after a failure does not begin later
    than that after the first try. Safe to use from many threads.
    """

    def __init__(
        self,
        url: str,
        timeout: float = 10,
        breaker: Breaker | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.url = url.rstrip("/")
        self.breaker = breaker or Breaker()
        self._timeout = (min(timeout, 3.05), timeout)
        self._sleep = sleep
        # What the batch is asked over decides how secret actions are. TLS is always good enough.
        self._schemes = {"https", urlsplit(self.url).scheme}
        self._session = requests.Session()
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        # Otherwise a .netrc of the machine would replace our Authorization.
        self._session.auth = lambda request: request

    def upload(self, repository: str, token: str, oid: str, size: int) -> Upload | None:
        """How to bring an object of *size* bytes; None if the server has one of that size already.

        *repository*: ``<namespace>/<dataset id>``. Raises StoreUnavailable, ServerRefused, ServerAnswer.
        """
        found = self._batch(repository, token, "upload", {"oid": oid, "size": size})
        actions = _dict(found.get("actions") or {}, "actions") if found else {}
        if found is None:
            raise errors.ServerAnswer("it refuses to take an object")
        if not actions:
            return None
        verify = actions.get("verify")
        return Upload(self._action(actions.get("upload")), self._action(verify) if verify else None)

    def download(
        self, repository: str, token: str, oid: str, size: int, filename: str | None = None
    ) -> Signed | None:
        """How to fetch an object of *size* bytes; None if there is none. Raises as `upload` does."""
        asked: dict[str, Any] = {"oid": oid, "size": size}
        if filename:  # a name for the answer, as giftless understands it
            asked["x-filename"] = filename
        found = self._batch(repository, token, "download", asked)
        if found is None:
            return None
        return self._action(_dict(found.get("actions"), "actions").get("download"))

    def send(self, upload: Upload, source: Readable, oid: str, size: int) -> None:
        """PUT the *size* bytes of *source*, and confirm them where the server asks for that. Sent once only.

        What *source* raises comes through, and the connection is cut. Raises StoreUnavailable, ServerRefused.
        """
        self.breaker.check()
        body = _Body(source, size) if size else b""  # an empty stream would be sent in chunks
        headers = {"Content-Type": "application/octet-stream", **upload.upload.header}
        with self._sent("PUT", upload.upload.href, "upload", headers=headers, data=body) as response:
            self._accepted(response, "the upload")
        if upload.verify:
            pointer = json.dumps({"oid": oid, "size": size})
            headers = {"Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE, **upload.verify.header}
            with self._asked("POST", upload.verify.href, "verify", headers=headers, data=pointer) as response:
                self._accepted(response, "the upload's end")

    def fetch(self, action: Signed, start: int) -> requests.Response:
        """The object's bytes from *start* on, in ``raw``; close it. Status 206, or 200 if they are all.

        Redirects are followed without the action's header. Raises StoreUnavailable, ServerRefused,
        ServerAnswer.
        """
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
        href, secret = action.href, action.header
        for _ in range(_REDIRECTS + 1):
            response = self._asked("GET", href, "download", headers={**secret, **headers}, redirects=True)
            if not response.is_redirect:
                break
            href, secret = urljoin(href, response.headers["Location"]), {}
            response.close()
            self._check_scheme(href)
        else:
            raise errors.ServerAnswer("it redirects a download again and again")
        try:
            self._accepted(response, "a download")
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise errors.ServerAnswer("it sends an object in an encoding nobody asked for")
            begins = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if response.status_code == 206 and not begins:
                raise errors.ServerAnswer("it sends another range than it was asked for")
        except errors.StorageError:
            response.close()
            raise
        return response

    def _batch(
        self, repository: str, token: str, operation: str, asked: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """What is said of the one object asked about; None if it is not there."""
        request = {"operation": operation, "transfers": ["basic"], "objects": [asked], "hash_algo": "sha256"}
        headers = {"Authorization": f"Bearer {token}", "Content-Type": MEDIA_TYPE, "Accept": MEDIA_TYPE}
        address = f"{self.url}/{repository}.git/info/lfs/objects/batch"
        with self._asked("POST", address, "batch", headers=headers, data=json.dumps(request)) as response:
            # giftless says of the whole batch what is wrong with all of its objects.
            if response.status_code in (404, 422) and operation == "download":
                return None
            self._accepted(response, "the batch request")
            message = _parsed(response)
        objects = message.get("objects")
        if not isinstance(objects, list) or len(objects) != 1:
            raise errors.ServerAnswer("it does not speak of the one object it was asked about")
        found = _dict(objects[0], "an object")
        if found.get("oid") != asked["oid"]:
            raise errors.ServerAnswer("it speaks of another object than it was asked about")
        problem = found.get("error")
        if problem:
            code = _dict(problem, "error").get("code")
            if code in (404, 410, 422):
                return None
            raise errors.ServerAnswer(f"it says {code if isinstance(code, int) else 'nothing'} of an object")
        return found

    def _action(self, given: Any) -> Signed:
        action = _dict(given, "an action")
        href, header, lifetime = action.get("href"), action.get("header") or {}, action.get("expires_in")
        if not isinstance(href, str) or not href.isascii() or not href.isprintable():
            raise errors.ServerAnswer("an action has no address")
        if not isinstance(header, dict):
            raise errors.ServerAnswer("an action's header is not a JSON object")
        for name, value in header.items():
            if not isinstance(name, str) or not isinstance(value, str) or {"\r", "\n"} & set(name + value):
                raise errors.ServerAnswer("an action has a header that cannot be sent")
        self._check_scheme(href)
        if not isinstance(lifetime, int) or not 0 < lifetime < 1 << 24:
            lifetime = _LIFETIME
        return Signed(href, header, datetime.now(timezone.utc) + timedelta(seconds=lifetime))

    def _check_scheme(self, href: str) -> None:
        try:
            parts = urlsplit(href)
        except ValueError:
            raise errors.ServerAnswer("an action has no address") from None
        if parts.scheme not in self._schemes or not parts.hostname:
            raise errors.ServerAnswer(
                f"an action is not at an address of {' or '.join(sorted(self._schemes))}, like the server"
            )

    def _asked(self, method: str, address: str, what: str, **request: Any) -> requests.Response:
        """The answer to a request that may be repeated, which is done while the server is in trouble."""
        begun = time.monotonic()
        for attempt in range(1, _ATTEMPTS + 1):
            self.breaker.check()
            last = attempt == _ATTEMPTS or time.monotonic() - begun > self._timeout[1]
            try:
                response = self._sent(method, address, what, **request)
            except errors.StoreUnavailable:
                if last:
                    raise
            else:
                return response
            self._sleep(0.2 * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311 - only spreads callers
        raise AssertionError("the last attempt returns or raises")

    def _sent(
        self, method: str, address: str, what: str, redirects: bool = False, **request: Any
    ) -> requests.Response:
        """One request, not followed anywhere. Raises StoreUnavailable if the server is in trouble."""
        try:
            response = self._session.request(
                method, address, allow_redirects=False, stream=True, timeout=self._timeout, **request
            )
        except (requests.RequestException, OSError) as error:
            self.breaker.failed()
            raise errors.StoreUnavailable from Trouble(f"{what}: {type(error).__name__}")
        if response.status_code in _TROUBLE:
            response.close()
            self.breaker.failed()
            raise errors.StoreUnavailable from Trouble(f"{what}: status {response.status_code}")
        self.breaker.succeeded()
        if response.is_redirect and not redirects:
            response.close()
            raise errors.ServerAnswer(f"it redirects the {what}; set the address that it redirects to")
        return response

    @staticmethod
    def _accepted(response: requests.Response, what: str) -> None:
        if response.status_code in (401, 403):
            raise errors.ServerRefused(response.status_code, what)
        if not 200 <= response.status_code < 300:
            raise errors.ServerAnswer(f"it answers {what} with status {response.status_code}")


class _Body:
    """A request body as ``requests`` wants it: with a length, and something to iterate over."""

    def __init__(self, source: Readable, size: int):
        self._source, self._size = source, size

    def __len__(self) -> int:
        return self._size

    def __iter__(self):
        return iter(lambda: self.read(io.DEFAULT_BUFFER_SIZE), b"")

    def read(self, size: int = -1) -> bytes:
        return self._source.read(size)


def _parsed(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.raw.read(_MAX_ANSWER + 1, decode_content=True)
        message = json.loads(body) if len(body) <= _MAX_ANSWER else None
    except (OSError, ValueError, RecursionError):
        message = None
    except Exception as error:  # urllib3's own, when the connection ends early
        raise errors.StoreUnavailable from Trouble(f"batch: {type(error).__name__}")
    return _dict(message, "the answer")


def _dict(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise errors.ServerAnswer(f"{what} is not a JSON object")
    return value
