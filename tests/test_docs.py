"""The docs build without a warning and leave out nothing that users can set, call or visit."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import click
import pytest
import yaml
from flask import Flask

from ckanext.external_storage.lfs import app as lfs

ROOT = Path(__file__).parent.parent
PLUGINS = ("authz_service", "external_storage", "versioning")
#: Actions of core that we chain; what we add to them is told with package_update, and in prose.
CORE = {
    "dataset_purge",
    "package_create",
    "package_revise",
    "package_update",
    "resource_create",
    "resource_delete",
    "resource_patch",
    "resource_update",
}


def module(plugin: str, name: str):
    """A module of the plugin, None if it has none of that name."""
    path = ROOT / "ckanext" / plugin / (name.replace(".", "/") + ".py")
    return import_module(f"ckanext.{plugin}.{name}") if path.exists() else None


def options(plugin: str) -> list[str]:
    path = ROOT / "ckanext" / plugin / "config_declaration.yaml"
    groups = yaml.safe_load(path.read_text())["groups"] if path.exists() else []
    return [option["key"] for group in groups for option in group["options"]]


def actions(plugin: str) -> list[str]:
    return [
        f"autofunction:: ckanext.{plugin}.logic.action.{name}"
        for name in module(plugin, "logic.action").__all__
        if name not in CORE
    ]


def routes(plugin: str) -> list[str]:
    app = Flask(__name__)
    if blueprint := getattr(module(plugin, "views"), "blueprint", None):
        app.register_blueprint(blueprint)
    found = [rule.rule for rule in app.url_map.iter_rules() if rule.endpoint != "static"]
    if plugin == "external_storage":
        found += [f"/lfs{rule.rule}" for rule in lfs.ROUTES.iter_rules()]
    return found


def commands(plugin: str) -> list[str]:
    def below(group: click.Group, path: str) -> list[str]:
        found = []
        for name, command in group.commands.items():
            found += (
                below(command, f"{path} {name}") if isinstance(command, click.Group) else [f"{path} {name}"]
            )
        return found

    cli = module(plugin, "cli")
    groups = [getattr(cli, name) for name in cli.__all__] if cli else []
    return [
        text
        for group in groups
        if isinstance(group, click.Group)
        for text in below(group, f"ckan {group.name}")
    ]


def interfaces(plugin: str) -> list[str]:
    found = module(plugin, "interfaces")
    names = [name for name in vars(found) if name.startswith("I") and name[1:2].isupper()] if found else []
    return [f"autoclass:: ckanext.{plugin}.interfaces.{name}" for name in names]


@pytest.mark.parametrize("what", [options, actions, routes, commands, interfaces], ids=lambda f: f.__name__)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_nothing_is_left_out(plugin: str, what):
    page = "".join(path.read_text() for path in sorted((ROOT / "docs").glob(f"{plugin}*.rst")))
    assert [text for text in what(plugin) if text not in page] == []


def test_there_is_something_to_find():
    for what in (options, actions, routes, commands, interfaces):
        assert any(what(plugin) for plugin in PLUGINS), what.__name__


def test_the_docs_build_without_a_warning(tmp_path: Path):
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", tmp_path / "cache"]
    built = subprocess.run(
        [*sphinx, ROOT / "docs", tmp_path / "html"], capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert "dataset_revision_list" in (tmp_path / "html" / "versioning_api.html").read_text()
