"""The counts of `make proof` (tests/proof.py), seen from outside: a file of tests, run by another pytest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent

TESTS = """
import pytest
from hypothesis import given, strategies as st

@pytest.mark.proof(rounds=(2, 30), writers=(3, 8))
def test_counted(counts, chance, record_property):
    record_property("drawn", chance.random())
    record_property("given", counts)

@pytest.mark.proof(rounds=(1, 2))
def test_that_fails(counts):
    assert counts["rounds"] == 1

@pytest.mark.proof(examples=(5, 400))
@given(st.integers())
def test_fuzz(number):
    with open("examples", "a") as file:
        file.write("x")

@pytest.mark.proof(examples=(5, 400))
@given(st.booleans())
def test_fuzz_of_too_little(truth):
    pass

def test_without_counts():
    open("was run", "w").close()
"""


@pytest.fixture
def run(tmp_path: Path):
    (tmp_path / "test_these.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    # As in tests/conftest.py, and found by xdist's workers, too.
    plugin = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\npytest_plugins = ['tests.proof']\n"
    (tmp_path / "conftest.py").write_text(plugin)

    def run(*options: str) -> dict[str, Any]:
        """What the run wrote, by test."""
        # CKAN's pytest plugin wants an ini file.
        command = [sys.executable, "-m", "pytest", "-p", "no:ckan", *options, "--proof-results", "results"]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stdout + done.stderr
        return {path.stem: json.loads(path.read_text()) for path in (tmp_path / "results").glob("*")}

    return run


def test_without_the_option_counts_are_small_and_nothing_is_written(run, tmp_path: Path):
    assert run() == {}
    assert (tmp_path / "was run").exists()
    assert len((tmp_path / "examples").read_text()) == 5


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one process", "two workers"])
def test_with_the_option_marked_tests_run_with_full_counts_and_tell(run, tmp_path: Path, workers: list[str]):
    results = run("--proof", *workers)
    assert set(results) == {"counted", "that_fails", "fuzz", "fuzz_of_too_little"}
    assert not (tmp_path / "was run").exists()
    counted = results["counted"]
    assert counted["test"] == "test_these.py::test_counted"
    assert counted["counts"] == counted["observed"]["given"] == {"rounds": 30, "writers": 8}
    assert (counted["result"], results["that_fails"]["result"]) == ("passed", "failed")
    assert results["fuzz"]["counts"] == {"examples": 400}
    assert results["fuzz"]["result"] == "passed"
    assert len((tmp_path / "examples").read_text()) >= 400
    assert results["fuzz_of_too_little"]["result"] == "failed", "there are only two truths"
    same = [{result[key] for result in results.values()} for key in ("seed", "commit", "ckan", "date")]
    assert [len(values) for values in same] == [1, 1, 1, 1]


def test_the_seed_in_the_file_draws_the_same_again(run):
    first = run("--proof")["counted"]
    again = run("--proof", "--proof-seed", str(first["seed"]))["counted"]
    other = run("--proof", "--proof-seed", str(first["seed"] + 1))["counted"]
    assert again["observed"] == first["observed"]
    assert other["observed"] != first["observed"]
