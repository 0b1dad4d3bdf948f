"""A file of 1 GiB sent to the server by one PUT (git-lfs' basic transfer), onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to a
file and no more. A new file each time. ``rss_growth_mib`` is what the server's process grew by while it
received.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from bench import large_files
from bench.figure import Case, Figure, Goal
from bench.large_files import uploads
from services.settings import Settings

ROUNDS = 3
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with large_files.ours(settings) as (ours, _client, _dataset), large_files.theirs() as theirs:
        works = {
            name: (server.pid, partial(uploads, server, 1, large_files.SIZE))
            for name, server in ((OURS, ours), (PEER, theirs))
        }
        yield large_files.case(f"PUT {large_files.SIZE >> 20} MiB", works, ROUNDS, chance)


FIGURE = Figure(
    what="a file onto the local disk by one PUT, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(0.5),
    measure=measure,
)
