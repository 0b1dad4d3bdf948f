"""A file sent by its client to the S3 server: by the signed PUT of our batch, and by a plain signed PUT.

Ours is bound to the file's sha256, size and type, which the server checks while it takes the bytes; a plain
one takes anything. The second case is all that a git-lfs client does for a file: batch, PUT, and our answer
to "verify", for which nothing is read again. A new file each time.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator

from bench import large_files
from bench.figure import Case, Figure, Goal, in_turn
from bench.large_files import Made
from services.settings import Settings

SIZE, ROUNDS = 256 << 20, 7
OURS, PEER, CONTROL = "external_storage", "a plain signed PUT", "a plain signed PUT again"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with (
        large_files.bucket(settings) as (s3, name, options),
        large_files.ours(settings, options) as (ours, _client, _dataset),
    ):

        def bare() -> float:
            key = {"Bucket": name, "Key": str(uuid.uuid4())}
            href = s3.generate_presigned_url("put_object", key)
            return large_files.put({"href": href, "header": {}}, Made(SIZE))

        def direct() -> float:
            file = Made(SIZE)
            return large_files.put(ours.action(file, "upload"), file)

        def whole() -> float:
            file = Made(SIZE)
            started = time.perf_counter()
            (actions,) = ours.actions([file], "upload")
            large_files.put(actions["upload"], file)
            large_files.confirm(actions["verify"], file.pointer)
            return time.perf_counter() - started

        size = f"{SIZE >> 20} MiB"
        for case, contender in ((f"PUT {size}", direct), (f"batch, PUT {size}, verify", whole)):
            yield Case(case, in_turn({OURS: contender, PEER: bare, CONTROL: bare}, ROUNDS, 1, chance))


FIGURE = Figure(
    what="a file of 256 MiB by its client to the S3 server",
    ours=OURS,
    peer=PEER,
    control=CONTROL,
    goal=Goal(1.1),
    measure=measure,
)
