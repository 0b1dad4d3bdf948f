"""Environments of other people's software, made once for a checkout, under ``.run/elsewhere``.

They are apart from CKAN's: that software has requirements of its own, and must not move CKAN's. It runs in
processes of its own and is told everything as JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from services.checkout import ROOT, RUN, exclusive
from services.node import NODE, NPM

HOME = RUN / "elsewhere"
PATIENCE = 120


def python(*packages: str) -> Path:
    """An interpreter with these packages from PyPI."""

    def make(directory: Path) -> None:
        uv = [sys.executable, "-m", "uv"]
        run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(directory)])
        interpreter = directory / "bin" / "python"
        run([*uv, "pip", "install", "--quiet", "--python", str(interpreter), *packages])

    return _made("python", (sys.version, *packages), make) / "bin" / "python"


def beside_ckan(*packages: str) -> Path:
    """A directory with exactly these packages from PyPI, and not with what they require: in ``PYTHONPATH`` it
    adds CKAN extensions, and what they need, to a process of CKAN."""

    def make(directory: Path) -> None:
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", sys.executable]
        run([*uv, "--no-deps", "--target", str(directory), *packages])
        shutil.rmtree(directory / "tests", ignore_errors=True)  # which some package leaves there
        # The package `ckanext` is there before the path is looked at, with one place only.
        (directory / "sitecustomize.py").write_text(
            f"import ckanext\nckanext.__path__.append({str(directory / 'ckanext')!r})\n"
        )

    return _made("beside-ckan", (sys.version, *packages), make)


def node(*packages: str) -> Path:
    """A directory with these packages from npm in its ``node_modules``."""

    def make(directory: Path) -> None:
        # Whatever npm writes down about what it installed has no addresses in it.
        quiet = [
            "--no-audit",
            "--no-fund",
            "--no-save",
            "--no-package-lock",
            "--omit-lockfile-registry-resolved",
        ]
        run([str(NODE), str(NPM), "install", *quiet, "--prefix", str(directory), *packages])

    return _made("node", packages, make)


def answer(command: Sequence[str | Path], question: Any, cwd: Path | None = None) -> Any:
    """What a program prints, as JSON, when it is given the question on its standard input."""
    return json.loads(run([str(part) for part in command], input=json.dumps(question), cwd=cwd))


def in_node(program: str, packages: Path, directory: Path) -> list[str | Path]:
    """The command that runs an ES module, written to this empty directory, with the packages of `node`."""
    (directory / "node_modules").symlink_to(packages / "node_modules")
    (directory / "program.mjs").write_text(program)
    return [NODE, directory / "program.mjs"]


def run(command: Sequence[str], input: str | None = None, cwd: Path | None = None) -> str:
    """What the command prints; if it fails, what it complained about is in the error."""
    # As for everything else here: services/environment.sh finds this machine's authorities.
    done = subprocess.run(
        ["bash", "-c", f'source "{ROOT}/services/environment.sh"; exec "$@"', "-", *command],
        input=input,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout


def _made(kind: str, ingredients: Sequence[str], make: Callable[[Path], None]) -> Path:
    recipe = "\n".join(ingredients)
    directory = HOME / f"{kind}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with exclusive("elsewhere"):
        stamp = directory / "complete"
        if not stamp.exists():
            directory.mkdir(parents=True, exist_ok=True)
            make(directory)
            stamp.write_text(recipe)
    return directory
