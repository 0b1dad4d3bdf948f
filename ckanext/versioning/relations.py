"""What leads from a version to others, for programs: link headers with the relations of RFC 5829, written as
RFC 8288 says. As everything else, they are made from the revisions that the caller may see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ckantoolkit as tk
import sqlalchemy as sa
from ckan import model

from ckanext.versioning import model as tables
from ckanext.versioning import revisions
from ckanext.versioning.page_frame import Asked


def of_version(
    response: Any, asked: Asked, revision: Any, endpoint: str, *, latest: str | None = None
) -> Any:
    """Add the links from *revision* to others at the same *endpoint*; returns *response*.

    *latest* is the address that has the newest version, if it is not that of the newest revision.
    """
    r = tables.revision
    seen = sa.select(r.c.seq).where(revisions.visible(asked.package.id, asked.who))
    before, after = _around(revision.seq, seen)

    def address(ref: str) -> str:
        return _url(endpoint, id=asked.package.name, ref=ref)

    links = {
        "latest-version": latest or address("head"),
        "version-history": _url("versioning.versions", id=asked.package.name),
        **_neighbours(before, after, address),
    }
    return _with(response, links, revision)


def of_file(response: Any, asked: Asked, revision: Any, state: Any, filename: str) -> Any:
    """Add the links from a resource's file in *revision* to its other contents; returns *response*.

    *state* is the row of the resource, which has a file. What comes before and after is the nearest revision
    with other bytes.
    """
    r, s, c = tables.revision, tables.resource_state, tables.classic_file
    # A file that waits to be taken in has no sha256 yet, only the mark by which it is pinned.
    mark = sa.cast(c.c.mtime_ns, sa.Text) + "-" + sa.cast(c.c.size, sa.Text)
    content = sa.func.coalesce(s.c.oid, c.c.oid, mark)
    own = state.file_oid or f"{state.file_mtime_ns}-{state.file_size}"
    then = (s.c.from_seq <= r.c.seq) & (s.c.to_seq.is_(None) | (r.c.seq < s.c.to_seq))
    seen = (
        sa.select(r.c.seq)
        .join(s, (s.c.package_id == r.c.package_id) & then)
        .outerjoin(c, revisions.same_state(s, c))
        .where(
            revisions.visible(asked.package.id, asked.who),
            s.c.resource_id == state.resource_id,
            content.is_not(None),
        )
    )
    before, after = _around(revision.seq, seen.where(content != own))
    newest = model.Session.execute(seen.order_by(r.c.seq.desc()).limit(1)).scalar_one()

    def address(ref: str) -> str:
        return _url(
            "versioning.download",
            id=asked.package.id,
            ref=ref,
            resource_id=state.resource_id,
            filename=filename,
        )

    links = {
        "latest-version": address(f"r{newest}"),
        "version-history": _url("versioning.versions", id=asked.package.id),
        **_neighbours(before, after, address),
    }
    return _with(response, links, revision)


def _around(seq: int, seen: Any) -> Any:
    """The numbers nearest to *seq* among *seen* (a query of numbers): one below, one above; None for none."""
    number = tables.revision.c.seq
    before = seen.where(number < seq).order_by(number.desc()).limit(1)
    after = seen.where(number > seq).order_by(number).limit(1)
    return model.Session.execute(sa.select(before.scalar_subquery(), after.scalar_subquery())).one()


def _neighbours(before: int | None, after: int | None, address: Callable[[str], str]) -> dict[str, str]:
    found = {"predecessor-version": before, "successor-version": after}
    return {relation: address(f"r{seq}") for relation, seq in found.items() if seq is not None}


def _url(endpoint: str, **parts: str) -> str:
    # One address, whatever language the page is in. It has no character that ends a link: they are quoted.
    return tk.url_for(endpoint, qualified=True, locale="default", **parts)


def _with(response: Any, links: dict[str, str], revision: Any) -> Any:
    response.headers["Link"] = ", ".join(f'<{url}>; rel="{relation}"' for relation, url in links.items())
    if not revisions.release_names([(revision.package_id, revision.seq)]):
        response.headers["X-Robots-Tag"] = "noindex"
    return response
