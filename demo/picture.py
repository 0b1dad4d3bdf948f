"""``make picture``: docs/versions.png, the history of a sample dataset as the running demo shows it."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Error, Page, ViewportSize

from services import chromium
from services.checkout import ROOT, RUN
from services.progress import Failure, exit_with, step

PICTURE = ROOT / "docs" / "versions.png"
DATASET = "seattle-weather"
#: Pixels; as wide as what shows a README.
SIZE = ViewportSize(width=1000, height=800)
COLOURS = 160
#: A README is fetched by everybody who looks at the project.
MAX_BYTES = 150_000


def take(site: dict[str, Any], path: Path) -> None:
    """What the editor sees who opens the dataset's Versions tab."""
    with chromium.launched() as browser:
        page = browser.new_page(base_url=site["url"], viewport=SIZE, locale="en")
        _log_in(page, site["editor"])
        page.goto(f"/dataset/{DATASET}/versions")
        page.get_by_role("link", name="v1", exact=True).first.wait_for()
        taken = page.screenshot(caret="hide", animations="disabled")
    # The page has few colours, and a table of them takes a third of the space.
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise Failure(
            f"{path.name} has {size:,} bytes, more than {MAX_BYTES:,}.", "make SIZE in this script smaller."
        )


def _log_in(page: Page, person: dict[str, str]) -> None:
    page.goto("/user/login")
    page.locator("#field-login").fill(person["name"])
    page.locator("#field-password").fill(person["password"])
    page.locator("#field-password").press("Enter")
    page.locator(".account-masthead .username").wait_for()


def main() -> None:
    try:
        site = json.loads((RUN / "demo.json").read_text())
    except FileNotFoundError:
        raise Failure("There is no .run/demo.json.", "run `make demo` first.") from None
    with step(f"Taking {PICTURE.relative_to(ROOT)}"):
        try:
            take(site, PICTURE)
        except Error as error:
            raise Failure(
                f"The browser did not get there: {error}", "is the site up? `make demo` brings it up."
            ) from None


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        exit_with(failure)
