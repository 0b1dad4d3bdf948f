"""Replacing the key in a directory of keys, without a token that anybody must refuse. Pure.

1. *publish*: the next key appears beside the current one. Verifiers may keep keys for ``MAX_AGE`` seconds,
   so it must not sign before that.
2. *sign*: the next key becomes the current one, which becomes the previous one.
3. *retire*: when the last token of the previous key has expired, that key is removed.

`advance` takes whichever step is due, so it is run again and again. When a step was taken is the time of the
file that it wrote: nothing else is kept, so nothing can contradict the keys. A step that was cut off at any
point leaves the keys usable, and the next call completes it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ckanext.authz_service import keys
from ckanext.authz_service.errors import MissingKey
from ckanext.authz_service.keys import CURRENT, NEXT, PREVIOUS, SigningKey, VerificationKey

MAX_AGE = 300
"""Seconds for which verifiers may keep the published keys."""

SLACK = 60
"""Seconds added to every wait: clocks differ, and a shared file system shows a new file a little later."""


@dataclass(frozen=True)
class Position:
    """Where a rotation stands.

    stage: ``resting`` (one key), ``published`` (the next key is shown and does not sign yet) or ``signing``
        (it signs, and the previous key is still accepted).
    due: when the next step may be taken, in seconds since 1970.
    current: the kid that signs. other: that of the next or previous key, or of one that was just retired.
    changed: whether `advance` took a step.
    """

    stage: Literal["resting", "published", "signing"]
    due: float
    current: str
    other: str | None = None
    changed: bool = False


def position(keys_dir: Path, *, max_lifetime: int, every: float = 0) -> Position:
    """Where the rotation stands; the parameters are those of `advance`. Raises MissingKey, UnusableKey."""
    current = keys.load(keys_dir)
    previous = _public(keys_dir, PREVIOUS)
    accepted_until = 0.0
    if previous and previous.kid != current.kid:
        accepted_until = _since(keys_dir, PREVIOUS) + max_lifetime + SLACK
    following = _private(keys_dir, NEXT)
    if following:
        shown = _public(keys_dir, NEXT)
        signs_from = 0.0
        if shown and shown.kid == following.kid:
            signs_from = max(_since(keys_dir, NEXT) + MAX_AGE + SLACK, accepted_until)
        return Position("published", signs_from, current.kid, following.kid)
    if previous and accepted_until:
        return Position("signing", accepted_until, current.kid, previous.kid)
    made = os.stat(keys.private_path(keys_dir)).st_mtime
    return Position("resting", made + every if every else 0.0, current.kid)


def advance(
    keys_dir: Path,
    *,
    max_lifetime: int,
    algorithm: str | None = None,
    every: float = 0,
    now: float | None = None,
) -> Position:
    """Take the step that is due, if any, and tell where the rotation stands then.

    max_lifetime: of tokens, in seconds, with the leeway of verifiers.
    algorithm: of the next key; None: as the current one.
    every: a rotation begins when the current key is that many seconds old; 0: at any time.

    Raises MissingKey without a current key, UnusableKey.
    """
    now = time.time() if now is None else now
    with _alone(keys_dir):
        changed = _complete(keys_dir)
        before = position(keys_dir, max_lifetime=max_lifetime, every=every)
        if now >= before.due:
            changed = True
            if before.stage == "resting":
                current = keys.load(keys_dir)
                _remove(keys.public_path(keys_dir, NEXT))  # without its private half it never signed
                keys.generate(keys_dir, algorithm or current.algorithm, NEXT)
            elif before.stage == "signing":
                _remove(keys.public_path(keys_dir, PREVIOUS))
            else:
                _sign_with_next(keys_dir)
        after = position(keys_dir, max_lifetime=max_lifetime, every=every)
        return replace(after, changed=changed, other=after.other or before.other)


def replace_at_once(keys_dir: Path, *, algorithm: str | None = None) -> SigningKey:
    """Put a new key in the place of the current one and accept no other: for keys that others may have.

    Tokens issued so far are refused from now on. Verifiers that have kept the published keys learn of the new
    one when they meet its ``kid``, at the latest after ``MAX_AGE``. Run again if it was cut off.

    Raises MissingKey, UnusableKey.
    """
    with _alone(keys_dir):
        current = keys.read_private(keys.private_path(keys_dir))
        # Whoever could read the current key could read this one, too.
        _remove(keys.private_path(keys_dir, NEXT))
        new = keys.generate(keys_dir, algorithm or current.algorithm, NEXT)
        _move_next_to_current(keys_dir)
        keys.write_public(keys_dir, CURRENT, new.public)
        for role in (PREVIOUS, NEXT):
            _remove(keys.public_path(keys_dir, role))
        return new


# --- steps ------------------------------------------------------------------------------------------------


def _sign_with_next(keys_dir: Path) -> None:
    following, shown = _private(keys_dir, NEXT), _public(keys_dir, NEXT)
    if following and (shown is None or shown.kid != following.kid):
        keys.write_public(keys_dir, NEXT, following.public)  # its publication was cut off: it begins now
        return
    # Each file is written before what it was copied from is removed: see keys.verification_keys.
    keys.write_public(keys_dir, PREVIOUS, keys.load(keys_dir).public)
    _move_next_to_current(keys_dir)
    _complete(keys_dir)


def _complete(keys_dir: Path) -> bool:
    """The rest of *sign* once the private file has moved, also when another call did not get so far."""
    current, shown = keys.load(keys_dir), _public(keys_dir, NEXT)
    if shown is None or shown.kid != current.kid:
        return False
    keys.write_public(keys_dir, CURRENT, current.public)
    previous = _public(keys_dir, PREVIOUS)
    if previous:
        keys.write_public(keys_dir, PREVIOUS, previous)  # it signed until now, so its time starts now
    _remove(keys.public_path(keys_dir, NEXT))
    return True


def _move_next_to_current(keys_dir: Path) -> None:
    current = keys.private_path(keys_dir)
    try:
        keys.private_path(keys_dir, NEXT).replace(current)
        keys.sync(keys_dir)
    except OSError as error:
        raise keys.not_written(current, error) from error


# --- files ------------------------------------------------------------------------------------------------


def _private(keys_dir: Path, role: str) -> SigningKey | None:
    try:
        return keys.read_private(keys.private_path(keys_dir, role))
    except MissingKey:
        return None


def _public(keys_dir: Path, role: str) -> VerificationKey | None:
    try:
        return keys.read_public(keys.public_path(keys_dir, role))
    except MissingKey:
        return None


def _since(keys_dir: Path, role: str) -> float:
    """Since when the public file of a role is as it is. The later time: a restored backup counts as new."""
    status = os.stat(keys.public_path(keys_dir, role))
    return max(status.st_mtime, status.st_ctime)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
        keys.sync(path.parent)
    except OSError as error:
        raise keys.not_written(path, error) from error


@contextmanager
def _alone(keys_dir: Path) -> Iterator[None]:
    """One rotation at a time. The lock ends with its process, however that ends."""
    if not keys_dir.is_dir():
        raise MissingKey(keys.private_path(keys_dir))
    path = keys_dir / ".lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise keys.not_written(path, error) from error
    try:
        if os.fstat(descriptor).st_uid == os.geteuid():
            keys.own(descriptor, keys_dir, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # What a call left that was killed while it wrote. Nobody else writes these.
        for pattern in (f".{NEXT}.*", f".{PREVIOUS}.*", f".{CURRENT}.pub.*"):
            for left in keys_dir.glob(pattern):
                left.unlink(missing_ok=True)
        yield
    except OSError as error:
        raise keys.not_written(path, error) from error
    finally:
        os.close(descriptor)
