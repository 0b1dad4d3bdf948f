"""What an administrator should know of a bucket: its clock, its rules for browsers, what it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from ckanext.external_storage.storage.base import Signed
from ckanext.external_storage.storage.probe import Finding
from ckanext.external_storage.storage.s3_connection import code_of

#: What a server answers that has no such rule, or nothing of the kind.
NO_RULE = ("ObjectLockConfigurationNotFoundError", "ReplicationConfigurationNotFoundError", "NotImplemented")
#: S3 refuses what was signed more than 15 minutes ago or ahead; a signature for a minute is dead much sooner.
CLOCK_SECONDS = 20


def examine(client: Any, bucket: str, signed: Signed, origins: list[str]) -> list[Finding]:
    """*signed*: a PUT that a browser might send, for asking whether it may."""
    found = []
    for check in (
        lambda: _clock(client, bucket),
        lambda: _versioning(client, bucket),
        lambda: _object_lock(client, bucket),
        lambda: _replication(client, bucket),
        lambda: _leftovers(client, bucket),
        *(lambda origin=origin: _cors(signed, origin) for origin in origins),
    ):
        found.extend(check())
    return found


def _ask(name: str, call: Any, **arguments: Any) -> tuple[dict[str, Any] | None, list[Finding]]:
    """The answer, None where the server has no such rule; or a finding that it does not tell."""
    try:
        return call(**arguments), []
    except ClientError as error:
        code = code_of(error)
        if code.startswith("NoSuch") or code in NO_RULE:
            return None, []
        return None, [
            Finding(
                name, False, f"The server does not tell ({code}).", "Look it up in the server's own settings."
            )
        ]
    except BotoCoreError as error:
        return None, [
            Finding(name, False, f"The server does not answer ({type(error).__name__}).", "Try again.")
        ]


def _clock(client: Any, bucket: str) -> Iterator[Finding]:
    try:
        answer = client.head_bucket(Bucket=bucket)
    except ClientError as error:
        answer = error.response
    except BotoCoreError:
        return
    date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
    if not date:
        return
    seconds = abs((datetime.now(timezone.utc) - parsedate_to_datetime(date)).total_seconds())
    if seconds <= CLOCK_SECONDS:
        yield Finding("clock", True, "This machine's clock agrees with the store's.")
    else:
        yield Finding(
            "clock",
            False,
            f"This machine's clock and the store's are {seconds:.0f} seconds apart, so signed requests fail.",
            "Let a time service set this machine's clock (timedatectl set-ntp true).",
        )


def _versioning(client: Any, bucket: str) -> Iterator[Finding]:
    answer, failed = _ask("versions", client.get_bucket_versioning, Bucket=bucket)
    yield from failed
    if failed:
        return
    kept = (answer or {}).get("Status")
    told = "The bucket keeps versions; what is deleted goes with all of them."
    yield Finding("versions", True, told if kept else "The bucket keeps no versions.")


def _replication(client: Any, bucket: str) -> Iterator[Finding]:
    answer, failed = _ask("replication", client.get_bucket_replication, Bucket=bucket)
    yield from failed
    if answer:
        yield Finding(
            "replication",
            False,
            "A rule copies the bucket to another one, where we delete nothing: what must be erased stays.",
            "Make sure that deletions are copied with all versions, or erase there, too.",
        )
    elif not failed:
        yield Finding("replication", True, "No rule copies the bucket to another one.")


def _object_lock(client: Any, bucket: str) -> Iterator[Finding]:
    answer, failed = _ask("object lock", client.get_object_lock_configuration, Bucket=bucket)
    yield from failed
    if failed:
        return
    rule = (answer or {}).get("ObjectLockConfiguration", {}).get("Rule")
    if rule:
        yield Finding(
            "object lock",
            False,
            "The bucket locks objects, so nothing can be deleted or erased before the lock ends.",
            "Remove the bucket's default retention, or use another bucket.",
        )
    else:
        yield Finding("object lock", True, "Objects can be deleted at any time.")


def _leftovers(client: Any, bucket: str) -> Iterator[Finding]:
    answer, failed = _ask("unfinished uploads", client.get_bucket_lifecycle_configuration, Bucket=bucket)
    yield from failed
    rules = (answer or {}).get("Rules", [])
    expiring = [rule for rule in rules if rule.get("Status") == "Enabled" and rule.get("Expiration")]
    if expiring:
        yield Finding(
            "unfinished uploads",
            False,
            "A lifecycle rule of the bucket deletes objects by age: files of datasets would vanish.",
            "Remove the rule, or make sure that it does not apply to our prefix.",
        )
    elif any("AbortIncompleteMultipartUpload" in rule for rule in rules):
        yield Finding("unfinished uploads", True, "A lifecycle rule removes unfinished uploads, too.")
    elif not failed:
        yield Finding(
            "unfinished uploads",
            True,
            "No lifecycle rule removes unfinished uploads; `ckan external-storage sweep` does it.",
        )


def _cors(signed: Signed, origin: str) -> Iterator[Finding]:
    """Asks as a browser does before it sends a file (the Fetch standard's preflight)."""
    wanted = sorted(name.lower() for name in signed.header)
    try:
        answer = requests.options(
            signed.href,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "PUT",
                "Access-Control-Request-Headers": ",".join(wanted),
            },
            timeout=30,
        )
    except requests.RequestException:
        return  # said already: the address does not answer from here
    allowed = {
        name.strip().lower() for name in answer.headers.get("Access-Control-Allow-Headers", "").split(",")
    }
    granted = (
        answer.ok
        and answer.headers.get("Access-Control-Allow-Origin") in (origin, "*")
        and ("*" in allowed or set(wanted) <= allowed)
    )
    if granted:
        yield Finding("CORS", True, f"Browsers on {origin} may send files.")
    else:
        yield Finding(
            "CORS",
            False,
            f"The bucket does not let browsers on {origin} send files.",
            "Set the bucket's CORS rule as in the documentation (external_storage_stores): PUT and GET for"
            f" this origin, the headers {', '.join(wanted)}, and ETag exposed.",
        )
