"""``ckan authz keys …``: what there is, and replacing it."""

from __future__ import annotations

import shlex
import time
from datetime import datetime, timezone
from pathlib import Path

import click

from ckanext.authz_service import config, keys, rotation, tokens
from ckanext.authz_service.errors import KeysError, MissingKey
from ckanext.authz_service.keyring import Keyring

_DAY = 24 * 60 * 60


@click.group("keys", short_help="Which keys there are, and their replacement.")
def group() -> None:
    """Which keys there are, and their replacement."""


@group.command("list")
def list_keys() -> None:
    """The keys that are published: which one signs, which others are accepted, and what is due next."""
    try:
        keyring = config.keyring()
        accepted = keyring.verification_keys()
        signing = keyring.signing_key()
    except KeysError as error:
        raise click.ClickException(str(error)) from error
    for key in accepted.values():
        use = "signs" if key.kid == signing.kid else "accepted"
        click.echo(f"{key.kid}  {key.algorithm:5}  {use:8}  {_place(keyring, key.kid)}".rstrip())
    if keyring.keys_dir and not keyring.read_only:
        position = rotation.position(keyring.keys_dir, max_lifetime=_longest_use())
        if position.stage == "published":
            click.echo(f"{position.other} signs from {_time(position.due)} on, with: ckan authz keys rotate")
        elif position.stage == "signing":
            click.echo(f"{position.other} can go from {_time(position.due)} on, with: ckan authz keys rotate")


@group.command()
@click.option(
    "--every",
    type=click.IntRange(min=1),
    metavar="DAYS",
    help="Begin only when the current key is that old: for a job that runs every hour.",
)
@click.option("--wait", is_flag=True, help="Do not return before all steps are taken.")
@click.option(
    "--at-once",
    is_flag=True,
    help="For a key that others may have: a new one takes its place now, and all tokens become worthless.",
)
def rotate(every: int | None, wait: bool, at_once: bool) -> None:
    """Replace the key that signs, without a token that anybody must refuse.

    Takes the step that is due and says when the next one is: run it again then, or every hour. First the new
    key is only published; when verifiers have had the time to fetch it, it signs; when the last token of the
    old key has expired, that one is removed. It does no harm to run it too early, twice at the same time, or
    again after it was interrupted.
    """
    try:
        keyring = config.keyring()
        if keyring.read_only:
            _by_hand(keyring, at_once)
            return
        if keyring.keys_dir is None:
            raise MissingKey(None)
        if at_once:
            _replace_at_once(keyring.keys_dir)
            return
        while True:
            position = rotation.advance(
                keyring.keys_dir,
                max_lifetime=_longest_use(),
                algorithm=keyring.algorithm,
                every=(every or 0) * _DAY,
            )
            click.echo(_told(keyring.keys_dir, position, every))
            if not wait or position.stage == "resting":
                return
            time.sleep(max(0.0, position.due - time.time()) + 0.1)
    except KeysError as error:
        raise click.ClickException(str(error)) from error


def _told(keys_dir: Path, position: rotation.Position, every: int | None) -> str:
    due = _time(position.due)
    if position.stage == "published":
        done = "The next key is published" if position.changed else "Waiting: the next key is published"
        return (
            f"{done} ({position.other}); {position.current} still signs.\n"
            f"Servers that keep public keys as a file need {keys.public_path(keys_dir, keys.NEXT)}, too.\n"
            f"It can sign from {due} on: run this command again then."
        )
    if position.stage == "signing":
        done = "A new key signs" if position.changed else "Waiting: the new key signs"
        return (
            f"{done} ({position.current}); tokens of {position.other} are still accepted.\n"
            f"The old key can go from {due} on: run this command again then."
        )
    if position.changed and position.other is None:
        return f"An interrupted replacement is complete: {position.current} is the only key."
    if position.changed:
        return f"The old key is retired ({position.other}); {position.current} is the only one. All is done."
    return f"Nothing to do: {position.current} is younger than {every} days. It is replaced from {due} on."


def _replace_at_once(keys_dir: Path) -> None:
    new = rotation.replace_at_once(keys_dir, algorithm=config.algorithm())
    click.echo(
        f"A new key signs ({new.kid}), and no other is accepted.\n"
        "All tokens issued before are refused: here from now on, by other servers when they next fetch "
        f"/authz/jwks.json, which they may put off for {rotation.MAX_AGE} seconds.\n"
        f"Servers that keep the public key as a file accept the old one until they are given "
        f"{keys.public_path(keys_dir)}: do it now."
    )


_NEW_KEY = {
    "ES256": "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "EdDSA": "-algorithm ED25519",
}


def _by_hand(keyring: Keyring, at_once: bool) -> None:
    signing = keyring.signing_key()
    others = [kid for kid in keyring.verification_keys() if kid != signing.kid]
    click.echo(
        f"The key that signs ({signing.kid}) is given by {_private_option(keyring)}, "
        "which this command cannot change.\n"
        f"Also published now: {', '.join(others) or 'no other key'}.\n"
    )
    private = shlex.quote(str(keyring.private_key_file or "old.pem"))
    public = shlex.quote(str(keyring.public_key_file or "public.pem"))
    kind = _NEW_KEY.get(signing.algorithm, "-algorithm RSA -pkeyopt rsa_keygen_bits:3072")
    make = (
        f"Make a new key:\n"
        f"     (umask 077; openssl genpkey {kind} -out new.pem)\n"
        f"     openssl pkey -in new.pem -pubout -out new.pub.pem"
    )
    if at_once:
        click.echo(
            f"1. {make}\n"
            f"2. Give every container new.pem as the private key and new.pub.pem as "
            f"jwt_public_key_file, both at once, and end those that still have the old key.\n"
            f"   All tokens issued before are refused then."
        )
        return
    first = "" if keyring.public_key_file else f"     openssl pkey -in {private} -pubout -out {public}\n"
    click.echo(
        f"1. {make}\n"
        f"2. Publish it: add it to the public keys (ckanext.authz_service.jwt_public_key_file):\n"
        f"{first}     cat new.pub.pem >> {public}\n"
        f"   Give this file to every container. Then wait {rotation.MAX_AGE + rotation.SLACK} seconds.\n"
        f"3. Sign with it: give every container new.pem as the private key, and the same public keys.\n"
        f"   Then wait {_longest_use() + rotation.SLACK} seconds, until tokens of the old key have expired.\n"
        f"4. Retire the old key: give every container new.pub.pem as the only public key.\n"
        f"In each step some containers may be ahead of others. `ckan authz keys list` says where one stands."
    )


def _private_option(keyring: Keyring) -> str:
    name = "jwt_private_key" if keyring.private_key else "jwt_private_key_file"
    return f"ckanext.authz_service.{name}"


def _place(keyring: Keyring, kid: str) -> str:
    """Where a published key comes from; for files of the directory of keys, the role is in the name."""
    if keyring.read_only and keyring.signing_key().kid == kid:
        return _private_option(keyring)
    for role in (keys.CURRENT, keys.NEXT, keys.PREVIOUS):
        path = keyring.keys_dir and keys.public_path(keyring.keys_dir, role)
        if path and path.exists() and keys.read_public(path).kid == kid:
            return str(path)
    return str(keyring.public_key_file or "")


def _longest_use() -> int:
    return config.max_lifetime() + tokens.LEEWAY


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
