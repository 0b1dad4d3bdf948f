"""Actions that show the history, and what a dataset was."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import flask
from ckan import model
from ckan.types import Context

from ckanext.versioning import access, errors, feed, reading, revisions
from ckanext.versioning.logic import schema
from ckanext.versioning.logic.errors import as_ckan_errors
from ckanext.versioning.logic.validation import validated
from ckanext.versioning.revisions import Only
from ckanext.versioning.withdrawal import Withdrawn


@tk.side_effect_free
@as_ckan_errors
def dataset_revision_list(context: Context, data_dict: dict[str, Any]) -> list[dict[str, Any]]:
    """Revisions of a dataset that the caller may see, newest first.

    :param id: id or name of the dataset
    :type id: string
    :param all: every revision; otherwise one line for each changeset (consecutive saves by one author that
        belong together), which is its newest revision, and one for each released revision (optional,
        default: false)
    :type all: bool
    :param limit: how many lines, 1 to 1000 (optional, default: 20)
    :type limit: int
    :param before_seq: only revisions with a lower ``seq``: that of the last line gives the next page
        (optional)
    :type before_seq: int
    :param author: only revisions by this user, by id or name (optional)
    :type author: string
    :param since: only revisions made at this time or later; a date alone: from the beginning of that day, UTC
        (optional)
    :type since: string
    :param until: only revisions made at this time or before; a date alone: until the end of that day, UTC
        (optional)
    :type until: string
    :param resource_id: only revisions in which this resource was added, changed, moved or removed; and those
        of which the caller may not see what changed (optional)
    :type resource_id: string

    Without ``all``, lines are made from the revisions that these choose: a line is the newest of them in its
    changeset, which need not be the changeset's newest.

    :returns: dicts with ``seq`` (1 for the first revision of the dataset), ``id`` (64 hex digits),
        ``created`` (UTC, as in ``2026-05-01T12:00:00.000000Z``), ``author`` (``id`` and ``name``, the display
        name at the time; null if nobody is known), ``message`` (null if there is none), ``origin`` (``web``,
        ``api``, ``job``, ``cli``, ``revert``, or ``baseline`` for the state of a dataset before its history
        began), ``changeset``, ``releases`` (names) and ``summary``: what changed since revision ``seq`` - 1,
        null if the caller may not see that one. A summary has ``fields`` and ``extras`` (names; empty for the
        first revision) and ``resources`` with lists of ids: ``added``, ``removed``, ``bytes`` (another
        file), ``metadata`` (changed, same file) and ``moved``.
    :rtype: list of dicts

    :raises ObjectNotFound: no such dataset, or the caller may not read it
    :raises ValidationError: a parameter is missing or out of range
    """
    given = validated(schema.dataset_revision_list(), data_dict)
    package = access.readable(context, given["id"], "dataset_revision_list", given)
    return revisions.listing(
        package.id,
        access.viewer(context, package.id),
        all=given["all"],
        limit=given["limit"],
        before_seq=given.get("before_seq"),
        only=Only(
            authors=_author_ids(context, given["author"]) if "author" in given else None,
            since=given.get("since"),
            until=given.get("until"),
            resource_id=given.get("resource_id"),
        ),
    )


def _author_ids(context: Context, author: str) -> set[str]:
    user = model.User.get(author)
    try:
        # Whoever may not look up a user must not learn from us whose id a name is.
        tk.check_access("user_show", tk.fresh_context(context), {"id": author})
    except tk.NotAuthorized:
        user = None
    return {author, user.id} if user else {author}


@tk.side_effect_free
@as_ckan_errors
def dataset_revision_show(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """One revision of a dataset. What the dataset was then: ``package_show`` with ``revision_ref``.

    :param id: id or name of the dataset
    :type id: string
    :param ref: name of a release, ``latest``, ``head``, ``head~1``, ``r1``, a time, or the beginning of an id
    :type ref: string

    :returns: as in ``dataset_revision_list``, with ``parent`` (id of the revision before, null for the first)
        and ``resources`` in the dataset's order: ``id``, and for a stored file ``sha256`` and ``size`` in
        bytes, otherwise null
    :rtype: dict

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    given = validated(schema.dataset_revision_show(), data_dict)
    package = access.readable(context, given["id"], "dataset_revision_show", given)
    who = access.viewer(context, package.id)
    return revisions.details(package.id, who, revisions.find(package.id, who, given["ref"]))


@tk.side_effect_free
@as_ckan_errors
def revision_changes_since(context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """What was saved on the whole site since the last call, for those who keep a copy or an index of it.

    The first call has no cursor, and gives the history from its beginning; each next one has the cursor of
    the answer before. However many save at once and however long that takes, none is missed, and none comes
    twice.

    :param cursor: from the answer before (optional)
    :type cursor: string
    :param limit: how many revisions, 1 to 1000 (optional, default: 100)
    :type limit: int

    :returns: ``changes``, revisions as in ``dataset_revision_list`` with ``package_id``; ``cursor``, for the
        next call; and ``more``: false if that need not be at once. One answer may have fewer ``changes``
        than ``limit``, or none, and yet ``more``. Revisions come about in the order in which they were
        saved: of two of one dataset, the one with the higher ``seq`` is the newer one. Of datasets that the
        caller could not find there are none, nor are there those that only permission to update the dataset
        would show.
    :rtype: dict

    :raises ValidationError: a parameter is malformed or out of range; or the cursor has become useless,
        because the database was restored: begin without one
    """
    given = validated(schema.revision_changes_since(), data_dict)
    tk.check_access("revision_changes_since", context, given)
    found = feed.changes(access.searcher(context), given.get("cursor"), given["limit"])
    return {"changes": found.revisions, "cursor": found.cursor, "more": found.more}


@tk.chained_action
@tk.side_effect_free
@as_ckan_errors
def package_show(original_action: Any, context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Core's, which with a ref shows the dataset as it was.

    :param id: id or name of the dataset, also with a ref after it: ``my-data@v1``
    :type id: string
    :param revision_ref: which revision, as in ``dataset_revision_show``, instead of a ref in ``id``
        (optional)
    :type revision_ref: string

    :returns: with a ref, the dict of that time with ``revision_ref`` (as given), ``is_current`` and
        ``revision`` (``seq``, ``id``); URLs of uploaded files give the bytes of that revision

    :raises ObjectNotFound: no such dataset or revision, or the caller may not see it
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    given = _asked(data_dict)
    if given is None:
        return original_action(context, data_dict)
    package = access.readable(context, given["id"], "package_show", given)
    found = revisions.find(package.id, access.viewer(context, package.id), given["revision_ref"])
    return reading.show(context, package, found, given["revision_ref"], data_dict)


@tk.chained_action
@tk.side_effect_free
@as_ckan_errors
def resource_show(original_action: Any, context: Context, data_dict: dict[str, Any]) -> dict[str, Any]:
    """Core's, which with a ref shows the resource as it was, also one that has been deleted since.

    :param id: id of the resource, also with a ref of its dataset after it: ``<id>@v1``
    :type id: string
    :param revision_ref: which revision of its dataset, instead of a ref in ``id`` (optional)
    :type revision_ref: string

    :returns: with a ref, the dict that ``package_show`` has of the resource with that ref, and the same marks

    :raises ObjectNotFound: no such resource or revision, the resource was not there then, or the caller may
        not see it
    :raises ValidationError: the ref is malformed, or fits several ids
    """
    given = _asked(data_dict)
    if given is None:
        return original_action(context, data_dict)
    for package_id in revisions.datasets_with(given["id"]):
        if shown := _resource_then(dict(context), package_id, given["id"], given["revision_ref"]):
            return shown
    raise tk.ObjectNotFound("There is no such resource in such a revision, or you may not read it.")


# Core's record of checks knows none for a resource that is gone; of that one its dataset's is asked for.
vars(resource_show)["auth_audit_exempt"] = True


def _resource_then(context: Any, package_id: str, resource_id: str, ref: str) -> dict[str, Any] | None:
    try:
        package = access.readable(context, package_id, "package_show", {"id": package_id})
        now = model.Resource.get(resource_id)
        if now is not None and now.state == "active" and now.package_id == package_id:
            # Another plugin may have closed a single resource of a dataset that can be read.
            tk.check_access("resource_show", tk.fresh_context(context), {"id": resource_id})
        found = revisions.find(package_id, access.viewer(context, package_id), ref)
    except Withdrawn as gone:
        if revisions.states(package_id, gone.seq, resource_id):
            raise
        return None
    except (tk.ObjectNotFound, tk.NotAuthorized, errors.RevisionNotFound):
        return None
    return reading.show_resource(context, package, found, resource_id, ref)


def _asked(data_dict: dict[str, Any]) -> dict[str, Any] | None:
    """``id`` and ``revision_ref``, checked; None if *data_dict* asks for what is there now."""
    id, ref = data_dict.get("id") or data_dict.get("name_or_id"), data_dict.get("revision_ref") or None
    # No name has an @ in it. One in a page's address is not for us: the page would show old and new mixed.
    if isinstance(id, str) and "@" in id and id not in _in_address():
        id, _, after = id.partition("@")
        if ref is not None:
            raise tk.ValidationError({"revision_ref": ["The id has a ref too. Give one of the two."]})
        ref = after
    if ref is None:
        return None
    return validated(schema.show_revision(), {"id": id, "revision_ref": ref})


def _in_address() -> Any:
    return (tk.request.view_args or {}).values() if flask.has_request_context() else ()
