"""What of the TypeScript needs no server, in Node; and what it knows of the server is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ckanext.external_storage import errors
from services import node


def test_in_node(tmp_path: Path):
    node.tests(tmp_path)
    done = subprocess.run(
        [node.NODE, "--test", "--test-reporter=spec", tmp_path / "pure.test.mjs"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_codes_that_it_knows_are_codes_of_the_server():
    source = (node.SDK / "src" / "errors.ts").read_text()
    known = set(re.findall(r"^  ([a-z_]+): \"", source, re.MULTILINE))
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.__new__(kind).code for kind in kinds if issubclass(kind, errors.StorageError)}
    assert "upload_over" in known
    assert known <= codes
