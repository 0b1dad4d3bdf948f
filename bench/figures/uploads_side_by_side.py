"""50 files of 20 MB sent to the server at the same time, each by one PUT, onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to
files and no more. New files each time. ``rss_growth_mib`` is what the server's process grew by meanwhile.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from bench import large_files
from bench.figure import Case, Contender, Figure, Goal, in_turn
from bench.large_files import Growth, Made, Server
from services.settings import Settings

FILES, SIZE, ROUNDS = 50, 20_000_000, 5
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with large_files.ours(settings) as (ours, _client, _dataset), large_files.theirs() as theirs:
        growth: dict[str, list[float]] = {OURS: [], PEER: []}

        def timed(name: str, server: Server) -> Contender:
            def put() -> float:
                files = [Made(SIZE) for _ in range(FILES)]
                uploads = [answer["upload"] for answer in server.actions(files, "upload")]
                grown, started = Growth(server.pid), time.perf_counter()
                with ThreadPoolExecutor(FILES) as pool:
                    list(pool.map(large_files.put, uploads, files))
                seconds = time.perf_counter() - started
                growth[name].append(grown.peak())
                return seconds

            return put

        values = in_turn({OURS: timed(OURS, ours), PEER: timed(PEER, theirs)}, ROUNDS, 0, chance)
        counts = {name: {"rss_growth_mib": max(found)} for name, found in growth.items()}
        yield Case(f"PUT of {FILES} files of {SIZE // 1_000_000} MB", values, counts)


FIGURE = Figure(
    what="50 files of 20 MB onto the local disk at the same time, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(1.5),
    measure=measure,
)
