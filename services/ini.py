"""CKAN's ini files, which are written for each site that runs on these services."""

from __future__ import annotations

from collections.abc import Mapping
from configparser import ConfigParser
from pathlib import Path

from services.checkout import ROOT

#: CKAN 2.11 looks for these sections in the very file it is started with, not in one that it uses.
LOGGING = """
[loggers]
keys = root, ckan, ckanext

[handlers]
keys = console

[formatters]
keys = generic

[logger_root]
level = WARNING
handlers = console

[logger_ckan]
level = INFO
handlers =
qualname = ckan

[logger_ckanext]
level = DEBUG
handlers =
qualname = ckanext

[handler_console]
class = StreamHandler
args = (sys.stderr,)
level = NOTSET
formatter = generic

[formatter_generic]
format = %(asctime)s %(levelname)-5.5s [%(name)s] %(message)s
"""


def directory_options(directory: Path) -> dict[str, str]:
    """Where one CKAN and our plugins keep files, all in one directory."""
    return {
        "ckan.storage_path": str(directory / "storage"),
        "ckanext.authz_service.keys_dir": str(directory / "authz-keys"),
        "ckanext.external_storage.local.path": str(directory / "objects"),
        "ckanext.external_storage.capability_secret_file": str(directory / "capability-secret"),
    }


def text(options: Mapping[str, str], *, base: Path | None = None) -> str:
    """The file's text. With ``base``, everything that is not in ``options`` comes from that ini file."""
    first = {"use": f"config:{base}" if base else "egg:ckan"}
    # CKAN's reader expands %(name)s.
    lines = [f"{name} = {value.replace('%', '%%')}" for name, value in {**first, **options}.items()]
    return "\n".join(["[app:main]", *lines, LOGGING])


def test_plugins() -> str:
    parser = ConfigParser()
    parser.read(ROOT / "test.ini")
    return parser["app:main"]["ckan.plugins"]
