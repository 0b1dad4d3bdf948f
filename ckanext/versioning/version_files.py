"""All files of a version together: their checksums, and one zip file. They are about what the caller could
download one by one."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import Any

import ckantoolkit as tk
from ckan import model
from flask import Response

from ckanext.external_storage.download import content_disposition
from ckanext.versioning import archive, config, pins, reading, relations
from ckanext.versioning.page_frame import (
    Asked,
    asked_for,
    page_context,
    revision_of,
    shown_states,
    version_named,
)

SUMS, DATASET, LEFT_OUT = "SHA256SUMS", "dataset.json", "NOT_INCLUDED.txt"


@dataclass(frozen=True)
class Files:
    """``kept``: (name, sha256) of the files, in the dataset's order, no name twice. ``left_out``: bodies of
    the other resources, which are links, or files of which no bytes were kept, or which are ``waiting`` (ids)
    to be taken into the object store, so that no sha256 is known."""

    kept: list[tuple[str, str]]
    left_out: list[dict[str, Any]]
    waiting: Collection[str]

    def sums(self) -> str:
        return archive.checksums((oid, name) for name, oid in self.kept)


def checksums(id: str, ref: str) -> Any:
    """The sha256 of each file of a version, as ``sha256sum --check`` reads them."""
    asked, revision = _asked_for_files(id, ref)
    response = Response(_files(asked, revision).sums(), mimetype="text/plain")
    return _finished(response, asked, revision, "versioning.checksums")


def all_files(id: str, ref: str) -> Any:
    """The files of a version, their checksums, and what the dataset was, as one zip file.

    403 where the site makes no zip file of so many or so large files; 404 and 503 if a file is not there to
    be read, as for the file alone. That is decided before the first byte is sent. If a file goes missing
    after that, the answer breaks off, shorter than its Content-Length and without the directory at its end.
    """
    asked, revision = _asked_for_files(id, ref)
    files = _files(asked, revision)
    members = _stored(asked.package.id, files.kept)
    if problem := too_much(len(members), sum(member.size for member in members)):
        return tk.abort(403, problem)
    members += [_text(SUMS, files.sums()), _text(DATASET, _dataset(asked, revision))]
    if files.left_out:
        members.append(_text(LEFT_OUT, _not_included(files)))
    response = Response(
        archive.zip_chunks(members, revision.created), mimetype="application/zip", direct_passthrough=True
    )
    response.content_length = archive.zip_length(members)
    name = f"{asked.package.name}-{version_named(asked, revision)['ref']}.zip"
    response.headers["Content-Disposition"] = content_disposition(name)
    response.headers["Accept-Ranges"] = "none"
    return _finished(response, asked, revision, "versioning.zip")


def too_much(count: int, size: int) -> str | None:
    """Why the site makes no zip file of *count* files with *size* bytes together; None if it does."""
    if count <= config.zip_max_files() and size <= config.zip_max_bytes():
        return None
    return tk._(
        "This version has more files, or larger ones, than this site puts into one zip file. "
        "Download them one by one; SHA256SUMS says whether they are right."
    )


def _asked_for_files(id: str, ref: str) -> tuple[Asked, Any]:
    asked = asked_for(id)
    revision = revision_of(asked, ref)
    if not reading.has_files():
        tk.abort(404, tk._("This site keeps the history of metadata only, not of files."))
    return asked, revision


def _files(asked: Asked, revision: Any) -> Files:
    found = [(state.file_oid, json.loads(state.body)) for state in shown_states(asked, revision)]
    stored = [(oid, reading.filename(body)) for oid, body in found if oid]
    names = archive.file_names([name for _oid, name in stored], reserved=(SUMS, DATASET, LEFT_OUT))
    return Files(
        [(name, oid) for name, (oid, _given) in zip(names, stored, strict=True)],
        [body for oid, body in found if not oid],
        pins.kept(model.Session, asked.package.id, revision.seq),
    )


def _stored(package_id: str, files: list[tuple[str, str]]) -> list[archive.Member]:
    """The files, each of which was there to be read a moment ago; aborts if one is not."""
    from ckanext.external_storage import config as storage  # versioning also runs without it
    from ckanext.external_storage import errors
    from ckanext.external_storage.transfer import links

    try:
        store = storage.store()
        linked = links.linked(model.Session.connection(), package_id, {oid for _name, oid in files})
        for _name, oid in files:
            if oid not in linked:
                raise errors.ObjectNotFound(oid)
            store.open(linked[oid].key).close()
    except errors.StorageError as error:
        return tk.abort(error.status, str(error))
    return [
        archive.Member(name, linked[oid].size, partial(store.open, linked[oid].key)) for name, oid in files
    ]


def _text(name: str, text: str) -> archive.Member:
    # Half a surrogate pair has no UTF-8; written like this, JSON still reads it.
    data = text.encode(errors="backslashreplace")
    return archive.Member(name, len(data), partial(BytesIO, data))


def _dataset(asked: Asked, revision: Any) -> str:
    """What `package_show` gives, less what later saves change."""
    context: Any = {key: value for key, value in page_context().items() if key != "for_view"}
    given = {"id": asked.package.id, "revision_ref": f"r{revision.seq}"}
    shown = tk.get_action("package_show")(context, given)
    del shown["is_current"]
    return json.dumps(shown, ensure_ascii=False, indent=2, default=str) + "\n"


def _not_included(files: Files) -> str:
    lines = ["Resources of this version that have no file here. What is behind a link is not kept.", ""]
    for body in files.left_out:
        if body["id"] in files.waiting:
            what = "a file whose checksum is not known yet; download it by itself, or try again later"
        elif body.get("url_type") == "upload":
            what = "a file that was not kept"
        else:
            what = f"a link to {reading.link(body['url'])}"
        lines.append(" ".join(f"{body.get('name') or body['id']}: {what}".split()))
    return "\n".join(lines) + "\n"


def _finished(response: Response, asked: Asked, revision: Any, endpoint: str) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "private, no-store"
    return relations.of_version(response, asked, revision, endpoint)
