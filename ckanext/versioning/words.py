"""What a change was, in words that a publisher knows.

Pure: no CKAN, no database. The changes are the summaries that `changes.compare` makes and revisions keep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

#: Resources that one sentence names; of the others it gives the number.
NAMED = 3


class Translator(Protocol):
    """As `gettext.NullTranslations`: to the language of whoever reads."""

    def gettext(self, message: str) -> str: ...

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str: ...


def merged(summaries: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The summary of several changes, given oldest first, as if they were one.

    A resource that came and went again is in none of the lists; one that was removed and put back counts as
    ``metadata``. A field that was changed and changed back stays named.
    """
    names: dict[str, set[str]] = {"fields": set(), "extras": set()}
    fate: dict[str, str] = {}  # id → added, removed, bytes or metadata
    moved: dict[str, None] = {}
    for summary in summaries:
        for kind, found in names.items():
            found.update(summary[kind])
        resources = summary["resources"]
        for id in resources["metadata"]:
            fate.setdefault(id, "metadata")
        for id in resources["bytes"]:
            if fate.get(id) != "added":
                fate[id] = "bytes"
        for id in resources["added"]:
            fate[id] = "metadata" if fate.get(id) == "removed" else "added"
        for id in resources["removed"]:
            if fate.get(id) == "added":
                del fate[id]
            else:
                fate[id] = "removed"
        moved.update(dict.fromkeys(resources["moved"]))
    return {
        **{kind: sorted(found) for kind, found in names.items()},
        "resources": {
            **{kind: [id for id in fate if fate[id] == kind] for kind in _SENTENCES},
            "moved": [id for id in moved if fate.get(id) not in ("added", "removed")],
        },
    }


def named(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """Ids of the resources that `sentences` names, by what happened to them."""
    return {kind: summary["resources"][kind][:NAMED] for kind in _SENTENCES}


def sentences(
    summary: Mapping[str, Any], names: Mapping[str, str], translator: Translator, *, first: bool = False
) -> list[str]:
    """One sentence for each kind of change. *names* are those of the resources in `named`, by id.

    *first*: this is how the history begins, so that only resources are worth telling.

    >>> from gettext import NullTranslations
    >>> nothing = {"added": [], "removed": [], "metadata": [], "moved": []}
    >>> summary = {"fields": ["title"], "extras": [], "resources": {**nothing, "bytes": ["x"]}}
    >>> sentences(summary, {"x": "Prices"}, NullTranslations())
    ['Changed: title.', 'New content for “Prices”.']
    """
    told = []
    if first:
        told.append(translator.gettext("The first recorded version."))
    elif summary["fields"] or summary["extras"]:
        labels = [*_fields(summary["fields"], translator), *_extras(summary["extras"], translator)]
        told.append(translator.gettext("Changed: {fields}.").format(fields=", ".join(labels)))
    for kind, sentence in _SENTENCES.items():
        if ids := summary["resources"][kind]:
            told.append(sentence(translator, len(ids)).format(names=_listed(ids, names, translator)))
    if summary["resources"]["moved"]:
        told.append(translator.gettext("Put the resources into another order."))
    return told or [translator.gettext("Nothing that lasted: what was changed was changed back.")]


def _listed(ids: Sequence[str], names: Mapping[str, str], translator: Translator) -> str:
    quoted = [translator.gettext("“{name}”").format(name=names.get(id, id)) for id in ids[:NAMED]]
    text = ", ".join(quoted)
    if rest := len(ids) - len(quoted):
        return translator.ngettext("{names} and {count} more", "{names} and {count} more", rest).format(
            names=text, count=rest
        )
    return text


#: Kind of change → sentence for that many resources, in the order in which they are told.
_SENTENCES: dict[str, Callable[[Translator, int], str]] = {
    "added": lambda t, n: t.ngettext("Added the resource {names}.", "Added the resources {names}.", n),
    "bytes": lambda t, n: t.ngettext("New content for {names}.", "New content for {names}.", n),
    "metadata": lambda t, n: t.ngettext(
        "Changed the details of {names}.", "Changed the details of {names}.", n
    ),
    "removed": lambda t, n: t.ngettext("Removed the resource {names}.", "Removed the resources {names}.", n),
}


def _fields(names: Iterable[str], translator: Translator) -> list[str]:
    _ = translator.gettext
    # What CKAN's own form calls them; several fields of one question have one label.
    labels = {
        "author": _("author"),
        "author_email": _("author"),
        "groups": _("groups"),
        "license_id": _("license"),
        "maintainer": _("maintainer"),
        "maintainer_email": _("maintainer"),
        "name": _("address on this site"),
        "notes": _("description"),
        "owner_org": _("organization"),
        "private": _("who may see it"),
        "state": _("status (draft, published or deleted)"),
        "tags": _("tags"),
        "title": _("title"),
        "url": _("source"),
        "version": _("version"),
    }
    found = (labels.get(name) or name.replace("_", " ") for name in names)
    return list(dict.fromkeys(found))


def _extras(names: Iterable[str], translator: Translator) -> list[str]:
    return [translator.gettext("“{name}”").format(name=name) for name in names]
