"""The longest task of the thread that draws the form's page, while 1 GiB is uploaded.

While it lasts, the page cannot answer its user. Measured is the time of a processor: browser, server and
store share the cores of this machine, so that by the clock a task of 1 ms lasts as long as others have them.
What the user of such a machine feels stands beside it. The peer is the same page while nothing is uploaded,
for as long.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench import upload_page
from bench.figure import Case, Figure, Goal
from bench.in_browser import MainThread, Work
from bench.upload_page import Form, LargeFile
from services import chromium
from services.settings import Settings

SIZE, ROUNDS = 1 << 30, 3
OURS, PEER = "during an upload", "the same page at rest"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with chromium.launched() as browser:
        for store, on in (("local disk", upload_page.on_disk), ("S3", upload_page.on_s3)):
            with on(settings, browser) as form, upload_page.large_file(SIZE) as file:
                found: dict[str, list[Work]] = {PEER: [], OURS: []}
                for _ in range(ROUNDS):
                    _watched(form, file, found)
                counts = {
                    name: {
                        "longest by the clock, ms": round(1000 * max(work.longest_wait for work in works)),
                        "over 50 ms by the clock": sum(work.long_tasks for work in works),
                    }
                    for name, works in found.items()
                }
                values = {name: [work.longest for work in works] for name, works in found.items()}
                yield Case(f"{SIZE >> 20} MiB, {store}", values, counts)


def _watched(form: Form, file: LargeFile, found: dict[str, list[Work]]) -> None:
    form.open()
    thread = MainThread(form.page)
    _, seconds = form.upload(file.change())
    found[OURS].append(thread.end())
    form.forget()
    form.open()
    thread = MainThread(form.page)
    form.page.wait_for_timeout(seconds * 1000)
    found[PEER].append(thread.end())


FIGURE = Figure(
    what="the longest task of the thread that draws the form's page, in time of a processor",
    ours=OURS,
    peer=PEER,
    goal=Goal(50, percent=100, unit="ms"),
    measure=measure,
)
