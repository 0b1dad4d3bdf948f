from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest

from bench import report
from bench.figure import Case, Figure, Goal

FIGURE = Figure("saving", ours="ours", peer="peer", goal=Goal(1.10), measure=lambda chance: iter(()))


def summed_up(ours: float) -> dict:
    case = Case("1 resource", {"peer": [0.050] * 9, "ours": [ours] * 9})
    return report.summed_up(case, FIGURE, random.Random(1))


@pytest.mark.parametrize(("ours", "reached"), [(0.054, True), (0.056, False)])
def test_the_goal_is_compared_with_the_ratio_of_medians(ours: float, reached: bool):
    assert summed_up(ours)["goal reached"] is reached


@pytest.mark.parametrize(
    ("goal", "reached"),
    [
        (Goal(1.5), True),
        (Goal(1.5, percent=95), False),
        (Goal(200, percent=95, unit="ms"), True),
        (Goal(150, percent=95, unit="ms"), False),
    ],
)
def test_a_goal_may_be_about_the_slowest_and_in_milliseconds(goal: Goal, reached: bool):
    case = Case("a", {"peer": [0.1] * 20, "ours": [0.1] * 17 + [0.2] * 3})
    found = report.summed_up(case, replace(FIGURE, goal=goal), random.Random(1))
    assert found["goal reached"] is reached


def test_bytes():
    case = Case("a", {"peer": [2000], "ours": [1000.5]})
    found = report.summed_up(case, replace(FIGURE, unit="bytes"), random.Random(1))
    assert found["contenders"]["ours"]["median bytes"] == 1000.5
    assert "2,000 bytes" in report.table([found])


def test_times_are_in_milliseconds_and_ratios_to_the_peer():
    contenders = summed_up(0.054)["contenders"]
    assert contenders["ours"] == {
        "rounds": 9,
        "min ms": 54.0,
        "median ms": 54.0,
        "p95 ms": 54.0,
        "ratio": {"value": 1.08, "low": 1.08, "high": 1.08},
    }
    assert "ratio" not in contenders["peer"]


def test_further_numbers_are_columns():
    case = Case("a", {"peer": [0.05], "ours": [0.05]}, {"ours": {"per second": 20.5, "SQL": 7}})
    found = report.summed_up(case, FIGURE, random.Random(1))
    assert found["contenders"]["ours"]["counts"] == {"per second": 20.5, "SQL": 7}
    head, peer, ours = report.table([found]).splitlines()
    assert head.endswith("95 % interval  per second  SQL")
    assert ours.endswith("20.5    7")
    assert peer.endswith("1")


def test_the_file_and_the_table_beside_it_say_the_same(tmp_path: Path):
    result = {"figure": "saving", "cases": [summed_up(0.054)]}
    path = report.write(tmp_path / "new", "saving", result)
    assert json.loads(path.read_text()) == result
    head, peer, ours = path.with_suffix(".txt").read_text().splitlines()
    assert head.split() == ["min", "median", "p95", "ratio", "95", "%", "interval"]
    assert peer.split() == ["1", "resource", "peer", *["50.0", "ms"] * 3, "1"]
    assert ours.split() == ["ours", *["54.0", "ms"] * 3, "1.080", "1.080", "to", "1.080"]
