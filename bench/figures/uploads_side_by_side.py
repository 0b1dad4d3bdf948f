"""50 files of 20 MB sent to the server at the same time, each by one PUT, onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to
files and no more. New files each time. ``rss_growth_mib`` is what the server's process grew by meanwhile.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench.figure import Case, Figure, Goal
from bench.large_files import uploads_to_both

FILES, SIZE, ROUNDS = 50, 20_000_000, 5
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    name = f"PUT of {FILES} files of {SIZE // 1_000_000} MB"
    yield uploads_to_both(name, FILES, SIZE, (OURS, PEER), ROUNDS, chance)


FIGURE = Figure(
    what="50 files of 20 MB onto the local disk at the same time, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(1.5),
    measure=measure,
)
