from __future__ import annotations

import random

import pytest

from bench.figure import in_turn, percentile, ratio


def test_contenders_take_turns_and_the_warm_up_does_not_count():
    calls: list[str] = []

    def contender(name: str):
        def work() -> float:
            calls.append(name)
            return calls.count(name)  # as if each round took a second longer

        return work

    contenders = {name: contender(name) for name in ("ours", "peer", "control")}
    seconds = in_turn(contenders, rounds=20, warm_up=3, chance=random.Random(1))
    rounds = [tuple(calls[place : place + 3]) for place in range(0, len(calls), 3)]
    assert len(rounds) == 23
    assert {frozenset(order) for order in rounds} == {frozenset(contenders)}
    assert len(set(rounds)) > 1, "the order is drawn anew"
    assert seconds == {name: list(range(4, 24)) for name in contenders}


@pytest.mark.parametrize(
    ("values", "percent", "expected"),
    [
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([1.0, 2.0], 50, 1.5),
        ([1.0, 2.0, 3.0, 4.0, 5.0], 95, 4.8),
        ([1.0, 2.0], 0, 1.0),
        ([1.0, 2.0], 100, 2.0),
        ([7.0], 95, 7.0),
    ],
)
def test_percentile(values: list[float], percent: float, expected: float):
    assert percentile(values, percent) == pytest.approx(expected)


def test_a_ratio_without_noise_has_no_spread():
    found = ratio([1.1] * 50, [1.0] * 50, random.Random(1))
    assert (found.value, found.low, found.high) == pytest.approx((1.1, 1.1, 1.1))


def test_noise_that_meets_both_is_not_in_the_ratio_but_noise_of_one_is():
    chance = random.Random(1)
    peer = [chance.uniform(1, 3) for _ in range(100)]
    together = ratio([1.1 * seconds for seconds in peer], peer, chance)
    assert (together.low, together.high) == pytest.approx((1.1, 1.1))
    apart = ratio([1.1 * chance.uniform(1, 3) for _ in peer], peer, chance)
    assert apart.low < apart.value < apart.high
    assert apart.high - apart.low > 0.05
