from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module", ["scope", "authorizer", "keys", "keyring", "rotation", "tokens", "giftless", "errors"]
)
def test_the_core_needs_neither_ckan_nor_flask(module):
    program = (
        f"import sys, ckanext.authz_service.{module}\n"
        "print(sorted({'ckan', 'ckantoolkit', 'flask', 'sqlalchemy'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.parametrize("module", ["ledger", "model"])
def test_the_ledger_needs_a_database_and_no_ckan(module):
    program = (
        f"import sys, ckanext.authz_service.{module}\n"
        "print(sorted({'ckan', 'ckantoolkit', 'flask'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"
