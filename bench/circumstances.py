"""Under which circumstances something was measured or proved: commit, versions, machine."""

from __future__ import annotations

import os
import platform
import subprocess
from contextlib import closing
from importlib.metadata import version
from typing import Any

import psycopg2

from services.checkout import ROOT
from services.settings import Settings

#: What the results themselves are written to: it does not change what is measured.
_RESULTS = ("docs/bench", "docs/proof")


def commit() -> str:
    """The commit that is checked out, with ``-dirty`` if files differ from it."""
    head = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--", ".", *(f":(exclude){path}" for path in _RESULTS))
    return f"{head}-dirty" if changed else head


def ckan_version() -> str:
    return version("ckan")


def machine(settings: Settings) -> dict[str, Any]:
    """Cores, versions, and how busy the machine was: the mean number of processes that wanted to run."""
    with closing(psycopg2.connect(settings.database_url("postgres"))) as connection:
        postgresql = connection.server_version
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "postgresql": f"{postgresql // 10000}.{postgresql % 10000}",
        "load before": round(os.getloadavg()[0], 1),
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()
