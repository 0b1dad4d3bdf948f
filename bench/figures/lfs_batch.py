"""A Git LFS batch of 100 objects, as git-lfs asks for them: ours, and that of giftless 0.6.2.

With files on the local disk, and on an S3 server on this machine. Each serves from a process of its own; the
same kind of request goes to them in turn, on a connection that stays. Uploads are of objects that nobody has,
downloads of objects that are there. In an answer about files on S3, every upload has a signed request of its
own.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import requests

from bench import large_files
from bench.figure import Case, Figure, Goal, in_turn
from bench.large_files import Server
from services.settings import Settings

OBJECTS, ROUNDS, WARM_UP = 100, 30, 3
OURS, PEER, CONTROL = "external_storage", "giftless 0.6.2", "giftless again"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    for where in ("local", "S3"):
        with ExitStack() as stack:
            options, on_s3 = None, None
            if where == "S3":
                client, bucket, options = stack.enter_context(large_files.bucket(settings))
                on_s3 = giftless_on(client.meta.endpoint_url, bucket)
                # Its own chain of credentials is the only one that giftless knows; what it signs by itself
                # is of a kind that servers do not take any more.
                configuration = Path(stack.enter_context(tempfile.TemporaryDirectory()), "config")
                configuration.write_text("[default]\ns3 =\n  signature_version = s3v4\n")
                os.environ["AWS_CONFIG_FILE"] = str(configuration)
                os.environ["AWS_ACCESS_KEY_ID"] = options["ckanext.external_storage.s3.access_key_id"]
                os.environ["AWS_SECRET_ACCESS_KEY"] = options["ckanext.external_storage.s3.secret_access_key"]
            ours, _client, _dataset = stack.enter_context(large_files.ours(settings, options))
            theirs = stack.enter_context(large_files.theirs(on_s3))
            for operation in ("upload", "download"):
                contenders = {
                    OURS: contender(ours, operation),
                    PEER: contender(theirs, operation),
                    CONTROL: contender(theirs, operation),
                }
                case = f"{where}, {operation} of {OBJECTS}"
                yield Case(case, in_turn(contenders, ROUNDS, WARM_UP, chance))


def giftless_on(endpoint: str, bucket: str) -> str:
    adapter = {
        "factory": "giftless.transfer.basic_external:factory",
        "options": {
            "storage_class": "giftless.storage.amazon_s3:AmazonS3Storage",
            "storage_options": {"bucket_name": bucket, "path_prefix": "giftless", "endpoint": endpoint},
        },
    }
    return json.dumps({"TRANSFER_ADAPTERS": {"basic": adapter}})  # which is YAML, too


def contender(server: Server, operation: str) -> Callable[[], float]:
    """Seconds that a batch of *operation* takes."""
    http = requests.Session()
    there = [os.urandom(64) for _ in range(OBJECTS)]
    if operation == "download":
        bring(server, http, there)

    def batch() -> float:
        contents = there if operation == "download" else [os.urandom(64) for _ in range(OBJECTS)]
        seconds, answers = server.ask(http, operation, [pointer(content) for content in contents])
        assert all(operation in answer["actions"] for answer in answers)
        return seconds

    return batch


def pointer(content: bytes) -> dict[str, Any]:
    return {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}


def bring(server: Server, http: requests.Session, contents: list[bytes]) -> None:
    _, answers = server.ask(http, "upload", [pointer(content) for content in contents])
    for content, answer in zip(contents, answers, strict=True):
        upload, verify = (answer["actions"][name] for name in ("upload", "verify"))
        sent = http.put(server.reachable(upload["href"]), content, headers=upload.get("header"), timeout=60)
        assert sent.ok, sent.text
        large_files.confirm({**verify, "href": server.reachable(verify["href"])}, pointer(content))


FIGURE = Figure(
    what="a Git LFS batch of 100 objects",
    ours=OURS,
    peer=PEER,
    control=CONTROL,
    goal=Goal(0.2),
    measure=measure,
)
