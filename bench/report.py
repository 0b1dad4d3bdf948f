"""A figure's results: as a table to read and as a JSON file to keep."""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figure import Case, Figure, percentile, ratio

HEAD: tuple[str, ...] = ("", "", "min", "median", "p95", "ratio", "95 % interval")


def summed_up(case: Case, figure: Figure, chance: random.Random) -> dict[str, Any]:
    """The case as it is kept: milliseconds, and ratios to the peer."""
    peer = case.seconds[figure.peer]
    contenders = {}
    for name, seconds in case.seconds.items():
        contenders[name] = {
            "rounds": len(seconds),
            "min ms": _ms(min(seconds)),
            "median ms": _ms(statistics.median(seconds)),
            "p95 ms": _ms(percentile(seconds, 95)),
        }
        if name != figure.peer:
            found = asdict(ratio(seconds, peer, chance))
            contenders[name]["ratio"] = {bound: round(value, 3) for bound, value in found.items()}
        if name in case.counts:
            contenders[name]["counts"] = dict(case.counts[name])
    reached = contenders[figure.ours]["ratio"]["value"] <= figure.goal
    return {"case": case.name, "goal reached": reached, "contenders": contenders}


def table(cases: list[dict[str, Any]]) -> str:
    everything = [found for case in cases for found in case["contenders"].values()]
    counts = list(dict.fromkeys(name for found in everything for name in found.get("counts", {})))
    rows = [(*HEAD, *counts)]
    for case in cases:
        title = case["case"]
        for name, found in case["contenders"].items():
            times = [f"{found[key]:.1f} ms" for key in ("min ms", "median ms", "p95 ms")]
            numbers = (f"{found['counts'][key]:g}" if "counts" in found else "" for key in counts)
            rows.append((title, name, *times, *_shown(found.get("ratio")), *numbers))
            title = ""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        # Names to the left, numbers to the right.
        cells = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
        cells += [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def write(directory: Path, name: str, result: Mapping[str, Any]) -> Path:
    """``<name>.json`` with everything, and beside it ``<name>.txt``, the table for docs/development.rst."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.json"
    path.write_text(json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    path.with_suffix(".txt").write_text(table(result["cases"]) + "\n")
    return path


def _shown(found: Mapping[str, float] | None) -> tuple[str, str]:
    if found is None:
        return "1", ""
    return f"{found['value']:.3f}", f"{found['low']:.3f} to {found['high']:.3f}"


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
