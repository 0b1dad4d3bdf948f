"""What the form's page loads for uploads, compressed: scripts, the worker and the style sheet.

The peer is what the same page loads of CKAN's own scripts.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator

from bench import upload_page
from bench.figure import Case, Figure, Goal
from services import chromium
from services.settings import Settings

OURS, PEER = "external_storage", "CKAN's own scripts"
#: In the addresses of all that is ours.
_MARK = "/external_storage/"
_SIZE = 20 << 20


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    loaded: set[str] = set()
    with (
        chromium.launched() as browser,
        upload_page.on_disk(settings, browser) as form,
        upload_page.large_file(_SIZE) as file,
    ):
        form.page.context.on("response", lambda response: loaded.add(response.url))
        form.open()
        form.upload(file.path)  # which starts the worker
        sizes = {OURS: 0, PEER: 0}
        for url in loaded:
            ours = _MARK in url
            if url.endswith(".js") or (ours and url.endswith(".css")):
                sizes[OURS if ours else PEER] += len(gzip.compress(form.page.request.get(url).body()))
    yield Case("one page", {name: [float(size)] for name, size in sizes.items()})


FIGURE = Figure(
    what="bytes that a page with the form loads for uploads, gzipped",
    ours=OURS,
    peer=PEER,
    goal=Goal(30_000, unit="bytes"),
    measure=measure,
    unit="bytes",
)
