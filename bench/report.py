"""A figure's results: as a table to read and as a JSON file to keep."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.figure import Case, Figure, percentile, ratio

HEAD: tuple[str, ...] = ("", "", "min", "median", "p95", "ratio", "95 % interval")
TIMES = ("min", "median", "p95")


def summed_up(case: Case, figure: Figure, chance: random.Random) -> dict[str, Any]:
    """The case as it is kept: milliseconds or bytes, and ratios to the peer."""
    goal, scale = figure.goal, 1000 if figure.unit == "ms" else 1
    peer = case.values[figure.peer]
    contenders = {}
    for name, values in case.values.items():
        found = (min(values), percentile(values, 50), percentile(values, 95))
        contenders[name] = {"rounds": len(values)} | {
            f"{key} {figure.unit}": round(value * scale, 2) for key, value in zip(TIMES, found, strict=True)
        }
        if name != figure.peer:
            found = asdict(ratio(values, peer, chance, goal.percent))
            contenders[name]["ratio"] = {bound: round(value, 3) for bound, value in found.items()}
        if name in case.counts:
            contenders[name]["counts"] = dict(case.counts[name])
    if goal.unit:
        reached = percentile(case.values[figure.ours], goal.percent) * scale <= goal.limit
    else:
        reached = contenders[figure.ours]["ratio"]["value"] <= goal.limit
    return {"case": case.name, "goal reached": reached, "unit": figure.unit, "contenders": contenders}


def table(cases: list[dict[str, Any]]) -> str:
    everything = [found for case in cases for found in case["contenders"].values()]
    counts = list(dict.fromkeys(name for found in everything for name in found.get("counts", {})))
    rows = [(*HEAD, *counts)]
    for case in cases:
        title = case["case"]
        for name, found in case["contenders"].items():
            unit = case["unit"]
            times = [f"{found[f'{key} {unit}']:,.{unit == 'ms':d}f} {unit}" for key in TIMES]
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
