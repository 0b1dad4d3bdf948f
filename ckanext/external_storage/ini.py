"""A site's options without CKAN: from its ini file and the environment, as CKAN reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from configparser import ConfigParser, RawConfigParser
from pathlib import Path
from typing import Any

import yaml

#: Variables that CKAN lets override the file, as far as they matter to a server without it.
FROM_ENVIRONMENT = {
    "sqlalchemy.url": "CKAN_SQLALCHEMY_URL",
    "ckan.site_url": "CKAN_SITE_URL",
    "ckan.site_id": "CKAN_SITE_ID",
    "ckan.redis.url": "CKAN_REDIS_URL",
}
#: What CKAN itself declares for options of its own that our plugins read.
CORE_DEFAULTS = {
    "ckan.site_id": "default",
    "ckan.redis.url": "redis://localhost:6379/0",
    "ckan.jobs.timeout": "180",
}
REQUIRED = ("ckan.site_url", "sqlalchemy.url")

_SECTION = "app:main"
_EXTENSIONS = Path(__file__).parent.parent
_TRUE = ("true", "yes", "on", "y", "t", "1")
_FALSE = ("false", "no", "off", "n", "f", "0", "")


def read(path: Path, environ: Mapping[str, str]) -> dict[str, Any]:
    """The options, with defaults and types as our plugins declare them.

    Raises ValueError, with what to do, for a missing file, a missing option, and a value of the wrong type;
    configparser's own errors for what is no ini file.
    """
    found: dict[str, Any] = CORE_DEFAULTS | _in_files(path, environ)
    for option, variable in FROM_ENVIRONMENT.items():
        if environ.get(variable):
            found[option] = environ[variable]
    for option in REQUIRED:
        if not found.get(option):
            raise ValueError(f"{path} does not say {option}. Set it there, or {FROM_ENVIRONMENT[option]}.")
    for declared in _declared():
        key = declared["key"]
        older = found.get(declared.get("legacy_key", key), declared.get("default"))
        found[key] = _typed(key, found.get(key, older), declared.get("type"))
    return found


def _in_files(path: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """``[app:main]`` of the file and of those that it builds on (``use = config:other.ini``)."""
    defaults = {name.lower(): value for name, value in environ.items() if name.startswith("CKAN_")}
    defaults["__file__"] = str(path.absolute())
    parser = ConfigParser({name: value.replace("%", "%%") for name, value in defaults.items()})
    for file in reversed(_chain(path)):
        parser[parser.default_section]["here"] = str(file.absolute().parent).replace("%", "%%")
        parser.read(file)
        for option, value in parser.items(_SECTION, raw=True):
            if "%(here)s" in value:  # which the next file would give another meaning
                parser.set(_SECTION, option, parser.get(_SECTION, option).replace("%", "%%"))
    return dict(parser.items(_SECTION))


def _chain(path: Path) -> list[Path]:
    chain: list[Path] = []
    while True:
        if not path.is_file():
            raise ValueError(f"There is no file {path}. CKAN_INI must name the site's configuration.")
        if path.resolve() in [file.resolve() for file in chain]:
            raise ValueError(f"{path} builds on itself: see its option `use`.")
        chain.append(path)
        parser = RawConfigParser()
        parser.read(path)
        schema, _, name = parser.get(_SECTION, "use", fallback="").partition(":")
        if schema != "config":
            return chain
        path = path.absolute().parent / name


def _declared() -> Iterator[dict[str, Any]]:
    for plugin in ("authz_service", "external_storage"):
        declaration = yaml.safe_load((_EXTENSIONS / plugin / "config_declaration.yaml").read_text())
        for group in declaration["groups"]:
            yield from group["options"]


def _typed(key: str, value: Any, type: str | None) -> Any:
    if type == "list":
        return value.split() if isinstance(value, str) else list(value or ())
    if not isinstance(value, str):
        return value
    value = value.strip()
    if type == "int":
        if not value.isdecimal():
            raise ValueError(f"{key} is {value!r}, and must be a whole number.")
        return int(value)
    if type == "bool":
        if value.lower() not in _TRUE + _FALSE:
            raise ValueError(f"{key} is {value!r}, and must be true or false.")
        return value.lower() in _TRUE
    return value
