"""A stored file of 1 GiB over HTTP: a resource's download address in CKAN, and giftless' download.

Both from the local disk (from the system's cache: the file has just been written), by one client at a time.
CKAN checks permission in that time; giftless has done so in the batch before. ``rss_growth_mib`` is what the
server's process grew by while it sent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench import large_files
from bench.figure import Case, Contender, Figure, Goal
from bench.large_files import Made
from services.settings import Settings

ROUNDS = 3
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    file = Made(large_files.SIZE)
    with large_files.ours(settings) as (ours, client, dataset), large_files.theirs() as theirs:
        for server in (ours, theirs):
            large_files.put(server.action(file, "upload"), file)
        resource = client.action(
            "resource_create", package_id=dataset, url="large.bin", url_type="upload", sha256=file.oid
        )
        url = f"{client.url}/dataset/{dataset}/resource/{resource['id']}/download"

        def get(asked: Callable[[], dict[str, Any]]) -> Contender:
            given = asked()
            return partial(large_files.get, given["href"], given.get("header") or {}, file)

        works = {
            OURS: (ours.pid, partial(get, lambda: {"href": url})),
            PEER: (theirs.pid, partial(get, lambda: theirs.action(file, "download"))),
        }
        yield large_files.case(f"GET {file.size >> 20} MiB", works, ROUNDS, chance)


FIGURE = Figure(
    what="a stored file over HTTP, from the local disk",
    ours=OURS,
    peer=PEER,
    goal=Goal(0.1),
    measure=measure,
)
