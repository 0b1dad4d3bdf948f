"""What the docs tell others to write, taken from the docs themselves."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from services.checkout import ROOT


def example(page: str, caption: str) -> str:
    """The code block with this caption on the page ``docs/<page>.rst``."""
    lines = (ROOT / "docs" / f"{page}.rst").read_text().splitlines()
    start = lines.index(f"    :caption: {caption}") + 1
    end = next((n for n in range(start, len(lines)) if lines[n] and not lines[n].startswith("    ")), None)
    return textwrap.dedent("\n".join(lines[start:end])).strip() + "\n"


def filled_in(text: str, values: Mapping[str, str]) -> str:
    """The text with each of these placeholders replaced; all of them must be there."""
    for placeholder, value in values.items():
        assert placeholder in text, placeholder
        text = text.replace(placeholder, value)
    return text
