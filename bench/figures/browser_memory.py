"""What the scripts of the form's page and of its worker hold while 5 GiB are uploaded.

Objects, buffers and WebAssembly, looked at some times a second. The peer is what they hold before.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import upload_page
from bench.figure import Case, Figure, Goal
from bench.in_browser import ScriptMemory
from bench.large_files import Growth
from bench.upload_page import Form
from services import chromium
from services.settings import Settings

SIZE = 5 << 30
OURS, PEER = "growth at most", "before"
_PAUSE = 200


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with chromium.launched() as browser:
        for store, on in (("local disk", upload_page.on_disk), ("S3", upload_page.on_s3)):
            with on(settings, browser) as form, tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
                file = Path(directory) / "large.bin"
                with file.open("wb") as content:  # of zeros, which take no room
                    content.truncate(SIZE)
                yield _watched(f"{SIZE >> 20:,} MiB, {store}", form, file)


def _watched(name: str, form: Form, file: Path) -> Case:
    form.open()
    scripts, server = ScriptMemory(form.page), Growth(form.pid)
    before = scripts.look(collected=True)
    scripts.peak = 0
    form.begin(file)
    form.page.locator(upload_page.ROW).wait_for()
    while not form.has_ended():
        scripts.look()
        form.page.wait_for_timeout(_PAUSE)
    form.forget()
    counts = {OURS: {"growth of the site's process, MiB": server.peak()}}
    return Case(name, {PEER: [float(before)], OURS: [float(scripts.peak - before)]}, counts)


FIGURE = Figure(
    what="memory of the page's scripts and worker during an upload of 5 GiB, in bytes",
    ours=OURS,
    peer=PEER,
    goal=Goal(64 << 20, unit="bytes"),
    measure=measure,
    unit="bytes",
)
