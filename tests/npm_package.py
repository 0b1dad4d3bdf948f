"""The package in sdk/ as others have it: packed, and installed into a project of its own."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

from services import node
from services.checkout import RUN, exclusive
from tests.interop import elsewhere

NAME = "ckanext-publish-client"
_INPUT = ("package.json", "package-lock.json", "build.mjs", "tsconfig*.json", "README.md", "src/**/*.ts")


def project() -> Path:
    """A directory with the package, and what it needs, in ``node_modules``; made once for what sdk/ is."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in _INPUT for file in node.SDK.glob(pattern)):
        digest.update(file.read_bytes())
    directory = RUN / "elsewhere" / f"client-{digest.hexdigest()[:12]}"
    node.packages()
    with exclusive("client package"):
        if not (directory / "complete").exists():
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(parents=True)
            node.run(node.NPM, "pack", "--silent", "--pack-destination", str(directory))
            (archive,) = directory.glob("*.tgz")
            quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--prefer-offline", "--silent"]
            node.run(node.NPM, "install", *quiet, "--prefix", str(directory), str(archive))
            (directory / "complete").touch()
    return directory


def run(program: str, directory: Path, question: Any = None) -> Any:
    """What a module of the project prints, as JSON, when it has the question on its standard input.

    directory: an empty one, for the module.
    """
    return elsewhere.answer(elsewhere.in_node(program, project(), directory), question)
