"""What a save adds to PostgreSQL, rows and indexes, by what has changed and how many resources there are.

The peer keeps the whole dataset as JSON at each save, in one table with the same key; PostgreSQL compresses
long values in both. The growth of the tables, divided by the number of revisions that were added after the
first one, which has everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from bench import long_history, site
from bench.figure import Case, Figure, Goal
from bench.figures import package_patch
from services.settings import Settings

RESOURCES = (1, 20, 1500)
REVISIONS = 300
OURS, PEER = "versioning", "whole JSON at each save"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on:
        on.call(make_peer)
        for count in RESOURCES:
            for what, place in (("title", None), ("a resource", 0)):
                _editor, dataset = on.call(package_patch.create, count)
                values = on.call(growth, dataset, [place] * REVISIONS)
                yield Case(f"{what} of {count} resource{'s' * (count > 1)}", values)


# --- in the site -------------------------------------------------------------------------------------------


def make_peer() -> None:
    import sqlalchemy as sa
    from ckan import model

    columns = "package_id text, seq integer, body json, PRIMARY KEY (package_id, seq)"
    model.Session.execute(sa.text(f"CREATE TABLE bench_snapshot ({columns})"))
    model.Session.commit()


def growth(dataset: str, changed: list[int | None]) -> dict[str, list[float]]:
    """Bytes for each revision."""
    from ckanext.versioning import model as tables

    names, few = [table.name for table in tables.TABLES], changed[:2]
    sizes = [_bytes(names)]
    for some in (few, changed):
        long_history.load(dataset, some)
        sizes.append(_bytes(names))
    # Each time the first revision is written, too: what is in both is not counted.
    ours = (sizes[2] - sizes[1] - (sizes[1] - sizes[0])) / (len(changed) - len(few))
    before = _bytes(["bench_snapshot"])
    _load_peer(dataset, changed)
    peer = (_bytes(["bench_snapshot"]) - before) / len(changed)
    return {OURS: [round(ours, 1)], PEER: [round(peer, 1)]}


def _load_peer(dataset: str, changed: list[int | None]) -> None:
    import sqlalchemy as sa
    from ckan import model

    from ckanext.versioning import snapshot

    now: Any = long_history.now(dataset)
    insert = sa.text("INSERT INTO bench_snapshot VALUES (:package_id, :seq, :body)")
    for seq, place in enumerate(changed):
        bodies = [part.body for part in now.resources]
        if place is not None:
            bodies[place] = {**bodies[place], "description": f"{seq}. {bodies[place]['description']}"}
        title = now.dataset["title"] if place is not None else f"{seq}. {now.dataset['title']}"
        body = snapshot.canonical_json(snapshot.rebuild({**now.dataset, "title": title}, bodies))
        model.Session.execute(insert, {"package_id": dataset, "seq": seq, "body": body})
    model.Session.commit()


def _bytes(names: list[str]) -> int:
    import sqlalchemy as sa
    from ckan import model

    query = sa.text("SELECT sum(pg_total_relation_size(name::regclass)) FROM unnest(:names) AS name")
    return int(model.Session.execute(query, {"names": names}).scalar_one())


FIGURE = Figure(
    what=f"bytes in PostgreSQL for each of {REVISIONS} revisions, by what changed",
    ours=OURS,
    peer=PEER,
    goal=Goal(1),
    measure=measure,
    unit="bytes",
)
