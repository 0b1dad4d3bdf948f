"""Files that were pushed to a dataset become its resources: a list of path → file, in one save."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ckanext.external_storage.resources import filename, stored_oid

MAX_FILES = 1000
MAX_PATH = 500
_OID = re.compile(r"[0-9a-f]{64}")

Problem = dict[str, list[str]]


def problems(files: Sequence[Any]) -> list[Problem]:
    """An error dict for each of *files*, ``{}`` for those that are in order."""
    found: list[Problem] = []
    paths: set[Any] = set()
    for file in files:
        problem: Problem = {}
        if not isinstance(file, Mapping):
            problem["path"] = ['Each file is an object: {"path": "data/a.csv", "oid": "<sha256>"}.']
        else:
            path = file.get("path")
            if not _is_path(path):
                problem["path"] = [
                    "This is no path of a file inside a folder: names with / between them, at most"
                    f" {MAX_PATH} characters."
                ]
            elif path in paths:
                problem["path"] = ["This path is in the list twice."]
            else:
                paths.add(path)
            names = [key for key in ("oid", "upload_id") if file.get(key)]
            if len(names) != 1 or not isinstance(file[names[0]], str):
                problem["oid"] = ["Name the file by its oid (sha256) or by its upload_id."]
            elif names == ["oid"] and not _OID.fullmatch(file["oid"]):
                problem["oid"] = ["An oid is a sha256 in 64 lower-case hex digits."]
        found.append(problem)
    return found


def _is_path(path: Any) -> bool:
    return (
        isinstance(path, str)
        and len(path) <= MAX_PATH
        and path.isprintable()
        and "\\" not in path
        and not {"", ".", ".."} & {part.strip() for part in path.split("/")}
    )


def placed(
    resources: Sequence[dict[str, Any]], files: Sequence[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], list[int]]:
    """The resources with *files* in them, and the place of each file among them.

    The resource that is called like the path, or whose stored file is, gets the file; without one there is a
    new resource at the end, in the order of *files*.
    """
    result = list(resources)
    by_file = {filename(item): place for place, item in reversed(list(enumerate(result))) if stored_oid(item)}
    by_name = {item.get("name"): place for place, item in reversed(list(enumerate(result)))}
    places = []
    for file in files:
        path = file["path"]
        place = by_name.get(path, by_file.get(path))
        if place is None:
            place = len(result)
            result.append({"name": path})
        named = {"upload_id": file["upload_id"]} if file.get("upload_id") else {"sha256": file["oid"]}
        result[place] = {**result[place], "url_type": "upload", "url": path.rsplit("/")[-1], **named}
        places.append(place)
    return result, places
