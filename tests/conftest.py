"""Gives each test process a CKAN of its own on the real services: see services/sandbox.py.

CKAN's pytest plugin loads `--ckan-ini` in `pytest_sessionstart`, so that is decided before, here.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from passlib.handlers.pbkdf2 import pbkdf2_sha512

from ckanext.authz_service import keys
from ckanext.external_storage.lfs import capability
from services import lifecycle, sandbox
from services.progress import Failure
from services.sandbox import Sandbox
from services.settings import Settings

pytest_plugins = ["tests.proof", "tests.s3", "tests.standing_site"]

#: Held until the process ends, because the claim on a sandbox is an open file.
SANDBOX = pytest.StashKey[Sandbox]()


def pytest_configure(config: pytest.Config) -> None:
    pbkdf2_sha512.default_rounds = 1000  # of 25,000: no test is about how long CKAN hashes a password
    # CKAN lets these override its ini file: the tests would run on another site's data.
    for name in [name for name in os.environ if name.startswith("CKAN_")]:
        del os.environ[name]
    settings = Settings.load()
    if settings is None or not lifecycle.all_answer(settings):
        raise pytest.UsageError(
            "The services of this checkout do not all run, and the tests use the real ones. "
            "Run `make services` (or `make test`, which does it)."
        )
    try:
        box = sandbox.take(settings)
    except Failure as failure:
        raise pytest.UsageError(str(failure)) from None
    keys.generate(Path(box.options["ckanext.authz_service.keys_dir"]))
    capability.generate(Path(box.options["ckanext.external_storage.capability_secret_file"]))
    config.stash[SANDBOX] = box
    config.option.ckan_ini = str(box.ini)


@pytest.fixture(autouse=True)
def logs_stay_on() -> Iterator[None]:
    """A command that runs in the test's process loads CKAN's log configuration, which switches off the
    loggers that are there already: later tests would find nothing in the log."""
    yield
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("ckanext.") and isinstance(logger, logging.Logger):
            logger.disabled = False
