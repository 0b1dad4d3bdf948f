"""``make picture``: docs/versions.png and others, a sample dataset's history as the running demo shows it."""

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

#: The picture in the README.
PICTURE = ROOT / "docs" / "versions.png"
DATASET = "seattle-weather"
#: All pictures in docs/, with the address of the page below the dataset's.
PICTURES = {
    PICTURE.name: "/versions",
    "versions_filtered.png": "/versions?releases=true&since=2020-01-01",
    "version_old.png": "/v/v1",
    "version_release.png": "/v/r1/release",
    "version_revert.png": "/v/v1/revert",
}
#: Pixels; as wide as what shows a README.
SIZE = ViewportSize(width=1000, height=800)
COLOURS = 160
#: A README is fetched by everybody who looks at the project.
MAX_BYTES = 150_000


def take(site: dict[str, Any], directory: Path) -> None:
    """What the dataset's editor sees on each of the pages."""
    with chromium.launched() as browser:
        page = browser.new_page(base_url=site["url"], viewport=SIZE, locale="en")
        _log_in(page, site["editor"])
        for name, address in PICTURES.items():
            page.goto(f"/dataset/{DATASET}{address}")
            page.get_by_role("main").get_by_role("heading", level=1).first.wait_for()
            save(page.screenshot(caret="hide", animations="disabled"), directory / name, MAX_BYTES)


def save(taken: bytes, path: Path, most: int) -> None:
    """As a PNG of at most so many bytes. Raises Failure."""
    # The page has few colours, and a table of them takes a third of the space.
    Image.open(BytesIO(taken)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    if size > most:
        raise Failure(f"{path.name} has {size:,} bytes, more than {most:,}.", "make it show less.")


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
    with step(f"Taking pictures in {PICTURE.parent.relative_to(ROOT)}"):
        try:
            take(site, PICTURE.parent)
        except Error as error:
            raise Failure(
                f"The browser did not get there: {error}", "is the site up? `make demo` brings it up."
            ) from None


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        exit_with(failure)
