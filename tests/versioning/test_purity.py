from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        *("changes", "doi", "errors", "fields", "hashing", "history", "numbering", "refs", "reverting"),
        *("snapshot", "words"),
    ],
)
def test_the_core_needs_neither_ckan_nor_a_database(module: str):
    program = (
        f"import sys, ckanext.versioning.{module}\n"
        "print(sorted({'ckan', 'ckantoolkit', 'flask', 'sqlalchemy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
