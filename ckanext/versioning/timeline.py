"""The list of versions as a page shows it: what each line changed, in words, and what was released.

However many revisions a dataset has, a page is made with the same number of queries, and none of them reads
more than `SAVES` revisions for a line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import sqlalchemy as sa
from ckan import model
from sqlalchemy.dialects import postgresql

from ckanext.versioning import model as tables
from ckanext.versioning import releases, revisions, words
from ckanext.versioning.access import Viewer
from ckanext.versioning.revisions import Only

#: Lines of a page.
LINES = 20
#: Of a line that stands for more saves than these, only the newest are put into words.
SAVES = 50


@dataclass(frozen=True)
class Line:
    """``revision`` and ``releases`` are dicts as the API has them, ``saves`` the revisions it stands for.

    ``changes`` are sentences; None if what came before is not the caller's to see. With ``more``, it stands
    for more saves than were read, and ``saves`` and ``changes`` are those of the newest.
    """

    revision: dict[str, Any]
    releases: list[dict[str, Any]]
    created: datetime
    is_current: bool
    saves: int
    changes: list[str] | None
    more: bool

    @property
    def ref(self) -> str:
        """What addresses of this version say: the first name it was given, else its number."""
        return self.releases[0]["name"] if self.releases else f"r{self.revision['seq']}"


@dataclass(frozen=True)
class Page:
    """``older`` is the `before_seq` of the next page, None on the last one."""

    lines: list[Line]
    releases: list[dict[str, Any]]
    older: int | None


@dataclass(frozen=True)
class _Saves:
    """Those of one line. ``summary`` is None if a part of it is hidden; ``oldest`` is a revision's number."""

    count: int
    summary: dict[str, Any] | None
    oldest: int
    more: bool


def page(
    package_id: str,
    who: Viewer,
    translator: words.Translator,
    *,
    all: bool,
    before_seq: int | None,
    only: Only | None = None,
) -> Page:
    """Up to `LINES` lines of `revisions.listing`, newest first. With *only*, each save is a line."""
    all = all or only is not None
    # One more than is shown: where it begins is where the last shown line ends.
    listed = revisions.listing(
        package_id, who, all=all, limit=LINES + 1, before_seq=before_seq, only=only or Only()
    )
    shown = listed[:LINES]
    if only is None:
        before = [line["seq"] for line in listed[1:]]
        saves = _saves(package_id, who, shown, [*before, 0][: len(shown)])
    else:  # what is between two lines was left out on purpose
        saves = {line["seq"]: _Saves(1, line["summary"], line["seq"], more=False) for line in shown}
    names = _names(package_id, saves)
    head = revisions.head_seq(package_id)
    released = releases.listing(package_id)
    return Page(
        lines=[
            Line(
                revision=line,
                releases=_of(line["seq"], released),
                created=datetime.strptime(line["created"], "%Y-%m-%dT%H:%M:%S.%f%z"),
                is_current=line["seq"] == head,
                saves=saves[line["seq"]].count,
                changes=_told(saves[line["seq"]], names.get(line["seq"], {}), translator),
                more=saves[line["seq"]].more,
            )
            for line in shown
        ],
        releases=released,
        older=shown[-1]["seq"] if len(listed) > LINES else None,
    )


def _of(seq: int, released: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The releases of a revision, oldest first."""
    return [release for release in reversed(released) if release["seq"] == seq]


def _told(saves: _Saves, names: dict[str, str], translator: words.Translator) -> list[str] | None:
    if saves.summary is None:
        return None
    return words.sentences(saves.summary, names, translator, first=saves.oldest == 1)


def _saves(package_id: str, who: Viewer, lines: list[dict[str, Any]], before: list[int]) -> dict[int, _Saves]:
    """By the number of each line, the visible saves that it stands for: after *before*, of its changeset."""
    if not lines:
        return {}
    r = tables.revision
    line = _table(
        "line",
        {"seq": sa.Integer, "before": sa.Integer, "changeset": sa.Text},
        [(one["seq"], after, one["changeset"]) for one, after in zip(lines, before, strict=True)],
    )
    save = (
        sa.select(r.c.seq, r.c.summary)
        .where(
            revisions.visible(package_id, who),
            r.c.changeset == line.c.changeset,
            r.c.seq > line.c.before,
            r.c.seq <= line.c.seq,
        )
        .order_by(r.c.seq.desc())
        .limit(SAVES + 1)
        .lateral("save")
    )
    query = sa.select(line.c.seq.label("line"), save.c.seq, save.c.summary).select_from(
        line.join(save, sa.true())
    )
    found: dict[int, list[Any]] = {}
    for row in model.Session.execute(query.order_by(save.c.seq.desc())):
        found.setdefault(row.line, []).append(row)
    return {one["seq"]: _together(found[one["seq"]], after) for one, after in zip(lines, before, strict=True)}


def _together(rows: list[Any], before: int) -> _Saves:
    """*rows* are the visible saves of a line, newest first; *before* is the visible revision before them."""
    read, more = rows[:SAVES], len(rows) > SAVES
    seqs = [row.seq for row in rows] if more else [*(row.seq for row in rows), before]
    # A summary says what was different in the revision before, so all of those have to be visible.
    known = all(older == newer - 1 for newer, older in pairwise(seqs))
    summary = words.merged(row.summary for row in reversed(read)) if known else None
    return _Saves(len(read), summary, read[-1].seq, more)


def _names(package_id: str, saves: dict[int, _Saves]) -> dict[int, dict[str, str]]:
    """By line and id, what the resources that its sentences name were called then."""
    wanted = [
        # One that was removed had its last name in the revision before.
        (line, id, of.oldest - 1 if kind == "removed" else line)
        for line, of in saves.items()
        if of.summary
        for kind, ids in words.named(of.summary).items()
        for id in ids
    ]
    if not wanted:
        return {}
    s, b = tables.resource_state, tables.metadata_blob
    want = _table("want", {"line": sa.Integer, "id": sa.Text, "seq": sa.Integer}, wanted)
    query = (
        sa.select(want.c.line, want.c.id, b.c.body)
        .join(
            s,
            (s.c.package_id == package_id)
            & (s.c.resource_id == want.c.id)
            & (s.c.from_seq <= want.c.seq)
            & (s.c.to_seq.is_(None) | (s.c.to_seq > want.c.seq)),
        )
        .join(b, (b.c.package_id == s.c.package_id) & (b.c.sha == s.c.meta_sha))
    )
    names: dict[int, dict[str, str]] = {}
    for line, id, body in model.Session.execute(query):
        names.setdefault(line, {})[id] = _name(body)
    return names


def _table(name: str, columns: dict[str, Any], rows: list[tuple[Any, ...]]) -> Any:
    """*rows* as a table of a query. Not as VALUES: SQLAlchemy puts those together anew each time."""
    arrays = [
        sa.cast(list(values), postgresql.ARRAY(kind))
        for values, kind in zip(zip(*rows, strict=True), columns.values(), strict=True)
    ]
    names = (sa.column(column, kind) for column, kind in columns.items())
    return sa.func.unnest(*arrays).table_valued(*names, name=name).render_derived()


def _name(body: str | None) -> str:
    resource = json.loads(body) if body else {}
    return resource.get("name") or resource.get("url", "").rsplit("/")[-1] or resource.get("id", "?")
