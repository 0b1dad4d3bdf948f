"""A dataset with a long history, written to the tables at once: to save it would take hours.

Its rows are what the plugin would have written, so `ckan versioning verify` finds nothing wrong with them.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from ckanext.versioning import history, snapshot

#: Consecutive saves of one author that are one line in the list, and the time from one such line to the next.
CHANGESET, BETWEEN = 3, timedelta(hours=1)
#: Revisions from one release to the next.
RELEASE_EVERY = 100
AUTHORS = 7
#: What is written at a time.
ROWS = 1000


def load(package_id: str, changed: Sequence[int | None]) -> None:
    """In the site: put another history in the place of the one that the dataset has.

    It begins with that state. Each of *changed* adds a revision: it is the place of the resource whose
    description changes, or None where the dataset's title does. Each that is there is there at least twice,
    and the last time is given back what it has now.
    """
    import sqlalchemy as sa
    from ckan import model

    from ckanext.versioning import model as tables

    assert min(Counter(changed).values()) > 1
    r = tables.revision
    first = model.Session.execute(sa.select(r).where(r.c.package_id == package_id, r.c.seq == 1)).one()
    made = _History(first._mapping, now(package_id), len(changed))
    last = {place: number for number, place in enumerate(changed)}
    for number, place in enumerate(changed):
        made.change(place, "" if number == last[place] else f"{number}. ")
    rows = {
        tables.revision: made.revisions,
        tables.resource_state: made.states,
        tables.metadata_blob: made.blobs,
        tables.release: made.releases,
    }
    for table in rows:
        model.Session.execute(sa.delete(table).where(table.c.package_id == package_id))
        for start in range(0, len(rows[table]), ROWS):
            model.Session.execute(sa.insert(table), rows[table][start : start + ROWS])
    model.Session.commit()
    for table in rows:  # as PostgreSQL does by itself sooner or later
        model.Session.execute(sa.text(f"ANALYZE {table.name}"))


def now(package_id: str) -> snapshot.Snapshot:
    """In the site: the dataset as it would be recorded."""
    from ckan import model
    from ckan.lib.dictization.model_dictize import package_dictize

    package: Any = model.Package.get(package_id)
    context: Any = {"model": model, "session": model.Session, "user": "", "for_edit": True}
    return snapshot.split(package_dictize(package, context, include_plugin_data=True))


class _History:
    """Rows of the tables, from a revision on that is like the row *first*."""

    def __init__(self, first: Mapping[Any, Any], now: snapshot.Snapshot, changes: int):
        self.revisions: list[dict[str, Any]] = []
        self.states: list[dict[str, Any]] = []
        self.blobs: list[dict[str, Any]] = []
        self.releases: list[dict[str, Any]] = []
        self._first, self._now = dict(first), now
        self._begun = first["created"] - BETWEEN * (changes // CHANGESET + 1)
        self._title = now.dataset["title"]
        # Of each resource the state, and what a revision's body says of it.
        self._current: list[dict[str, Any]] = [{} for _ in now.resources]
        self._json = [b"" for _ in now.resources]
        for place, part in enumerate(now.resources):
            self._state(place, part, part.body, 1)
        self._revision(1, {"added": [part.id for part in now.resources]})

    def change(self, place: int | None, mark: str) -> None:
        """Add a revision in which *mark* stands before the text that changes."""
        seq = len(self.revisions) + 1
        if place is None:
            self._title = mark + self._now.dataset["title"]
            self._revision(seq, {}, ["title"])
            return
        part = self._now.resources[place]
        self._current[place]["to_seq"] = seq
        self._state(place, part, {**part.body, "description": mark + part.body["description"]}, seq)
        self._revision(seq, {"metadata": [part.id]})

    def _state(self, place: int, part: snapshot.ResourcePart, body: dict[str, Any], seq: int) -> None:
        state = {
            "package_id": self._first["package_id"],
            "resource_id": part.id,
            "position": place,
            "meta_sha": self._blob(body, snapshot.resource_projection(body)),
            "oid": part.oid,
            "size": part.size,
            "from_seq": seq,
            "to_seq": None,
        }
        self._current[place], self._json[place] = state, history.resource_json(state)
        self.states.append(state)

    def _blob(self, body: dict[str, Any], projection: dict[str, Any]) -> str:
        blob = snapshot.make_blob(body, snapshot.canonical_json(projection))
        columns = {"sha": blob.sha, "salt": blob.salt, "projection_sha": blob.projection_sha}
        self.blobs.append({"package_id": self._first["package_id"], **columns, "body": blob.text})
        return blob.sha

    def _revision(self, seq: int, resources: dict[str, list[str]], fields: Sequence[str] = ()) -> None:
        line, step = divmod(seq - 1, CHANGESET)
        author_id, name = f"author-{line % AUTHORS}", f"Author {line % AUTHORS}"
        author, message = history.seal(history.author_record(author_id, name)), history.seal(None)
        dataset = {**self._now.dataset, "title": self._title}
        sha, salt = self._blob(dataset, snapshot.dataset_projection(dataset)), history.new_salt()
        kinds = ("added", "removed", "metadata", "bytes", "moved")
        row = {
            "package_id": self._first["package_id"],
            "labels": self._first["labels"],
            "seq": seq,
            "parent_id": self.revisions[-1]["id"] if self.revisions else None,
            "meta_sha": sha,
            "body_sha": history.body_sha(salt, sha, self._json),
            "body_salt": salt,
            "author_id": author_id,
            "author_name": name,
            "author_sha": author.sha,
            "author_salt": author.salt,
            "message": None,
            "message_sha": message.sha,
            "message_salt": message.salt,
            "origin": "web",
            "changeset": str(uuid.uuid4()) if step == 0 else self.revisions[-1]["changeset"],
            "summary": {
                "fields": [*fields],
                "extras": [],
                "resources": {kind: resources.get(kind, []) for kind in kinds},
            },
            "created": self._begun + BETWEEN * line + timedelta(minutes=step),
        }
        row["id"] = history.recompute_id(row)
        self.revisions.append(row)
        if seq % RELEASE_EVERY == 0:
            release = {"package_id": row["package_id"], "name": f"v{seq // RELEASE_EVERY}", "seq": seq}
            self.releases.append({**release, "notes": "", "created": row["created"]})
