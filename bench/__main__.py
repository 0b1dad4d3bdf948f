"""``python -m bench [figure …]``: measure, show, and write ``docs/bench/<figure>.json``."""

from __future__ import annotations

import argparse
import pkgutil
import random
from datetime import datetime, timezone
from importlib import import_module

from bench import circumstances, figures, report
from bench.figure import Figure
from services import lifecycle
from services.checkout import ROOT
from services.progress import Failure, exit_with
from services.settings import Settings

RESULTS = ROOT / "docs" / "bench"
NAMES = sorted(module.name for module in pkgutil.iter_modules(figures.__path__))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench")
    parser.add_argument("figure", nargs="*", choices=[*NAMES, []], help="all, if none is named")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given = parser.parse_args()
    try:
        settings = Settings.load()
        if settings is None or not lifecycle.all_answer(settings):
            raise Failure("The services do not run.", "run `make bench`, which starts them.")
        for name in given.figure or NAMES:
            run(name, import_module(f"bench.figures.{name}").FIGURE, settings, given.seed)
    except Failure as failure:
        exit_with(failure)


def run(name: str, figure: Figure, settings: Settings, seed: int) -> None:
    chance = random.Random(seed)
    result = {
        "figure": name,
        "what": figure.what,
        "ours": figure.ours,
        "peer": figure.peer,
        "control": figure.control,
        "goal": str(figure.goal),
        "commit": circumstances.commit(),
        "ckan": circumstances.ckan_version(),
        "machine": circumstances.machine(settings),
        "date": datetime.now(timezone.utc).date().isoformat(),
        "seed": seed,
        "cases": [],
    }
    print(f"{name}: {figure.what}; goal: {result['goal']}", flush=True)
    for case in figure.measure(chance):
        print(f"  {case.name} measured", flush=True)
        result["cases"].append(report.summed_up(case, figure, chance))
    path = report.write(RESULTS, name, result)
    print(f"\n{report.table(result['cases'])}\n\nWritten to {path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
