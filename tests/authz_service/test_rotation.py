"""Replacing the key in a directory of keys: the steps, their times, and what is left when one is cut off."""

from __future__ import annotations

import functools
import itertools
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ckanext.authz_service import keys, rotation, tokens
from ckanext.authz_service.authorizer import AuthorizedScope
from ckanext.authz_service.errors import InvalidToken, MissingKey, UnusableKey
from ckanext.authz_service.scope import Scope

LIFETIME = 900
SHOWN = rotation.MAX_AGE + rotation.SLACK
ACCEPTED = LIFETIME + rotation.SLACK


@pytest.fixture
def directory(tmp_path):
    keys.generate(tmp_path / "keys", "EdDSA")
    return tmp_path / "keys"


def advance(directory, later=0.0, **more):
    """The next step, as if it were taken this many seconds from now."""
    return rotation.advance(directory, max_lifetime=LIFETIME, now=time.time() + later, **more)


def names(directory):
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def kids(directory):
    return list(keys.verification_keys(directory))


def token(directory):
    scope = AuthorizedScope(Scope("ds", "a", ["read"]), "id")
    minted = tokens.mint(keys.load(directory), [scope], issuer="i", audience=None, lifetime=LIFETIME)
    return minted.token


def accepted(text, directory):
    """Whether verifiers still know the key of this token."""
    try:
        tokens.verify(text, keys.verification_keys(directory), "i", None, LIFETIME)
    except InvalidToken as error:
        if error.reason == "unknown_key":
            return False
        raise
    return True


# --- steps ------------------------------------------------------------------------------------------------


def test_a_rotation_from_beginning_to_end(directory):
    old, before = keys.load(directory).kid, token(directory)

    began = time.time()
    published = advance(directory)
    new = published.other
    assert (published.stage, published.changed, published.current) == ("published", True, old)
    assert began + SHOWN - 1 <= published.due <= time.time() + SHOWN
    assert keys.load(directory).kid == old
    assert kids(directory) == [old, new]

    assert not advance(directory, SHOWN - 5).changed
    assert keys.load(directory).kid == old

    signing = advance(directory, SHOWN + 1)
    assert (signing.stage, signing.changed, signing.current, signing.other) == ("signing", True, new, old)
    assert time.time() + ACCEPTED - 5 <= signing.due <= time.time() + ACCEPTED
    assert keys.load(directory).kid == keys.load_public(directory).kid == new
    assert kids(directory) == [new, old]
    after = token(directory)
    assert accepted(before, directory)
    assert names(directory) == ["current.pem", "current.pub.pem", "previous.pub.pem"]

    assert not advance(directory, ACCEPTED - 5).changed
    retired = advance(directory, ACCEPTED + 1)
    assert (retired.stage, retired.changed, retired.current, retired.other) == ("resting", True, new, old)
    assert kids(directory) == [new]
    assert (accepted(before, directory), accepted(after, directory)) == (False, True)
    assert names(directory) == ["current.pem", "current.pub.pem"]


def test_a_rotation_may_begin_when_the_key_has_its_age(directory):
    day = 24 * 60 * 60
    resting = advance(directory, 89 * day, every=90 * day)
    assert (resting.stage, resting.changed) == ("resting", False)
    assert abs(resting.due - time.time() - 90 * day) < 60
    assert advance(directory, 91 * day, every=90 * day).stage == "published"


def test_the_next_key_has_the_algorithm_asked_for_or_that_of_the_current_one(directory):
    advance(directory, algorithm="ES256")
    assert keys.load(directory, keys.NEXT).algorithm == "ES256"
    advance(directory, SHOWN + 1)
    advance(directory, ACCEPTED + 1)
    advance(directory)
    assert keys.load(directory, keys.NEXT).algorithm == "ES256"


def test_a_key_restored_from_a_backup_waits_again(directory):
    advance(directory)
    for name in ("next.pem", "next.pub.pem"):
        os.utime(directory / name, (0, 0))
    assert not advance(directory, SHOWN - 5).changed


def test_a_next_key_that_nobody_was_shown_does_not_sign(directory):
    advance(directory)
    (directory / "next.pub.pem").unlink()
    position = advance(directory, 10 * SHOWN)
    assert (position.stage, position.changed, position.due > time.time() + SHOWN - 5) == (
        "published",
        True,
        True,
    )
    stranger = keys.SigningKey.of(ed25519.Ed25519PrivateKey.generate()).public
    keys.write_public(directory, keys.NEXT, stranger)
    position = advance(directory, 10 * SHOWN)
    assert (position.stage, position.current) == ("published", keys.load(directory).kid)
    assert stranger.kid not in kids(directory)


def test_without_a_key_there_is_nothing_to_replace(tmp_path):
    for rotate in (advance, rotation.replace_at_once):
        for directory in (tmp_path / "none", tmp_path):
            with pytest.raises(MissingKey, match="ckan authz keygen"):
                rotate(directory)


def test_other_roles_are_left_alone(directory):
    other = keys.generate(directory, "RS256", "giftless").kid
    for later in (0, SHOWN + 1, ACCEPTED + 1):
        advance(directory, later)
    rotation.replace_at_once(directory)
    assert keys.load(directory, "giftless").kid == other


def test_a_key_that_leaked_is_replaced_at_once(directory):
    advance(directory)
    advance(directory, SHOWN + 1)
    before = token(directory)
    known = kids(directory)
    new = rotation.replace_at_once(directory)
    assert kids(directory) == [new.kid] == [keys.load(directory).kid]
    assert new.kid not in known
    assert not accepted(before, directory)
    assert names(directory) == ["current.pem", "current.pub.pem"]
    advance(directory)
    leaked = keys.load(directory, keys.NEXT).kid
    assert leaked not in (rotation.replace_at_once(directory).kid, *kids(directory))


def test_a_directory_that_cannot_be_written(directory):
    (directory / ".lock").mkdir()
    with pytest.raises(UnusableKey, match="as the user CKAN runs as"):
        advance(directory)


# --- cut off, and at the same time ------------------------------------------------------------------------

#: Forks from a process without threads: those of the test process may hold locks.
_PROCESSES = multiprocessing.get_context("forkserver")
_PROCESSES.set_forkserver_preload([__name__])
_FILE_OPERATIONS = {"open", "os.rename", "os.remove", "os.link", "os.utime", "os.chmod", "os.chown"}
_CAME_SO_FAR = 3


def _interrupted(work, directory, moment, interruption):
    """Run ``work(directory)`` in a process that calls ``interruption`` before its file operation number
    ``moment``, counted from 1. Returns whether it came so far.
    """
    process = _PROCESSES.Process(target=_interruptible, args=(work, directory, moment, interruption))
    process.start()
    process.join()
    assert process.exitcode in (0, _CAME_SO_FAR, -signal.SIGKILL), "see its traceback"
    return process.exitcode != 0


def _interruptible(work, directory, moment, interruption):
    met = 0

    def hook(event, arguments):
        # Python tells its audit hooks of a file operation before it is done.
        nonlocal met
        if event in _FILE_OPERATIONS and str(directory) in str(arguments[0]):
            met += 1
            if met == moment:
                interruption()

    sys.addaudithook(hook)
    work(directory)
    sys.exit(_CAME_SO_FAR if met >= moment else 0)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def _elsewhere(work, directory):
    """The same in another process, complete before this one goes on."""
    pid = os.fork()
    if pid == 0:
        work(directory)
        os._exit(0)
    os.waitpid(pid, 0)


def _stages(directory):
    """Copies of the directory before each step: (the step, the directory, what takes the step)."""
    for name, later, every in (
        ("publish", 0.0, 0.0),
        ("sign", SHOWN + 1.0, 0.0),
        ("retire", ACCEPTED + 1.0, 1e9),  # or else the next call begins another rotation
    ):
        yield name, _copy(directory, name), functools.partial(advance, later=later, every=every)
        advance(directory, later)


def _copy(directory, name) -> Path:
    target = directory.parent / name
    shutil.copytree(directory, target)
    return target


def test_a_step_may_be_killed_before_any_of_its_file_operations(directory):
    moments = 0
    for name, ready, take in _stages(directory):
        shown, before = kids(ready), token(ready)
        whole = _copy(ready, f"{name} whole")
        stage = take(whole).stage
        for moment in itertools.count(1):
            victim = _copy(ready, f"{name} {moment}")
            if not _interrupted(take, victim, moment, _die):
                break
            moments += 1
            assert keys.load(victim).kid in kids(victim)
            assert keys.load(victim).kid in shown, "nothing signs that was not published before"
            assert accepted(before, victim) or name == "retire"
            # The next call completes it.
            assert take(victim).stage == stage
            assert names(victim) == names(whole)
            assert len(kids(victim)) == len(kids(whole))
            assert accepted(before, victim) or name == "retire"
    assert moments > 30


def test_a_replacement_at_once_may_be_killed_anywhere_and_repeated(directory):
    advance(directory)
    leaked, moment = kids(directory), 0
    for moment in itertools.count(1):
        victim = _copy(directory, f"replace {moment}")
        if not _interrupted(rotation.replace_at_once, victim, moment, _die):
            break
        assert keys.load(victim).kid in kids(victim)
        new = rotation.replace_at_once(victim)
        assert kids(victim) == [new.kid]
        assert new.kid not in leaked
    assert moment > 10


def _sign_and_verify(directory, before):
    """Signing and verifying are separate requests, and each reads the files for itself."""
    if before:
        assert accepted(before, directory)
    signs = keys.load(directory)
    assert signs.kid in kids(directory)


def test_a_step_between_any_two_reads_of_a_verifier_is_not_noticed(directory):
    moments = 0
    for name, ready, take in _stages(directory):
        use = functools.partial(_sign_and_verify, before=token(ready) if name != "retire" else None)
        for moment in itertools.count(1):
            victim = _copy(ready, f"{name} {moment}")
            if not _interrupted(use, victim, moment, functools.partial(_elsewhere, take, victim)):
                break
            moments += 1
    assert moments > 10


def test_of_several_that_rotate_at_once_one_takes_the_step(directory):
    positions, start = [], threading.Barrier(6)

    def rotate():
        start.wait()
        positions.append(advance(directory))

    threads = [threading.Thread(target=rotate) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(position.changed for position in positions) == [False] * 5 + [True]
    assert len({position.other for position in positions}) == 1
    assert len(kids(directory)) == 2
