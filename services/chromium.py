"""The browser of the machine, driven by Playwright: for tests, and for pictures of the demo."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, sync_playwright

from services.progress import Failure

#: Playwright's own builds come from a server of its own; a distribution's package serves as well.
NAMES = ("chromium", "chromium-browser", "google-chrome")
#: Root cannot have its sandbox, containers have no GPU, and nothing is to be asked of the internet.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def program() -> str:
    """The browser that the environment variable CHROMIUM names, else the first of NAMES in PATH."""
    names = [os.environ["CHROMIUM"]] if "CHROMIUM" in os.environ else NAMES
    for name in names:
        if found := shutil.which(name):
            return found
    raise Failure(
        f"There is no browser: none of {', '.join(names)} was found.",
        "run `make browser` as root on a Debian, or name a Chromium or Chrome by the variable CHROMIUM.",
    )


@contextmanager
def launched() -> Iterator[Browser]:
    """Without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()
