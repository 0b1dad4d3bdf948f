"""A file of no bytes, of one, and of 5 GiB: the form takes it, and nobody's memory grows with it."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from bench.in_browser import ScriptMemory
from bench.large_files import Growth
from tests.e2e.upload_form import MIB, Publisher, make_file, make_sparse, on

#: What scripts of a page, and the site's process, may take more for it.
GROWTH = 64 * MIB
#: Seconds for the largest.
SOON = 1800


@on()
@pytest.mark.parametrize("size", [0, 1])
def test_next_to_nothing(publisher: Publisher, tmp_path: Path, size: int):
    file, dataset = tmp_path / "small.csv", publisher.dataset()
    oid = make_file(file, size)
    form = publisher.form(dataset)
    form.choose(file)
    if size == 0:
        form.expect_state("asking")
        form.press("retry")
    form.expect_state("done")
    form.save()
    (resource,) = publisher.resources(dataset)
    assert (resource["sha256"], resource["size"]) == (oid, size)
    assert form.failures == []


@pytest.mark.parametrize("publisher", ["disk", "s3"], indirect=True)
@pytest.mark.proof(mebibytes=(0, 5120))
def test_gibibytes(publisher: Publisher, tmp_path: Path, counts: Any, record_property: Any):
    site, file, dataset = publisher.site, tmp_path / "large.bin", publisher.dataset()
    size = counts["mebibytes"] * MIB
    oid = make_sparse(file, size)
    form = publisher.form(dataset)
    with site.worker() if site.store_gate else nullcontext():
        scripts, server = ScriptMemory(form.page), Growth(site.pid)
        before = scripts.look(collected=True)
        scripts.peak = 0
        started = time.monotonic()
        form.choose(file)
        while (state := form.row.get_attribute("data-state")) != "done":
            assert state != "failed", form.row.inner_text()
            assert time.monotonic() - started < SOON, form.row.inner_text()
            scripts.look()
            form.page.wait_for_timeout(200)
        record_property("seconds", round(time.monotonic() - started, 1))
    record_property("scripts' memory before, MiB", round(before / MIB, 1))
    record_property("scripts' memory at most, MiB", round(scripts.peak / MIB, 1))
    record_property("growth of the site's process, MiB", server.peak())
    assert scripts.peak - before < GROWTH
    assert server.peak() * MIB < GROWTH
    form.save()
    (resource,) = publisher.resources(dataset)
    assert (resource["sha256"], resource["size"]) == (oid, size)
