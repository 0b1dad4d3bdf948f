"""What a figure is: contenders that do the same work, measured in turn, and how that is summed up.

Pure: no CKAN, no files.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

#: Does the work once and tells how long it took, in seconds.
Contender = Callable[[], float]

RESAMPLES = 2000


@dataclass(frozen=True)
class Case:
    """One line of a figure: for each contender what was measured, in the order of the rounds.

    ``values`` are seconds, or what else the figure's unit says. ``counts`` are further numbers about each
    contender, each with a name that becomes a column.
    """

    name: str
    values: Mapping[str, list[float]]
    counts: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Goal:
    """Ours at its percentile *percent* is at most *limit*: times the peer's there, or in *unit* if given."""

    limit: float
    percent: float = 50
    unit: str | None = None

    def __str__(self) -> str:
        name = "median" if self.percent == 50 else f"p{self.percent:g}"
        return f"{name} at most {self.limit:g} " + (self.unit or "times the peer's")


@dataclass(frozen=True)
class Figure:
    """``measure`` measures ``ours`` and ``peer``, and perhaps more contenders, in each of its cases.

    ``control`` is a contender that does exactly what ``peer`` does: how far its ratio is from 1 tells what
    the measurement itself is worth. ``goal`` is what is good enough. ``unit``: milliseconds or bytes.
    """

    what: str
    ours: str
    peer: str
    goal: Goal
    measure: Callable[[random.Random], Iterator[Case]]
    control: str | None = None
    unit: str = "ms"


@dataclass(frozen=True)
class Ratio:
    """A ratio of two medians, or of other percentiles, with the bounds of its 95 % interval."""

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


def ratio(ours: list[float], peer: list[float], chance: random.Random, percent: float = 50) -> Ratio:
    """The percentile of *ours* to that of *peer*; both are from the same rounds.

    The interval is a bootstrap over rounds: a slow moment that met both counts for both.
    """
    rounds = list(zip(ours, peer, strict=True))
    drawn = []
    for _ in range(RESAMPLES):
        sample = chance.choices(rounds, k=len(rounds))
        drawn.append(
            percentile([o for o, _ in sample], percent) / percentile([p for _, p in sample], percent)
        )
    value = percentile(ours, percent) / percentile(peer, percent)
    return Ratio(value, percentile(drawn, 2.5), percentile(drawn, 97.5))
