"""The commands that people and CI type, as far as they can be tried without running everything."""

from __future__ import annotations

import re
import subprocess

import pytest

from demo import given
from services.checkout import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()


def with_empty_environment(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["env", "-i", *command], cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def told() -> str:
    finished = with_empty_environment("/usr/bin/make", "help")
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_help_lists_every_target(told):
    (phony,) = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert set(re.findall(r"^  make ([\w-]+)", told, re.MULTILINE)) == set(phony.split())


def test_help_lists_every_option(told):
    options = set(re.findall(r"^([A-Z_]+) \?=", MAKEFILE, re.MULTILINE)) | {"PYTHON"}
    options |= {given.variable(service) for service in given.NAMES}
    assert set(re.findall(r"^  ([A-Z_]+) ", told, re.MULTILINE)) == options


@pytest.mark.parametrize("script", ["services/install", "services/environment.sh", ".ci/run"])
def test_scripts_are_bash(script):
    finished = with_empty_environment("/bin/bash", "-n", script)
    assert finished.returncode == 0, finished.stderr


def test_nothing_depends_on_the_callers_environment():
    finished = with_empty_environment("/bin/bash", "-euc", "source services/environment.sh; env")
    assert finished.returncode == 0, finished.stderr
    environment = dict(line.split("=", 1) for line in finished.stdout.splitlines() if "=" in line)
    assert {"PATH", "HOME", "LANG"} <= environment.keys()


def test_what_the_caller_chose_stays():
    chosen = ("LANG=fr_FR.UTF-8", "HOME=/elsewhere", "SSL_CERT_FILE=/own.pem", "no_proxy=.example.org")
    finished = with_empty_environment(*chosen, "/bin/bash", "-euc", "source services/environment.sh; env")
    lines = finished.stdout.splitlines()
    assert set(chosen[:3]) <= set(lines)
    assert "no_proxy=.example.org,127.0.0.1,localhost" in lines


def test_of_another_sites_variables_only_what_the_demo_may_be_given_is_left():
    theirs = ("CKAN_INI=/theirs.ini", "CKAN_SITE_ID=theirs", "CKAN_SOLR_URL=http://solr/solr/ckan")
    finished = with_empty_environment(*theirs, "/bin/bash", "-euc", "source services/environment.sh; env")
    lines = finished.stdout.splitlines()
    assert [line for line in lines if line.startswith("CKAN")] == []
    assert [line for line in lines if line.startswith("GIVEN")] == ["GIVEN_SOLR_URL=http://solr/solr/ckan"]
