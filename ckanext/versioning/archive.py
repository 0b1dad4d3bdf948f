"""All files of a version as one zip file, and their checksums. Pure: no CKAN, no database.

The zip is written while it is sent: memory stays the same however large the files are. Its files are
stored, not deflated. So its length is known before the first byte, and a download that was cut off is seen
to be; and its bytes depend on the files and their names only, not on the version of a compressor.
"""

from __future__ import annotations

import unicodedata
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import IO

CHUNK = 1 << 18  # bytes
#: Longest name in bytes, which leaves room for what makes it unique: file systems end at 255.
MAX_NAME = 200

#: What Windows has no files for, with or without an extension …
_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
#: … and in no name, and what is a separator on some system.
_FORBIDDEN = str.maketrans(dict.fromkeys('<>:"|?*/\\', "_"))


class WrongLength(Exception):
    """A file has more or fewer bytes than the record says. What was sent of the zip is not a whole one."""

    def __init__(self, name: str, expected: int):
        super().__init__(f"{name!r} does not have the {expected} bytes that it should have.")
        self.name = name
        self.expected = expected


@dataclass(frozen=True)
class Member:
    """``size`` in bytes; ``open`` gives exactly as many."""

    name: str
    size: int
    open: Callable[[], IO[bytes]]


def file_names(given: Iterable[str], reserved: Iterable[str] = ()) -> list[str]:
    """A name for each file, from the name it was *given* by somebody.

    Every name is one that can be unpacked on any system without leaving the directory; no two are equal,
    whatever the file system takes for equal, and none is *reserved*. The same list gives the same names.

    >>> file_names(["a.csv", "A.csv", "../b.csv", ""])
    ['a.csv', 'A-2.csv', '_b.csv', 'file']
    """
    taken = {_folded(name) for name in reserved}
    names = []
    for name in map(_harmless, given):
        stem, dot, extension = name.rpartition(".")
        unique, count = name, 1
        while _folded(unique) in taken:
            count += 1
            unique = f"{stem}-{count}.{extension}" if dot else f"{name}-{count}"
        taken.add(_folded(unique))
        names.append(unique)
    return names


def _harmless(name: str) -> str:
    # Dots and blanks at the end are dropped by Windows, dots at the beginning hide a file.
    name = "".join(c for c in name if c.isprintable()).translate(_FORBIDDEN).strip(". ")
    _stem, dot, extension = name.rpartition(".")
    if len(name.encode()) > MAX_NAME:
        # An extension longer than this is none.
        tail = f".{extension}" if dot and len(extension.encode()) < 20 else ""
        name = _cut(name.removesuffix(tail), MAX_NAME - len(tail.encode())) + tail
    if name.partition(".")[0].strip().casefold() in _DEVICES:
        name = f"_{name}"
    return name or "file"


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def checksums(files: Iterable[tuple[str, str]]) -> str:
    """What ``sha256sum --check`` reads, from (sha256 in hex, name).

    A name with a backslash or a line end in it is escaped, and its line begins with a backslash: GNU
    coreutils manual, "md5sum invocation".

    >>> print(checksums([("ab" * 32, "a.csv")]), end="")
    abababababababababababababababababababababababababababababababab  a.csv
    """
    return "".join(map(_checksum_line, files))


def _checksum_line(file: tuple[str, str]) -> str:
    sha256, name = file
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return f"{mark}{sha256}  {escaped}\n"


def zip_chunks(members: Iterable[Member], when: datetime) -> Iterator[bytes]:
    """The zip file with *members* in their order, all with the time *when*; `zip_length` bytes.

    A member is opened when its turn comes. Raises WrongLength, and what a member's ``open`` raises; what has
    been given until then is no zip file, since that needs the directory at its end.
    """
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # stored, and for a stream without a way back
        for member in members:
            with archive.open(_info(member, when), "w") as target, member.open() as source:
                left = member.size
                while chunk := source.read(CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        break
                    target.write(chunk)
                    yield from pipe.taken()
                if left:
                    raise WrongLength(member.name, member.size)
    yield from pipe.taken()


def zip_length(members: Iterable[Member]) -> int:
    """How many bytes `zip_chunks` gives: PKWARE's APPNOTE 4.3, as `zipfile` writes it."""
    large = zipfile.ZIP64_LIMIT
    offset = directory = count = 0
    for member in members:
        name = len(member.name.encode())
        # zipfile takes room for a file that would grow by 5 % when deflated, also where it stores.
        wide = member.size * 1.05 > large
        wide_fields = 2 * (member.size > large) + (offset > large)
        directory += 46 + name + (4 + 8 * wide_fields if wide_fields else 0)
        offset += 30 + name + (20 if wide else 0) + member.size + (24 if wide else 16)
        count += 1
    wide_end = count > zipfile.ZIP_FILECOUNT_LIMIT or offset > large or directory > large
    return offset + directory + (56 + 20 if wide_end else 0) + 22


def _info(member: Member, when: datetime) -> zipfile.ZipInfo:
    at = when.astimezone(timezone.utc)
    info = zipfile.ZipInfo(member.name, (at.year, at.month, at.day, at.hour, at.minute, at.second))
    info.file_size = member.size  # which decides whether it needs ZIP64
    info.create_system = 3  # Unix, whose permissions follow
    info.external_attr = 0o100644 << 16
    return info


class _Pipe:
    """What `zipfile` writes to: keeps what was written until it is taken. It cannot be sought in."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.written.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """Nor is anything held."""

    def taken(self) -> list[bytes]:
        self.written, taken = [], self.written
        return taken
