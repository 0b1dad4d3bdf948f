"""Takes the pictures of the upload field in docs/; `make picture` runs it, too."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FloatRect, Page, ViewportSize

from demo import picture
from tests.e2e.upload_form import MIB, Publisher, UploadForm, make_file
from tests.e2e.upload_pictures import DIRECTORY, MAX_BYTES, PICTURES

SIZE, PHONE = ViewportSize(width=1000, height=800), ViewportSize(width=390, height=760)
#: Pixels around the field.
MARGIN = 12
SOON = 60


def take(name: str, page: Page, *, whole: bool = False) -> None:
    """Of the field, or of what the window shows."""
    # The people of these tests have pictures on a server that is not asked here.
    page.add_style_tag(content=".account-masthead { display: none }")
    field = page.locator(".resource-upload-field")
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box
    clip = FloatRect(
        x=box["x"] - MARGIN,
        y=box["y"] - MARGIN,
        width=box["width"] + 2 * MARGIN,
        height=box["height"] + 2 * MARGIN,
    )
    page.mouse.move(0, 0)
    taken = page.screenshot(caret="hide", animations="disabled", **({} if whole else {"clip": clip}))
    picture.save(taken, DIRECTORY / PICTURES[name], MAX_BYTES)


@contextmanager
def held(publisher: Publisher, form: UploadForm, file: Path) -> Iterator[None]:
    """The file is chosen, and about half of it is there."""
    way = publisher.site.way
    way.hold_after(file.stat().st_size * 6 // 10)
    form.choose(file)
    assert way.held.wait(SOON)
    form.expect_state("sending")
    yield
    way.let_go()


@pytest.mark.proof(pictures=(0, 1))
def test_every_state_has_its_picture(s3_publisher: Publisher, tmp_path: Path, counts: Any):
    site, dataset = s3_publisher.site, s3_publisher.dataset(title="Traffic in the city")
    file, small = tmp_path / "traffic-2025.csv", tmp_path / "stations.csv"
    make_file(file, 120 * MIB)
    make_file(small, 3 * MIB)
    form = s3_publisher.form(dataset)
    form.page.set_viewport_size(SIZE)
    take("idle", form.page, whole=True)

    with held(s3_publisher, form, file):
        form.page.wait_for_timeout(1500)  # until it knows how fast it is
        take("running", form.page)
        second = s3_publisher.form(dataset)
        second.page.set_viewport_size(SIZE)
        second.choose(file)
        second.expect_state("watching")
        take("watching", second.page)
        second.page.close()
        form.page.set_viewport_size(PHONE)
        take("phone", form.page, whole=True)
        form.page.set_viewport_size(SIZE)
        form.press("pause")
        form.expect_state("paused")
        take("paused", form.page)
        form.press("resume")
        site.way.close()
        form.expect_state("offline")
        take("offline", form.page)
        site.way.open()
    form.expect_state("failed")
    take("failed", form.page)
    with site.worker():
        os.kill(site.worker_pid, signal.SIGSTOP)
        form.press("retry")
        form.expect_state("checking")
        take("checking", form.page)
        os.kill(site.worker_pid, signal.SIGCONT)
        form.expect_state("done")
        take("done", form.page)

    other = s3_publisher.form(dataset)
    other.page.set_viewport_size(SIZE)
    other.page.route("**/hash_worker.js", lambda route: None)  # nothing is read before that has come
    other.choose(small)
    other.expect_state("hashing")
    take("hashing", other.page)
    other.page.close()

    several = [tmp_path / f"stations-{year}.csv" for year in range(2021, 2026)]
    for path in several:
        make_file(path, 20 * MIB)
    many = s3_publisher.form(dataset)
    many.page.set_viewport_size(SIZE)
    site.way.hold_after(30 * MIB)
    many.choose(small, *several)
    assert site.way.held.wait(SOON)
    many.page.wait_for_timeout(1500)
    take("many files", many.page, whole=True)
    site.way.let_go()
    many.page.close()
