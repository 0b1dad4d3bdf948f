"""What the README promises exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from demo.story import Story

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.rst").read_text()
TABLE = README.partition("test_readme.py reads")[2].partition("Using it on your site")[0]
ROWS = re.findall(r"^(\S.*?) {2,}(\S+\.py) +(\S+\.py)$", TABLE, re.MULTILINE)


def test_the_table_is_read():
    site = {
        "org": "o",
        "url": "u",
        "lfs": "l",
        **{n: {"token": "t"} for n in ("sysadmin", "editor", "reader")},
    }
    assert len(ROWS) >= len(Story(site).steps())


@pytest.mark.parametrize(("step", "module", "test"), ROWS, ids=lambda value: str(value)[:40])
def test_every_step_has_its_module_and_test(step: str, module: str, test: str):
    assert (ROOT / module).is_file()
    assert "def test_" in (ROOT / test).read_text()


def test_the_two_commands_come_first():
    first_screen = README.splitlines()[:25]
    assert "    make demo" in "\n".join(first_screen)
    assert "    make test" in "\n".join(first_screen)
