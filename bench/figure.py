"""What a figure is: contenders that do the same work, timed in turn, and how their times are summed up.

Pure: no CKAN, no files.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

#: Does the work once and tells how long it took, in seconds.
Contender = Callable[[], float]

RESAMPLES = 2000


@dataclass(frozen=True)
class Case:
    """One line of a figure: for each contender its seconds, in the order of the rounds.

    ``counts`` are further numbers about each contender, each with a name that becomes a column.
    """

    name: str
    seconds: Mapping[str, list[float]]
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Figure:
    """``measure`` times ``ours`` and ``peer``, and perhaps more contenders, in each of its cases.

    ``control`` is a contender that does exactly what ``peer`` does: how far its ratio is from 1 tells what
    the measurement itself is worth. ``goal`` is the highest ratio of ours to the peer that is good enough.
    """

    what: str
    ours: str
    peer: str
    goal: float
    measure: Callable[[random.Random], Iterator[Case]]
    control: str | None = None


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, with the bounds of its 95 % interval."""

    value: float
    low: float
    high: float


def in_turn(
    contenders: Mapping[str, Contender], rounds: int, warm_up: int, chance: random.Random
) -> dict[str, list[float]]:
    """Let each contender work once per round, in an order drawn anew for each round.

    So what else the machine does meets all of them alike. The first *warm_up* rounds do not count.
    """
    order = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in order}
    for turn in range(warm_up + rounds):
        chance.shuffle(order)
        for name in order:
            taken = contenders[name]()
            if turn >= warm_up:
                seconds[name].append(taken)
    return seconds


def percentile(values: list[float], percent: float) -> float:
    """The value below which *percent* of all lie, between neighbours in proportion."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def ratio(ours: list[float], peer: list[float], chance: random.Random) -> Ratio:
    """Median of *ours* to median of *peer*, which are from the same rounds.

    The interval is a bootstrap over rounds: a slow moment that met both counts for both.
    """
    rounds = list(zip(ours, peer, strict=True))
    drawn = []
    for _ in range(RESAMPLES):
        sample = chance.choices(rounds, k=len(rounds))
        drawn.append(statistics.median(o for o, _ in sample) / statistics.median(p for _, p in sample))
    value = statistics.median(ours) / statistics.median(peer)
    return Ratio(value, percentile(drawn, 2.5), percentile(drawn, 97.5))
