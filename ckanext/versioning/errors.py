"""What can go wrong with the history of a dataset.

Each error carries its evidence as attributes. `logic/errors.py` is the one place that turns them into
CKAN's exceptions.
"""

from __future__ import annotations

from typing import Any


class VersioningError(Exception):
    """Root. ``str()`` is the sentence a user may read."""


class InvalidRef(VersioningError):
    """A ref that could never name a revision, whatever the dataset."""

    def __init__(self, ref: str, reason: str):
        super().__init__(
            f"{ref[:40]!r} cannot name a revision: {reason}. "
            "Use the name of a release, latest, head, head~1, r1, a time like 2026-05-01T12:00Z, "
            "or a revision id."
        )
        self.ref = ref
        self.reason = reason


class RevisionNotFound(VersioningError):
    """No revision that the caller may see answers to the ref; missing and hidden answer alike."""

    def __init__(self, ref: str):
        super().__init__(
            f"This dataset has no revision {ref!r}. dataset_revision_list shows the ones that can be read."
        )
        self.ref = ref


class AmbiguousRef(VersioningError):
    """The beginning of an id that several visible revisions share."""

    def __init__(self, ref: str):
        super().__init__(f"More than one revision id begins with {ref!r}. Give more of its characters.")
        self.ref = ref


class InvalidReleaseName(VersioningError):
    """A name that git would refuse, or that would be mistaken for another kind of ref."""

    def __init__(self, name: str, reason: str, suggestion: str | None = None):
        advice = f" Try {suggestion!r}, and put free text into the title." if suggestion else ""
        super().__init__(f"{name[:40]!r} cannot be the name of a release: {reason}.{advice}")
        self.name = name
        self.reason = reason
        self.suggestion = suggestion


class ReleaseExists(VersioningError):
    """Release names are unique per dataset, and a release is never moved to another revision."""

    def __init__(self, name: str):
        super().__init__(
            f"This dataset already has a release {name!r}. Release names must be unique per dataset: "
            "choose another name."
        )
        self.name = name


class ReleaseNameUsed(VersioningError):
    """The name was once given to another revision, and somebody may have cited it."""

    def __init__(self, name: str, seq: int):
        super().__init__(
            f"Revision {seq} of this dataset was released as {name!r} before, and that release was deleted. "
            "Whoever cited the name must not find something else under it: choose another name."
        )
        self.name = name
        self.seq = seq


class ReleaseRenamed(VersioningError):
    """Somebody tries to give a release another name."""

    def __init__(self, name: str):
        super().__init__(
            f"The release {name!r} keeps its name, because somebody may have cited it. Nothing was changed. "
            "If another name is needed, release the same revision once more under that name."
        )
        self.name = name


class NoReleaseNumber(VersioningError):
    """A name was to be proposed, and the newest release's name has no number at its end."""

    def __init__(self):
        super().__init__(
            "The name of the newest release does not end in a number that could be counted up. Give a name."
        )


class ReleaseNotFound(VersioningError):
    """The dataset has no release of this name."""

    def __init__(self, name: str):
        super().__init__(f"This dataset has no release {name[:40]!r}. dataset_release_list shows them.")
        self.name = name


class MessageRequired(VersioningError):
    """A change without a message, where the site or the organisation asks for one."""

    def __init__(self):
        super().__init__(
            "Say in a few words what has changed: whoever reads the list of versions needs it. "
            "Nothing was saved."
        )


class NotCurrent(VersioningError):
    """Somebody tries to save what `package_show` or `resource_show` gave for an old revision."""

    def __init__(self, seq: int):
        super().__init__(
            f"This is what was in revision {seq}, not what is there now: saving it would undo every later "
            "change. Nothing was saved. To bring it back use dataset_revert. To change what is there now, "
            "read it without a ref and change that."
        )
        self.seq = seq


class NotNewest(VersioningError):
    """A save that is based on a revision after which somebody else has saved.

    ``head`` is the newest revision (`revisions.in_short`), None if the dataset has no history.
    """

    def __init__(self, base: str, head: dict[str, Any] | None):
        now = f"its newest revision is r{head['seq']}" if head else "it has no revision yet"
        super().__init__(
            f"This save is based on {base!r}, but the dataset has changed since: {now}. Nothing was saved. "
            "Read the dataset again, make your change on what is there now, and save that with the new "
            "base_revision."
        )
        self.base = base
        self.head = head


class InvalidCursor(VersioningError):
    """A cursor of `revision_changes_since` from which nobody can go on."""

    def __init__(self, reason: str):
        super().__init__(f"{reason} Start again without a cursor: that gives everything from the beginning.")
        self.reason = reason


class UnknownPart(VersioningError):
    """Parts of a dataset that a revert was asked for and that neither state has."""

    def __init__(self, parts: list[str]):
        super().__init__(
            f"Neither this revision nor the dataset has {', '.join(repr(part[:40]) for part in parts[:5])}. "
            "Parts are fields, resources, ids of resources, and name, owner_org, private, state."
        )
        self.parts = parts


class FileNotKept(VersioningError):
    """A file that CKAN's own FileStore had, and that has been replaced or deleted since."""

    def __init__(self, resource_id: str, name: str):
        super().__init__(
            f"The file of the resource {name[:80]!r} ({resource_id}) was not kept, so it cannot come back. "
            "Nothing was changed. Revert other parts: the fields, or the other resources."
        )
        self.resource_id = resource_id
