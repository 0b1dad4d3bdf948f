"""A file of 1 GiB sent to the server by one PUT (git-lfs' basic transfer), onto the local disk.

Ours hashes what arrives, compares, and has it on the disk (fsync) before it answers; giftless writes it to a
file and no more. A new file each time. ``rss_growth_mib`` is what the server's process grew by while it
received.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench.figure import Case, Figure, Goal
from bench.large_files import SIZE, uploads_to_both

ROUNDS = 3
OURS, PEER = "external_storage", "giftless 0.6.2"


def measure(chance: random.Random) -> Iterator[Case]:
    name = f"PUT {SIZE >> 20} MiB"
    yield uploads_to_both(name, 1, SIZE, (OURS, PEER), ROUNDS, chance)


FIGURE = Figure(
    what="a file onto the local disk by one PUT, ours hashed and fsynced",
    ours=OURS,
    peer=PEER,
    goal=Goal(0.5),
    measure=measure,
)
