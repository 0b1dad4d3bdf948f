"""The pictures in the README and the docs, which `make picture` takes from the demo."""

from __future__ import annotations

import re

import pytest

from demo.picture import MAX_BYTES, PICTURE, PICTURES, SIZE
from services.checkout import ROOT
from tests.e2e import upload_pictures
from tests.e2e.upload_pictures import states


def test_it_is_what_the_readme_shows():
    picture = re.search(r"^\.\. image:: (\S+)\n   :alt: \S", (ROOT / "README.rst").read_text(), re.MULTILINE)
    assert picture
    assert ROOT / picture[1] == PICTURE


def test_the_docs_show_all_of_them():
    docs = (ROOT / "docs" / "versioning_pages.rst").read_text()
    shown = re.findall(r"^\.\. image:: (\S+)\n   :alt: \S", docs, re.MULTILINE)
    assert sorted(shown) == sorted(PICTURES)


def test_each_state_of_an_upload_has_one():
    assert states() == set(upload_pictures.SHOWN)
    assert set(upload_pictures.SHOWN.values()) <= set(upload_pictures.PICTURES)
    page = (ROOT / "docs" / "external_storage_browser.rst").read_text()
    shown = re.findall(r"^\.\. image:: (\S+)\n   :alt: \S", page, re.MULTILINE)
    assert sorted(shown) == sorted(upload_pictures.PICTURES.values())


@pytest.mark.parametrize("name", upload_pictures.PICTURES.values())
def test_that_is_a_png_and_small(name: str):
    content = (upload_pictures.DIRECTORY / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= upload_pictures.MAX_BYTES


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_a_png_of_that_size_and_small(name: str):
    content = (PICTURE.parent / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    width, height = (int.from_bytes(content[place : place + 4], "big") for place in (16, 20))
    assert (width, height) == (SIZE["width"], SIZE["height"])
    assert len(content) < MAX_BYTES
