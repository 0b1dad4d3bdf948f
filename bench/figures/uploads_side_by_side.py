"""50 files of 20 MB sent to the server at the same time, each by one PUT, onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to
files and no more. New files each time. ``rss_growth_mib`` is what the server's process grew by meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

from bench import large_files
from bench.figure import Case, Figure, Goal
from bench.large_files import uploads
from services.settings import Settings

FILES, SIZE, ROUNDS = 50, 20_000_000, 5
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with large_files.ours(settings) as (ours, _client, _dataset), large_files.theirs() as theirs:
        works = {
            name: (server.pid, partial(uploads, server, FILES, SIZE))
            for name, server in ((OURS, ours), (PEER, theirs))
        }
        yield large_files.case(f"PUT of {FILES} files of {SIZE // 1_000_000} MB", works, ROUNDS, chance)


FIGURE = Figure(
    what="50 files of 20 MB onto the local disk at the same time, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(1.5),
    measure=measure,
)
