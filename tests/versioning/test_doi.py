"""What is taken for a DOI, and what is stored of it."""

from __future__ import annotations

import pytest

from ckanext.versioning import doi


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("10.5281/zenodo.1234567", "10.5281/zenodo.1234567"),
        (" doi: 10.1000.10/123 ", "10.1000.10/123"),
        ("HTTPS://dx.doi.org/10.1002/(SICI)1%3A2%3C3%3E4.0.CO;2-T", "10.1002/(SICI)1:2<3>4.0.CO;2-T"),
        ("10.1234/ünï", "10.1234/ünï"),
        ("https://example.org/10.1234/a", None),
        ("10.1234", None),
        ("10.1234/", None),
        ("10.12/a", None),
        ("10.1234/a b", None),
        ("10.1234/a\0", None),
        ("11.1234/a", None),
        ("10.1234/" + "x" * 300, None),
        ("http://[", None),
    ],
)
def test_dois(given: str, stored: str | None):
    assert doi.bare(given) == stored
