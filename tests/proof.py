"""Tests that are worth more the longer they run: a small count in `make test`, the full one in `make proof`.

::

    @pytest.mark.proof(rounds=(5, 200), writers=(4, 8))
    def test_something(counts, chance):
        for _ in range(counts["rounds"]): ...

    @pytest.mark.proof(examples=(100, 100_000))
    @given(st.text())
    def test_something_else(text): ...

Each number is a pair: small, full. A test with a small count of 0 runs in `make proof` only. With
``--proof`` only such tests run, with their full counts, and each writes ``docs/proof/<test>.json``; what it
notes with pytest's `record_property` is in there, too. The seed in that file makes ``--proof-seed`` draw
the same numbers again (moments at which a process is killed are still the machine's).
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from bench import circumstances

RESULTS = Path(__file__).parent.parent / "docs" / "proof"
#: The marker's number that is Hypothesis's and not the test's own.
EXAMPLES = "examples"

#: What all results of a run have in common; with xdist its workers get it from the process that starts them.
_RUN = pytest.StashKey[dict[str, Any]]()
_EXAMPLES_RUN = pytest.StashKey[list[int]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("proof")
    group.addoption("--proof", action="store_true", help="run tests marked `proof`, with their full counts")
    group.addoption("--proof-seed", type=int, help="what is drawn at random begins here (default: anew)")
    group.addoption("--proof-results", type=Path, default=RESULTS, help="directory of the JSON files")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "proof(**counts): pairs of a small and a full count (tests/proof.py)")
    # No clock decides whether a test passes: the machine may be busy.
    slow = [hypothesis.HealthCheck.too_slow]
    hypothesis.settings.register_profile("no clock", deadline=None, suppress_health_check=slow)
    hypothesis.settings.load_profile("no clock")
    worker = getattr(config, "workerinput", None)
    config.stash[_RUN] = json.loads(worker["proof"]) if worker else _new_run(config)


def _new_run(config: pytest.Config) -> dict[str, Any]:
    run: dict[str, Any] = {"seed": config.option.proof_seed}
    if run["seed"] is None:
        run["seed"] = random.SystemRandom().randrange(2**32)
    if config.option.proof:
        # Now, because files may change while the tests run.
        run["commit"] = circumstances.commit()
        run["ckan"] = circumstances.ckan_version()
        run["date"] = datetime.now(timezone.utc).date().isoformat()
    return run


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["proof"] = json.dumps(node.config.stash[_RUN])


def pytest_report_header(config: pytest.Config) -> str:
    return f"proof seed: {config.stash[_RUN]['seed']}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker("proof")]
    for item in marked:
        if EXAMPLES in _counts(item):
            _prepare_hypothesis(item)
    if config.option.proof:
        chosen = marked
    else:
        chosen = [item for item in items if item not in marked or all(_counts(item).values())]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    yield
    asked = _counts(item).get(EXAMPLES) if item.get_closest_marker("proof") else None
    run = len(item.stash.get(_EXAMPLES_RUN, []))
    # Hypothesis ends without a word when it can think of no more examples.
    if item.config.option.proof and asked and run < asked:
        pytest.fail(f"Hypothesis tried {run} examples, fewer than the {asked} that this proof is about.")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    if item.config.option.proof and (call.when == "call" or (call.when == "setup" and not report.passed)):
        _write(item, report)
    return report


@pytest.fixture
def counts(request: pytest.FixtureRequest) -> dict[str, int]:
    """The numbers of the test's `proof` marker, as this run wants them."""
    return _counts(request.node)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test's own, whichever tests run before it."""
    return random.Random(_seed(request.node))


def _counts(item: pytest.Item) -> dict[str, int]:
    marker = item.get_closest_marker("proof")
    assert marker, f"{item.nodeid} is not marked `proof`"
    which = 1 if item.config.option.proof else 0
    return {name: pair[which] for name, pair in marker.kwargs.items()}


def _seed(item: pytest.Item) -> str:
    return f"{item.config.stash[_RUN]['seed']} {item.nodeid}"


def _prepare_hypothesis(item: Any) -> None:
    hypothesis.settings(max_examples=_counts(item)[EXAMPLES])(item.obj)
    hypothesis.seed(_seed(item))(item.obj)
    inner = item.obj.hypothesis.inner_test
    run: list[int] = item.stash.setdefault(_EXAMPLES_RUN, [])

    @functools.wraps(inner)
    def counted(*args: Any, **kwargs: Any) -> Any:
        run.append(1)
        return inner(*args, **kwargs)

    item.obj.hypothesis.inner_test = counted


def _write(item: pytest.Item, report: pytest.TestReport) -> None:
    name = re.sub(r"[^\w.-]+", "-", item.name.removeprefix("test_")).strip("-")
    directory: Path = item.config.option.proof_results
    result = {
        "test": item.nodeid,
        "counts": _counts(item),
        "observed": dict(item.user_properties),
        "result": report.outcome,
        **item.config.stash[_RUN],
    }
    directory.mkdir(parents=True, exist_ok=True)
    text = json.dumps(result, indent=2, ensure_ascii=False)
    (directory / f"{name}.json").write_text(text + "\n")
