"""What happens to uploads of a form when the network, the site, the store or the user gets in their way."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack, nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Route, expect

from services.settings import Settings
from tests import small_disk
from tests.conftest import SANDBOX
from tests.e2e import upload_sites
from tests.e2e.upload_form import (
    MIB,
    PATIENCE,
    RIGHT,
    ROW,
    WRONG,
    Publisher,
    logged_in,
    make_file,
    on,
)
from tests.faults.victims import Nursery
from tests.s3 import OPTION, options_for, server_of_its_own

#: Bytes of a file that is not hashed first, and after how many of them it is held up.
LARGE, MOST = 40 * MIB, 24 * MIB
#: The same in parts to a store, four at a time: when the last ones are held up, some have arrived.
PARTS, PART = 6, 16 * MIB
IN_PARTS, MOST_PARTS = PARTS * PART, 5 * PART
#: Seconds for that to arrive.
SOON = 60


class Story:
    """A file on its way to a dataset."""

    def __init__(self, publisher: Publisher, directory: Path, size: int | None = None):
        self.publisher, self.site = publisher, publisher.site
        size = size or (IN_PARTS if self.site.store_gate else LARGE)
        self.file = directory / "roads.csv"
        self.oid = make_file(self.file, size)
        self.dataset = publisher.dataset()
        self.form = publisher.form(self.dataset)
        # Leaving a page with an upload asks first.
        self.form.page.on("dialog", lambda dialog: dialog.accept())

    def begin(self) -> None:
        """More than half of it arrives, and then no more for now."""
        self.site.way.hold_after(MOST_PARTS if self.site.store_gate else MOST)
        self.form.choose(self.file)
        assert self.site.way.held.wait(SOON)

    def finish(self) -> None:
        """The file arrives, is checked and saved, and nothing was sent twice that need not be."""
        self.site.way.let_go()
        # At a store, what came in parts is read by the worker.
        with self.site.worker() if self.site.store_gate else nullcontext():
            self.form.expect_state("done")
        self.form.save()
        self.assert_saved()

    def assert_saved(self) -> None:
        (resource,) = self.publisher.resources(self.dataset)
        assert (resource["sha256"], resource["size"]) == (self.oid, self.file.stat().st_size)
        assert self.form.failures == []

    def begun_with(self) -> list[int]:
        """Where the requests with bytes of the file began, in MiB: offsets, or numbers of parts."""
        if self.site.store_gate is None:
            sent = [r for r in self.form.requests if r.method == "PATCH"]
            return [int(request.headers["upload-offset"]) // MIB for request in sent]
        sent = [urlsplit(r.url) for r in self.form.requests if r.method == "PUT"]
        return [int(parse_qs(address.query).get("partNumber", ["1"])[0]) for address in sent]


@on(disk=(1, 1))
def test_the_server_is_killed_and_restarted(publisher: Publisher, tmp_path: Path, record_property: Any):
    story = Story(publisher, tmp_path)
    story.begin()
    story.site.kill()
    if not story.site.store_gate:  # else it does not notice
        story.form.expect_state("offline")
    story.site.start_again()
    story.finish()
    record_property("requests began with", story.begun_with())
    if not story.site.store_gate:
        first, *_, last = story.begun_with()
        # Some was on its way to the process that was killed.
        assert first == 0 < MOST // MIB // 2 <= last, "it went on where it was"


@on()
def test_offline_for_20_seconds(publisher: Publisher, tmp_path: Path, record_property: Any):
    story = Story(publisher, tmp_path)
    story.begin()
    gates = {story.site.gate, story.site.way}
    for gate in gates:
        gate.close()
    publisher.context.set_offline(True)
    story.form.expect_state("offline")
    time.sleep(20)
    for gate in gates:
        gate.open()
    publisher.context.set_offline(False)
    story.finish()
    record_property("requests began with", story.begun_with())


@on()
def test_the_computer_sleeps(publisher: Publisher, tmp_path: Path, record_property: Any):
    """The browser stands still, and when it goes on, its connections are gone."""
    story = Story(publisher, tmp_path)
    story.begin()
    gates, processes = {story.site.gate, story.site.way}, of_the_browser()
    assert processes
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        for gate in gates:
            gate.close()
        time.sleep(10)
        for gate in gates:
            gate.open()
    finally:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)
    story.finish()
    record_property("requests began with", story.begun_with())


def of_the_browser() -> list[int]:
    """The processes of this test's Chromium."""
    processes = [os.getpid()]
    for pid in processes:
        for thread in Path(f"/proc/{pid}/task").iterdir():
            processes += map(int, (thread / "children").read_text().split())
    return [pid for pid in processes if "chrom" in os.readlink(f"/proc/{pid}/exe")]


@on()
def test_the_tab_is_reloaded(publisher: Publisher, tmp_path: Path, record_property: Any):
    story = Story(publisher, tmp_path)
    story.begin()
    story.form.page.reload()
    story.form.wait()
    before = len(story.begun_with())
    story.site.way.let_go()
    story.form.choose(story.file)
    story.finish()
    again = story.begun_with()[before:]
    record_property("after the reload, requests began with", again)
    if story.site.store_gate:
        assert 0 < len(set(again)) < PARTS, "what was there was not sent again"
    else:
        assert min(again) >= MOST // MIB // 2, "it went on where it was"


@on()
def test_a_second_tab_watches(publisher: Publisher, tmp_path: Path):
    story = Story(publisher, tmp_path)
    story.begin()
    second = publisher.form(story.dataset)
    second.choose(story.file)
    second.expect_state("watching")
    expect(second.row).to_contain_text("Another tab")
    story.finish()
    second.expect_state("done")
    assert not [request for request in second.requests if request.method in ("PATCH", "PUT")]
    second.page.close()


@on()
def test_bytes_are_changed_on_the_way(publisher: Publisher, tmp_path: Path, record_property: Any):
    for size in (3 * MIB, LARGE):
        story = Story(publisher, tmp_path, size)
        story.site.way.change = lambda data: data.replace(RIGHT, WRONG)
        with story.site.worker() if story.site.store_gate else nullcontext():
            story.form.choose(story.file)
            story.form.expect_state("failed")
            told = story.form.row.inner_text()
            record_property(f"told of {size // MIB} MiB", told)
            assert "What arrived is not what the file has" in told
            assert publisher.resources(story.dataset) == []
            story.site.way.change = lambda data: data
            story.form.press("retry")
            story.form.expect_state("done")
        story.form.save()
        story.assert_saved()


@pytest.mark.parametrize("store", ["disk", "s3"])
@pytest.mark.proof(seconds=(0, 20))
def test_the_token_expires_in_the_middle(
    store: str,
    counts: Any,
    request: pytest.FixtureRequest,
    nursery: Nursery,
    browser: Browser,
    s3_client: Any,
    s3_options: dict[str, str],
    tmp_path: Path,
    record_property: Any,
):
    box, lifetime = request.config.stash[SANDBOX], 5
    options = {"ckanext.authz_service.jwt_max_lifetime": str(lifetime)}
    standing = (
        upload_sites.on_disk(box, nursery, **options)
        if store == "disk"
        else upload_sites.on_s3(box, nursery, s3_client, s3_options, **options)
    )
    with standing as site, logged_in(browser, site) as publisher:
        story = Story(publisher, tmp_path)
        story.begin()
        time.sleep(counts["seconds"])  # and the leeway of clocks that differ
        site.way.close()
        site.way.open()
        story.finish()
        tokens = [r for r in story.form.requests if r.url.endswith("/authz_authorize")]
        record_property("tokens", len(tokens))
        assert len(tokens) > 1


@pytest.mark.proof(seconds=(0, 22))
def test_signed_addresses_expire(
    counts: Any,
    request: pytest.FixtureRequest,
    nursery: Nursery,
    browser: Browser,
    s3_client: Any,
    s3_options: dict[str, str],
    tmp_path: Path,
    record_property: Any,
):
    box, lifetime = request.config.stash[SANDBOX], timedelta(seconds=counts["seconds"] - 2)
    standing = upload_sites.on_s3(box, nursery, s3_client, s3_options, lifetime)
    with standing as site, logged_in(browser, site) as publisher:
        for size in (3 * MIB, LARGE):
            story = Story(publisher, tmp_path, size)
            there = threading.Event()

            def late(data: bytes, there: threading.Event = there) -> bytes:
                there.wait()
                return data

            site.way.change = late
            with story.form.page.expect_request(lambda request: request.method == "PUT"):
                story.form.choose(story.file)
            time.sleep(counts["seconds"])
            there.set()
            story.finish()
            statuses = story.form.statuses(method="PUT")
            record_property(f"the store said, of {size // MIB} MiB", statuses)
            # It may cut what it refuses before a browser has heard why.
            assert len(story.begun_with()) > statuses.count(200)


@on(disk=None)
def test_the_store_refuses_pages_of_this_site(publisher: Publisher, tmp_path: Path):
    for size in (3 * MIB, LARGE):
        story = Story(publisher, tmp_path, size)
        story.site.allow_origin("https://elsewhere.example")
        story.form.choose(story.file)
        story.form.expect_state("failed")
        expect(story.form.row).to_contain_text("CORS")
        story.site.allow_origin(story.site.url)
        story.form.press("retry")
        story.finish()


@on(disk=None, s3=(1, 1))
def test_the_policy_of_the_page_leaves_the_store_out(publisher: Publisher, tmp_path: Path):
    form = "**/resource/new"

    def answer(route: Route) -> None:
        response = route.fetch()
        headers = {**response.headers, "content-security-policy": "connect-src 'self'"}
        route.fulfill(response=response, headers=headers)

    publisher.context.route(form, answer)
    try:
        story = Story(publisher, tmp_path, 3 * MIB)
        story.form.choose(story.file)
        story.form.expect_state("failed")
        expect(story.form.row).to_contain_text("connect-src")
        violations = Axe().run(story.form.page, context=".resource-upload-field").response["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in violations] == []
    finally:
        publisher.context.unroute(form)
    story.form.page.reload()
    story.form.wait()
    story.form.choose(story.file)
    story.form.expect_state("done")
    story.form.save()
    story.assert_saved()


@pytest.mark.parametrize("store", ["disk", "s3"])
def test_the_store_is_full(
    store: str, request: pytest.FixtureRequest, nursery: Nursery, browser: Browser, tmp_path: Path
):
    disk, box, settings = tmp_path / "disk", request.config.stash[SANDBOX], Settings.load()
    assert settings
    disk.mkdir()
    with ExitStack() as stack:
        stack.enter_context(small_disk.at(disk, mebibytes=4 * IN_PARTS // MIB))
        if store == "disk":
            standing = upload_sites.on_disk(box, nursery, **{OPTION + "local.path": str(disk)})
        else:
            client = stack.enter_context(server_of_its_own(disk))
            options = options_for(settings, client, "whose name is given below")
            standing = upload_sites.on_s3(box, nursery, client, options)
        publisher = stack.enter_context(logged_in(browser, stack.enter_context(standing)))
        story = Story(publisher, tmp_path)
        story.begin()
        small_disk.fill(disk)
        story.site.way.let_go()
        story.form.expect_state("failed")
        expect(story.form.row).to_contain_text("no room for files left")
        small_disk.make_room(disk)
        story.form.press("retry")
        story.finish()
        if store == "disk":
            assert story.begun_with()[-1] > 0, "it went on where it was"
        else:
            assert story.form.statuses(method="PUT").count(200) == PARTS, "what was there was not sent again"


@on(disk=None)
def test_no_worker_runs(publisher: Publisher, tmp_path: Path):
    story = Story(publisher, tmp_path)
    story.form.choose(story.file)
    story.form.expect_state("failed")
    expect(story.form.row).to_contain_text("ckan jobs worker")
    sent = story.begun_with()
    with story.site.worker():
        story.form.press("retry")
        story.form.expect_state("done")
    story.form.save()
    story.assert_saved()
    assert story.begun_with() == sent, "nothing is sent twice"


@on()
def test_the_user_may_not_edit_any_more(publisher: Publisher, tmp_path: Path):
    story = Story(publisher, tmp_path)
    member = {"id": publisher.organization["id"], "username": publisher.person.name}
    story.site.sysadmin.action("organization_member_delete", **member)
    try:
        story.form.choose(story.file)
        story.form.expect_state("failed")
        expect(story.form.row).to_contain_text("You may not add files to this dataset")
        page = publisher.context.new_page()
        answer = page.goto(story.form.page.url)
        assert answer
        assert answer.status == 403
        assert page.locator(ROW).count() == 0
    finally:
        story.site.sysadmin.action("organization_member_create", **member, role="editor")
    assert not [r for r in story.form.requests if r.method in ("PATCH", "PUT")]


@on()
def test_twenty_files_and_a_server_that_is_killed(publisher: Publisher, tmp_path: Path):
    """Nineteen of them small: those that had arrived stay, and one button saves all in their order."""
    files = {tmp_path / f"{number:02}.csv": 3 * MIB for number in range(1, 20)}
    files[tmp_path / "20.csv"] = LARGE
    wanted = [(file.name, make_file(file, size)) for file, size in files.items()]
    site, dataset = publisher.site, publisher.dataset()
    form = publisher.form(dataset)
    site.way.hold_after(30 * MIB)
    form.choose(*files)
    assert site.way.held.wait(SOON)
    site.kill()
    site.start_again()
    site.way.let_go()
    total = form.page.locator(".external-storage-total")
    with site.worker():
        expect(total).to_have_text("20 of 20 files have arrived", timeout=PATIENCE)
        form.page.get_by_role("button", name="Save 20 files").click()
        form.page.wait_for_url(f"**/dataset/{dataset['name']}", timeout=PATIENCE)
    saved = publisher.resources(dataset)
    assert [(resource["name"], resource["sha256"]) for resource in saved] == wanted
    assert form.failures == []
