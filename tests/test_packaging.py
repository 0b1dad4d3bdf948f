"""The wheel, installed beside CKAN where nothing of this checkout can be seen, is a working portal."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
from ckan.tests import factories

import services.ini

ROOT = Path(__file__).parent.parent
PLUGINS = "authz_service external_storage versioning"

VISIT = """
import re, sys
from ckan.cli import load_config
from ckan.config.middleware import make_app
from werkzeug.test import Client
import ckanext.versioning
client = Client(make_app(load_config(sys.argv[1])))
page = client.get(sys.argv[2])
print(page.status_code, ckanext.versioning.__file__)
print(page.text)
for asset in re.findall(r'href="(/webassets/versioning/[^"]+)"', page.text):
    print("asset", client.get(asset).status_code)
print("token page", client.get("/user/nobody/tokens").status_code)
print("keys", client.get("/authz/jwks.json").status_code)
print("worker", client.get("/external_storage/hash_worker.js").status_code)
print("German", "ist nur für den Benutzer selbst" in client.get("/de/user/nobody/uploads").text)
asked = {"operation": "download", "objects": []}
print("lfs", client.post("/lfs/o/d.git/info/lfs/objects/batch", json=asked).status_code)
"""


def uv(*command: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "uv", *command], cwd="/", capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source distribution, so that this one is complete, too."""
    out = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--out-dir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_owns_nothing_but_our_packages(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    assert "ckanext/__init__.py" not in names
    tops = {"/".join(name.split("/")[:2]) for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert tops == {f"ckanext/{plugin}" for plugin in PLUGINS.split()}
    migrations = {f"ckanext/{plugin}/migration/{plugin}" for plugin in PLUGINS.split()}
    for file in ("alembic.ini", "env.py", "versions/0001"):
        found = {start for start in migrations for name in names if name.startswith(f"{start}/{file}")}
        assert found == migrations, file


def test_the_wheel_has_what_pages_load_and_not_what_that_is_built_from(wheel: Path):
    top = "ckanext/external_storage/assets/"
    there = {name.removeprefix(top) for name in zipfile.ZipFile(wheel).namelist() if name.startswith(top)}
    assert {"js/upload_field.js", "public/external_storage/hash_worker.js", "webassets.yml"} <= there
    assert {name.split("/")[0] for name in there} <= {"css", "js", "public", "webassets.yml"}


@pytest.mark.usefixtures("with_plugins")
def test_installed_elsewhere_it_works(wheel: Path, tmp_path: Path, pytestconfig: pytest.Config):
    python = tmp_path / "env" / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "env")
    ckan = f"ckan[requirements]=={version('ckan')}"
    uv("pip", "install", "--quiet", "--python", python, ckan, "setuptools")
    before = set(uv("pip", "freeze", "--python", python).splitlines())
    uv("pip", "install", "--quiet", "--python", python, wheel)
    after = set(uv("pip", "freeze", "--python", python).splitlines())
    assert before <= after, "nothing that CKAN was installed with is moved"
    uv("pip", "check", "--python", python)

    ini = tmp_path / "ckan.ini"
    options = {"ckan.plugins": PLUGINS}
    ini.write_text(services.ini.text(options, base=Path(pytestconfig.option.ckan_ini)))
    dataset = factories.Dataset()
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "COV"))}
    visit = subprocess.run(
        [python, "-c", VISIT, ini, f"/dataset/{dataset['name']}/versions"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not visit.returncode, visit.stderr
    first, *rest = visit.stdout.splitlines()
    assert first.split()[0] == "200"
    assert Path(first.split()[1]).is_relative_to(tmp_path)
    assert dataset["title"] in visit.stdout
    assert "asset 200" in rest
    assert rest[-5:] == ["token page 403", "keys 200", "worker 200", "German True", "lfs 401"]
