"""Which pictures of the upload field docs/ has, and which of its states each of them shows."""

from __future__ import annotations

import re

from services.checkout import ROOT

DIRECTORY = ROOT / "docs"
#: What people see → its picture.
PICTURES = {
    "idle": "upload_idle.png",
    "running": "upload_running.png",
    "paused": "upload_paused.png",
    "offline": "upload_offline.png",
    "watching": "upload_watching.png",
    "hashing": "upload_hashing.png",
    "checking": "upload_checking.png",
    "failed": "upload_failed.png",
    "done": "upload_done.png",
    "many files": "upload_many.png",
    "phone": "upload_phone.png",
}
#: State of an upload (sdk/src/types.ts) → what of the above shows it.
SHOWN = {
    "waiting": "many files",
    "hashing": "hashing",
    "sending": "running",
    "offline": "offline",
    "paused": "paused",
    "watching": "watching",
    "checking": "checking",
    "done": "done",
    "failed": "failed",
    "cancelled": "idle",
}
#: Bytes.
MAX_BYTES = 60_000


def states() -> set[str]:
    """All that an upload may be in."""
    types = (ROOT / "sdk" / "src" / "types.ts").read_text()
    (union,) = re.findall(r"export type UploadState =([^;]*);", types)
    return set(re.findall(r'"(\w+)"', union))
