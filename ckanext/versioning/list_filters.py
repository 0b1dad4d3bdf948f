"""What the list of versions may be narrowed to: read from its address, offered in its form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import model as tables
from ckanext.versioning import refs, revisions
from ckanext.versioning.access import Viewer
from ckanext.versioning.errors import InvalidRef
from ckanext.versioning.revisions import Only

#: The parameters of the list's address: which page of it, and what it is narrowed to.
PARAMETERS = ("all", "before_seq", "author", "resource_id", "since", "until", "releases")
#: Authors are offered from this many of the newest revisions …
RECENT = 1000
#: … and this many resources are: more make a list that nobody reads.
RESOURCES = 200


@dataclass(frozen=True)
class Filters:
    """``query`` is what makes sense of an address, by the names of its parameters: ``author`` and
    ``resource_id`` are ids, ``since`` and ``until`` days or times, ``releases`` is "true"."""

    query: dict[str, str]
    only: Only


def read(args: Mapping[str, str]) -> Filters:
    """What makes no sense is left out; the form then shows an empty field."""
    query = {
        name: args[name].strip()
        for name in ("author", "resource_id")
        if args.get(name, "").strip().isprintable() and args.get(name, "").strip()
    }
    since, until = _moment(args.get("since"), start=True), _moment(args.get("until"))
    query |= {name: args[name].strip() for name, at in (("since", since), ("until", until)) if at}
    if args.get("releases") == "true":
        query["releases"] = "true"
    authors = [query["author"]] if "author" in query else None
    return Filters(query, Only(authors, since, until, query.get("resource_id"), "releases" in query))


def _moment(text: str | None, *, start: bool = False) -> datetime | None:
    try:
        return refs.moment(text.strip(), start=start) if text else None
    except InvalidRef:
        return None


def authors(package_id: str, who: Viewer) -> list[tuple[str, str]]:
    """(id, name when last seen) of who made the newest visible revisions, by name."""
    r = tables.revision
    recent = (
        sa.select(r.c.seq, r.c.author_id, r.c.author_name)
        .where(revisions.visible(package_id, who))
        .order_by(r.c.seq.desc())
        .limit(RECENT)
        .subquery()
    )
    query = (
        sa.select(recent.c.author_id, recent.c.author_name)
        .where(recent.c.author_id.is_not(None))
        .distinct(recent.c.author_id)
        .order_by(recent.c.author_id, recent.c.seq.desc())
    )
    found = [(row.author_id, row.author_name or row.author_id) for row in model.Session.execute(query)]
    return sorted(found, key=lambda author: author[1].casefold())


def chosen(choices: list[tuple[str, str]], value: str | None) -> list[tuple[str, str]]:
    """*choices*, (value, label), with the *value* that the address has, if there is one and it is not among
    them."""
    known = value is None or value in {choice for choice, _label in choices}
    return choices if known else [*choices, (str(value), str(value))]
