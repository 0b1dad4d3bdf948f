"""How long the form's page is ever too busy for its user while 1 GiB is uploaded.

A timer on the page ticks every few milliseconds; what is measured is its longest delay. The peer is the same
page while nothing is uploaded, for as long.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from bench import upload_page
from bench.figure import Case, Figure, Goal
from bench.in_browser import Pulse, Rest
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
                found: dict[str, list[Rest]] = {PEER: [], OURS: []}
                for _ in range(ROUNDS):
                    _felt(form, file, found)
                counts = {
                    name: {"tasks over 50 ms": sum(rest.long_tasks for rest in rests)}
                    for name, rests in found.items()
                }
                values = {name: [rest.longest for rest in rests] for name, rests in found.items()}
                yield Case(f"{SIZE >> 20} MiB, {store}", values, counts)


def _felt(form: Form, file: LargeFile, found: dict[str, list[Rest]]) -> None:
    form.open()
    pulse = Pulse(form.page)
    _, seconds = form.upload(file.change())
    found[OURS].append(pulse.end())
    form.forget()
    form.open()
    pulse = Pulse(form.page)
    form.page.wait_for_timeout(seconds * 1000)
    found[PEER].append(pulse.end())


FIGURE = Figure(
    what="the longest time for which the form's page can do nothing else",
    ours=OURS,
    peer=PEER,
    goal=Goal(50, percent=100, unit="ms"),
    measure=measure,
)
