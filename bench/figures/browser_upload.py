"""A file of 1 GiB through the form in Chromium, which hashes it in a worker while it is sent.

The peer is the slower of the two alone: hashing by the same worker, and sending by plain requests of the same
page. Browser, server and store share the cores of this machine, so that one waits for the other. After it,
for comparison: CKAN's own form with its own uploader, in a process of its own, which hashes nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack

from bench import upload_page
from bench.figure import Case, Contender, Figure, Goal, in_turn
from bench.upload_page import Form, LargeFile
from services import chromium
from services.settings import Settings

SIZE, ROUNDS = 1 << 30, 3
OURS, PEER = "external_storage, until all is sent", "the slower of both alone"
CHECKED, HASHED, SENT = "external_storage, until it is checked", "hashing alone", "sending alone"
CORE = "CKAN's own form"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    for store, on in (("local disk", upload_page.on_disk), ("S3", upload_page.on_s3)):
        with ExitStack() as stack:
            file = stack.enter_context(upload_page.large_file(SIZE))
            browser = stack.enter_context(chromium.launched())
            form = stack.enter_context(on(settings, browser))
            core = None
            if store == "local disk":
                core = stack.enter_context(upload_page.of_core(settings, browser))
            yield Case(f"{SIZE >> 20} MiB, {store}", _compared(form, core, file, chance))


def _compared(
    form: Form, core: Form | None, file: LargeFile, chance: random.Random
) -> dict[str, list[float]]:
    checked: list[float] = []

    def whole() -> float:
        form.open()
        sent, until_checked = form.upload(file.change())
        checked.append(until_checked)
        form.forget()
        return sent

    def hashed() -> float:
        return form.hash(file.change())

    def sent() -> float:
        seconds = form.send(file.change())
        form.forget()
        return seconds

    def submitted() -> float:
        assert core
        core.open()
        seconds = core.submit(file.change())
        core.forget()
        return seconds

    form.open()
    contenders: dict[str, Contender] = {OURS: whole, HASHED: hashed, SENT: sent}
    if core:
        contenders[CORE] = submitted
    values = in_turn(contenders, ROUNDS, 0, chance)
    values[PEER] = [max(pair) for pair in zip(values[HASHED], values[SENT], strict=True)]
    return {PEER: values.pop(PEER), OURS: values.pop(OURS), CHECKED: checked, **values}


FIGURE = Figure(
    what="a file of 1 GiB through the form in Chromium",
    ours=OURS,
    peer=PEER,
    goal=Goal(1.15),
    measure=measure,
)
