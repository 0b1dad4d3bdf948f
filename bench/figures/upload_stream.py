"""A file of 1 GiB sent to the server by one PUT (git-lfs' basic transfer), onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to a
file and no more. A new file each time. ``rss_growth_mib`` is what the server's process grew by while it
received.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench import large_files
from bench.figure import Case, Contender, Figure, Goal, in_turn
from bench.large_files import Growth, Made, Server
from services.settings import Settings

ROUNDS = 3
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with large_files.ours(settings) as (ours, _client, _dataset), large_files.theirs() as theirs:
        growth: dict[str, list[float]] = {OURS: [], PEER: []}

        def timed(name: str, server: Server) -> Contender:
            def put() -> float:
                file = Made(large_files.SIZE)
                action = server.action(file, "upload")
                grown = Growth(server.pid)
                seconds = large_files.put(action, file)
                growth[name].append(grown.peak())
                return seconds

            return put

        values = in_turn({OURS: timed(OURS, ours), PEER: timed(PEER, theirs)}, ROUNDS, 0, chance)
        counts = {name: {"rss_growth_mib": max(found)} for name, found in growth.items()}
        yield Case(f"PUT {large_files.SIZE >> 20} MiB", values, counts)


FIGURE = Figure(
    what="a file onto the local disk by one PUT, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(0.5),
    measure=measure,
)
