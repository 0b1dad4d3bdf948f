"""DOIs, which somebody has registered for a release elsewhere. Pure: nothing is looked up."""

from __future__ import annotations

import re
from urllib.parse import unquote

#: Longest DOI, in characters.
MAX_LENGTH = 300

# DOI Handbook, "Numbering": 10.<registrant>/<suffix>; registrants have parts, suffixes any characters.
_DOI = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]+)*/\S+")
_ADDRESS = re.compile(r"https?://(?:dx\.|www\.)?doi\.org/", re.IGNORECASE)


def bare(text: str) -> str | None:
    """The DOI that *text* gives, as it is or as an address of doi.org; None if it is neither.

    >>> bare("https://doi.org/10.1234/a%20b"), bare("doi:10.1234/x(1)"), bare("10.1234")
    (None, '10.1234/x(1)', None)
    """
    doi = text.strip()
    if address := _ADDRESS.match(doi):
        doi = unquote(doi[address.end() :])
    elif doi[:4].lower() == "doi:":
        doi = doi[4:].lstrip()
    return doi if len(doi) <= MAX_LENGTH and doi.isprintable() and _DOI.fullmatch(doi) else None
