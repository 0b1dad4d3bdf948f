"""Is the history of a dataset what was recorded, with nothing changed, lost or slipped in since?

Everything is recomputed from the tables: texts and their hashes, which resources a revision had, the hash of
that, and the chain of ids. All rows are read once and in order, so that the cost is that of the rows that
there are (a resource that stays as it is has one row, not one for each revision) and memory holds the
resources of one revision at a time.

Not covered by any hash, so not seen here: ``labels``, ``origin``, ``changeset`` and ``summary`` of a
revision, and title, notes and author of a release. What was erased cannot be recomputed, only its place in
the chain.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from ckan import model

from ckanext.versioning import history, recording
from ckanext.versioning import model as tables
from ckanext.versioning.hashing import salted_sha
from ckanext.versioning.snapshot import canonical_json, dataset_projection, resource_projection

#: Rows that the driver fetches at a time …
_ROWS_AT_ONCE = 2000
#: … and of texts, which may be large.
_TEXTS_AT_ONCE = 200


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was recorded. ``code`` is one of:

    ``gap``         a revision is missing
    ``parent``      a revision names another parent than the revision before it
    ``id``          a revision's id is not what its columns give
    ``body``        its resources or its dataset text are not those it was sealed with
    ``author``      nor is its author …
    ``message``     … or its message
    ``no-text``     the text of the dataset or of a resource is missing
    ``text``        a text is not the one that was stored
    ``projection``  what a save is compared with does not fit its text
    ``range``       a resource has two states at once, or one that ends after the last revision
    ``position``    the resources of a revision have not the places 0, 1, 2, …
    ``no-revision`` a state of a resource, a release or a text belongs to no revision that exists
    ``head``        the newest revision is not the dataset as it is now
    ``gone``        the dataset itself does not exist any more

    ``seq`` is the first revision that it concerns, None if that is none in particular.
    """

    code: str
    package_id: str
    seq: int | None
    text: str


@dataclass(frozen=True)
class _State:
    resource_id: str
    position: int
    to_seq: int | None
    json: bytes


def check_chain(package_id: str, revisions: Iterable[Any], states: Iterable[Any]) -> Iterator[Finding]:
    """Findings about *revisions* (rows by ``seq``) and *states* of resources (rows by ``from_seq``).

    Both have ``has_text`` beside their own columns: is there a row with their ``meta_sha``?
    """

    def found(code: str, seq: int, text: str) -> Finding:
        return Finding(code, package_id, seq, text)

    seq, parent, resources, body_wrong_since = 0, None, _Resources(), None
    coming = iter(states)
    state = next(coming, None)
    for row in revisions:
        if row.seq != seq + 1:
            yield found("gap", seq + 1, f"{_revisions(seq + 1, row.seq - 1)} missing.")
        elif row.parent_id != parent:
            yield found("parent", row.seq, f"Revision {row.seq} does not name the revision before it.")
        begun = []
        while state is not None and state.from_seq <= row.seq:
            if state.from_seq < 1:
                yield found("no-revision", state.from_seq, _stray(state))
            if state.to_seq is None or state.to_seq > row.seq:  # else all its revisions are missing
                begun.append(state)
            state = next(coming, None)
        seq, parent = row.seq, row.id
        for code, text in [*resources.move_to(seq, begun), *_check_revision(row)]:
            yield found(code, seq, text)
        # One finding for all revisions in a row: a resource that was changed spoils each that has it.
        if not _body_holds(row, resources):
            body_wrong_since = body_wrong_since or seq
        elif body_wrong_since is not None:
            yield found("body", body_wrong_since, _body_wrong(body_wrong_since, seq - 1))
            body_wrong_since = None
    if body_wrong_since is not None:
        yield found("body", body_wrong_since, _body_wrong(body_wrong_since, seq))
    for ended in resources.ending_after(seq):
        text = f"Resource {ended.resource_id} ends with revision {ended.to_seq}, which does not exist."
        yield found("range", seq, text)
    while state is not None:
        yield found("no-revision", state.from_seq, _stray(state))
        state = next(coming, None)


def _revisions(first: int, last: int) -> str:
    return f"Revision {first} is" if first == last else f"Revisions {first} to {last} are"


def _body_wrong(first: int, last: int) -> str:
    return f"{_revisions(first, last)} not what was recorded: other resources, other files or another text."


def _stray(state: Any) -> str:
    return f"Resource {state.resource_id} has a state from revision {state.from_seq}, which does not exist."


class _Resources:
    """The resources of one revision after the other."""

    def __init__(self) -> None:
        self._states: list[_State] = []
        self._in_place = True
        #: `history.resource_json` of each, in the dataset's order.
        self.json: list[bytes] = []

    def move_to(self, seq: int, begun: list[Any]) -> Iterator[tuple[str, str]]:
        """Go on to revision *seq*, in which the states *begun* begin; what is wrong as (code, text)."""
        kept = [state for state in self._states if state.to_seq is None or state.to_seq > seq]
        if not begun and len(kept) == len(self._states):
            return
        there = {state.resource_id for state in kept}
        for row in begun:
            if row.resource_id in there:
                yield "range", f"Resource {row.resource_id} has two states in revision {seq}."
            there.add(row.resource_id)
            if not row.has_text:
                yield "no-text", f"The text of resource {row.resource_id} from revision {seq} on is missing."
            kept.append(_State(row.resource_id, row.position, row.to_seq, _json(row)))
        kept.sort(key=lambda state: state.position)
        in_place = all(state.position == place for place, state in enumerate(kept))
        if self._in_place and not in_place:
            yield "position", f"From revision {seq} on, the places of the resources are not 0, 1, 2, …"
        self._states, self._in_place = kept, in_place
        self.json = [state.json for state in kept]

    def ending_after(self, seq: int) -> list[_State]:
        return [state for state in self._states if state.to_seq is not None and state.to_seq > seq]


def _json(state: Any) -> bytes:
    try:
        return history.resource_json(state._mapping)
    except ValueError:
        return b""  # a size that was never recorded: RFC 8785 has no such number


def _check_revision(row: Any) -> Iterator[tuple[str, str]]:
    """What is wrong with a revision by itself, as (code, text)."""
    if history.recompute_id(row._mapping) != row.id:
        text = "its number, parent, time or one of its hashes was changed"
        yield "id", f"The id of revision {row.seq} is not what its columns give: {text}."
    if not row.has_text:
        yield "no-text", f"The text of the dataset in revision {row.seq} is missing."
    known = row.author_salt is not None or row.author_id is not None or row.author_name is not None
    author = history.author_record(row.author_id, row.author_name) if known else None
    if not _sealed(row.author_salt, author, row.author_sha):
        yield "author", f"The author of revision {row.seq} is not the one that was recorded."
    if not _sealed(row.message_salt, row.message, row.message_sha):
        yield "message", f"The message of revision {row.seq} is not the one that was recorded."


def _body_holds(row: Any, resources: _Resources) -> bool:
    salt = row.body_salt
    return salt is None or history.body_sha(salt, row.meta_sha, resources.json) == row.body_sha


def _sealed(salt: bytes | None, value: Any, sha: str) -> bool:
    # Without salt it was erased; a value that is there in spite of that was put there.
    return value is None if salt is None else history.sealed_sha(salt, value) == sha


def check_text(package_id: str, row: Any) -> Iterator[Finding]:
    """Findings about a stored text: columns of `tables.metadata_blob`, with the first revision that has it
    as its dataset's (``dataset_seq``) or a resource's text (``resource_seq``); either may be None."""
    of_dataset = row.dataset_seq is not None
    seq = row.dataset_seq if of_dataset else row.resource_seq
    if seq is None:
        text = f"The text {row.sha[:12]}… belongs to no revision: one of those that had it was deleted."
        yield Finding("no-revision", package_id, None, text)
        return
    if row.salt is None and row.body is None:
        return  # erased
    name = f"The text of {'the dataset' if of_dataset else 'a resource'} in revision {seq}"
    if row.salt is None or row.body is None or salted_sha(row.salt, row.body.encode()) != row.sha:
        yield Finding("text", package_id, seq, f"{name} is not the one that was stored ({row.sha[:12]}…).")
        return
    project = dataset_projection if of_dataset else resource_projection
    projection = canonical_json(project(json.loads(row.body)))
    if salted_sha(row.salt, projection.encode()) != row.projection_sha:
        text = "the next save would be compared with something else"
        yield Finding("projection", package_id, seq, f"{name} has a wrong hash for comparing: {text}.")


def findings(package_id: str) -> Iterator[Finding]:
    """All that is wrong with the history of the dataset, and whether its head is the dataset as it is now.

    Ends the session's transaction.
    """
    with one_moment() as session:
        yield from history_findings(session, package_id)
        yield from head_findings(session, package_id)


@contextmanager
def one_moment() -> Iterator[Any]:
    """CKAN's session in a new transaction that sees the database as of now, whatever others save."""
    model.Session.remove()
    try:
        model.Session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        yield model.Session
    finally:
        model.Session.remove()


def head_findings(session: Any, package_id: str) -> Iterator[Finding]:
    """Is the newest revision the dataset as it is now? Nothing is found where there is no revision."""
    r = tables.revision
    seq = session.execute(sa.select(sa.func.max(r.c.seq)).where(r.c.package_id == package_id)).scalar()
    if seq is None:
        return
    if session.get(model.Package, package_id) is None:
        text = "It was purged without CKAN, or while the plugin was off. To remove its history too, run:"
        yield Finding("gone", package_id, seq, f"{text} ckan versioning reconcile --remove-gone")
    elif recording.unrecorded(session, package_id):
        text = f"The dataset is not what its newest revision, {seq}, says: a change was not recorded. Run:"
        yield Finding("head", package_id, seq, f"{text} ckan versioning reconcile")


def history_findings(session: Any, package_id: str) -> Iterator[Finding]:
    """All that is wrong with what is recorded of the dataset. *session* may be a connection.

    Several queries look at the tables: where others may save meanwhile, see `one_moment`.
    """
    of = {"of": package_id}
    yield from check_chain(
        package_id,
        _stream(session, _REVISIONS, of, _ROWS_AT_ONCE),
        _stream(session, _STATES, of, _ROWS_AT_ONCE),
    )
    for row in _stream(session, _TEXTS_OF, of, _TEXTS_AT_ONCE):
        yield from check_text(package_id, row)
    for release in session.execute(_STRAY_RELEASES, of):
        text = f"The release {release.name!r} names revision {release.seq}, which does not exist."
        yield Finding("no-revision", package_id, release.seq, text)
    for file in session.execute(_STRAY_FILES, of):
        text = f"Resource {file.resource_id} has a file from revision {file.from_seq} on, but no state there."
        yield Finding("no-revision", package_id, file.from_seq, text)


def _stream(session: Any, query: Any, parameters: dict[str, Any], rows: int) -> Any:
    # A cursor of the server's: the driver would fetch all rows at once otherwise.
    return session.execute(query, parameters, execution_options={"stream_results": True, "yield_per": rows})


def _with_text(table: Any, order: Any) -> Any:
    b = tables.metadata_blob
    join = table.outerjoin(b, (b.c.package_id == table.c.package_id) & (b.c.sha == table.c.meta_sha))
    return (
        sa.select(table, b.c.sha.is_not(None).label("has_text"))
        .select_from(join)
        .where(table.c.package_id == sa.bindparam("of"))
        .order_by(order)
    )


def _texts_query() -> Any:
    r, s, b = tables.revision, tables.resource_state, tables.metadata_blob
    of = sa.bindparam("of")

    def first(table: Any, seq: Any) -> Any:
        query = sa.select(table.c.meta_sha, sa.func.min(seq).label("seq"))
        return query.where(table.c.package_id == of).group_by(table.c.meta_sha).subquery()

    datasets, resources = first(r, r.c.seq), first(s, s.c.from_seq)
    return (
        sa.select(b, datasets.c.seq.label("dataset_seq"), resources.c.seq.label("resource_seq"))
        .select_from(
            b.outerjoin(datasets, datasets.c.meta_sha == b.c.sha).outerjoin(
                resources, resources.c.meta_sha == b.c.sha
            )
        )
        .where(b.c.package_id == of)
    )


def _stray_files_query() -> Any:
    s, file = tables.resource_state, tables.classic_file
    key = ("package_id", "resource_id", "from_seq")
    there = sa.exists().where(*(s.c[name] == file.c[name] for name in key))
    return sa.select(file.c.resource_id, file.c.from_seq).where(
        file.c.package_id == sa.bindparam("of"), ~there
    )


def _stray_releases_query() -> Any:
    r, release = tables.revision, tables.release
    there = sa.exists().where(r.c.package_id == release.c.package_id, r.c.seq == release.c.seq)
    return sa.select(release.c.name, release.c.seq).where(release.c.package_id == sa.bindparam("of"), ~there)


_REVISIONS = _with_text(tables.revision, tables.revision.c.seq)
_STATES = _with_text(tables.resource_state, tables.resource_state.c.from_seq)
_TEXTS_OF = _texts_query()
_STRAY_RELEASES = _stray_releases_query()
_STRAY_FILES = _stray_files_query()
