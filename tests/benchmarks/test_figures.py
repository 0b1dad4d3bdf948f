"""Each figure was measured and is in the docs."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from bench.__main__ import NAMES, RESULTS
from bench.figure import Figure


def test_there_are_figures():
    assert "package_patch" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_was_measured_as_it_is_defined_now_and_is_documented(name: str):
    figure: Figure = import_module(f"bench.figures.{name}").FIGURE
    result = json.loads((RESULTS / f"{name}.json").read_text())
    assert [result[key] for key in ("figure", "what", "ours", "peer", "control", "goal")] == [
        name,
        figure.what,
        figure.ours,
        figure.peer,
        figure.control,
        str(figure.goal),
    ]
    page = (RESULTS.parent / "development.rst").read_text()
    assert f".. literalinclude:: bench/{name}.txt" in page
