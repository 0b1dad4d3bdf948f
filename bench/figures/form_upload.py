"""What a file of 1 GiB costs that comes with the form, and for how long it keeps the database busy.

The peer is CKAN's own uploader into its FileStore, in a second process with the same server. What the client
sends is random, new in each round, and deleted after it. While it is sent and saved, another connection looks
every few milliseconds at PostgreSQL: has the site a transaction open, and is the dataset's row locked?
"""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench import site
from bench.figure import Case, Figure, Goal, in_turn
from bench.site import Site
from services.settings import Settings

MIB = 1 << 20
MEGABYTES = 1024
ROUNDS = 5
OURS, PEER = "external_storage", "CKAN's own uploader"
PLUGINS = {PEER: "", OURS: "authz_service external_storage"}
_PAUSE_SECONDS = 0.005
#: What is measured besides the time; of the rounds the worst.
_COLUMNS = ("transaction open, s", "row locked, s", "memory, MiB")


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    worst: dict[str, dict[str, float]] = {name: {} for name in PLUGINS}
    with ExitStack() as stack:
        contenders = {}
        for name, plugins in PLUGINS.items():
            on = stack.enter_context(site.running(settings, plugins))
            where = on.call(prepare)
            upload(on, where, {}, chance)  # the first request of a site takes its time
            contenders[name] = partial(upload, on, where, worst[name], chance)
        yield Case(f"{MEGABYTES >> 10} GiB", in_turn(contenders, ROUNDS, 0, chance), worst)


def upload(on: Site, where: tuple[str, str, str], worst: dict[str, float], chance: random.Random) -> float:
    """Seconds until the page answers."""
    url, token, dataset = where
    block = chance.randbytes(MIB)
    on.call(start_looking, dataset)
    started = time.perf_counter()
    status = send_form(f"{url}/dataset/{dataset}/resource/new", token, block)
    seconds = time.perf_counter() - started
    seen = on.call(stop_looking)
    assert status == 302, status
    worst.update({name: max(seen[name], worst.get(name, 0)) for name in _COLUMNS})
    on.call(forget_files, dataset)
    return seconds


def send_form(url: str, token: str, block: bytes) -> int:
    """Status of the answer to a form with a file of `MEGABYTES` times *block*."""
    fields = {"save": "go-dataset-complete", "id": "", "url_type": "upload", "url": "", "name": "Large"}
    head = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += '--b\r\nContent-Disposition: form-data; name="upload"; filename="large.bin"\r\n\r\n'
    tail = b"\r\n--b--\r\n"
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc)
    connection.putrequest("POST", parts.path)
    connection.putheader("Authorization", token)
    connection.putheader("Content-Type", "multipart/form-data; boundary=b")
    connection.putheader("Content-Length", str(len(head) + MEGABYTES * len(block) + len(tail)))
    connection.endheaders(head.encode())
    for _ in range(MEGABYTES):
        connection.send(block)
    connection.send(tail)
    status = connection.getresponse().status
    connection.close()
    return status


# --- in the site -------------------------------------------------------------------------------------------


def prepare(port: int = 0) -> tuple[str, str, str]:
    """Its address (on this *port*, if given), an editor's token, and the id of a dataset of theirs."""
    from ckan.plugins import toolkit as tk

    from bench.figures import package_patch

    tk.config["ckan.max_resource_size"] = 2 * MEGABYTES
    editor, dataset = package_patch.create(0)
    made = tk.get_action("api_token_create")({"ignore_auth": True}, {"user": editor, "name": "bench"})
    return site.serve(port), made["token"], dataset


class _Looking:
    """What the thread that looks has seen until it is told to end."""

    ended = threading.Event()
    thread: threading.Thread
    seen: Counter[str]


def start_looking(dataset: str) -> None:
    _Looking.ended.clear()
    _Looking.seen = Counter()
    _Looking.thread = threading.Thread(target=_look, args=[dataset, _Looking.seen], daemon=True)
    _Looking.thread.start()


def stop_looking() -> dict[str, float]:
    _Looking.ended.set()
    _Looking.thread.join()
    return {name: round(_Looking.seen[name], 2) for name in _COLUMNS}


def _look(dataset: str, seen: Counter[str]) -> None:
    import sqlalchemy as sa
    from ckan import model

    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    transactions = sa.text(f"SELECT count(*) {others} AND xact_start IS NOT NULL")
    unlocked = sa.text("SELECT 1 FROM package WHERE id = :id FOR UPDATE SKIP LOCKED")
    engine: Any = model.meta.engine
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = _memory("VmRSS")
    with engine.connect() as connection:
        last = time.perf_counter()
        while not _Looking.ended.wait(_PAUSE_SECONDS):
            open_now = connection.execute(transactions).scalar_one() > 0
            locked = connection.execute(unlocked, {"id": dataset}).first() is None
            connection.rollback()
            now = time.perf_counter()
            seen["transaction open, s"] += (now - last) * open_now  # pyright: ignore[reportArgumentType]
            seen["row locked, s"] += (now - last) * locked  # pyright: ignore[reportArgumentType]
            last = now
    seen["memory, MiB"] = (_memory("VmHWM") - before) >> 10


def _memory(what: str) -> int:
    """KiB."""
    (line,) = [text for text in Path("/proc/self/status").read_text().splitlines() if text.startswith(what)]
    return int(line.split()[1])


def forget_files(dataset: str) -> None:
    """The file of the round, wherever it is, so that the disk need not have room for all."""
    import shutil

    from ckan.plugins import toolkit as tk

    stores = [tk.config.get("ckanext.external_storage.local.path"), tk.config["ckan.storage_path"]]
    for store in filter(None, stores):
        for directory in ("objects", "resources"):
            shutil.rmtree(Path(store) / directory, ignore_errors=True)


FIGURE = Figure(
    what="a file of 1 GiB through the form without JavaScript, until the page answers",
    ours=OURS,
    peer=PEER,
    goal=Goal(1.5),
    measure=measure,
)
