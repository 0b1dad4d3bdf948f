"""Files that CKAN's own FileStore has: history keeps their bytes, and the files are never touched."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from zipfile import ZipFile

import pytest
import sqlalchemy as sa
from ckan import model, plugins
from ckan.lib import jobs
from ckan.plugins import toolkit as tk
from werkzeug.datastructures import FileStorage

from ckanext.external_storage import config
from ckanext.external_storage.transfer import bringing
from ckanext.versioning import model as tables
from ckanext.versioning import pins, taking_in
from tests.portal import Portal, classic_path, classic_resource, editor_and_dataset, oid_of, path
from tests.versioning import recorded
from tests.versioning.recorded import call

FIRST, SECOND = b"id,value\n1,first\n", b"id,value\n1,second\n"


pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.fixture
def older(with_plugins: Any) -> tuple[Any, Any, Any]:
    """Editor, dataset and resource of a site that had neither of the plugins: no revision yet."""
    editor, dataset = editor_and_dataset()
    resource = classic_resource(dataset, FIRST, "werte.csv")
    for table in tables.TABLES:
        model.Session.execute(sa.delete(table).where(table.c.package_id == dataset["id"]))
    model.Session.commit()
    assert recorded.revisions(dataset["id"]) == []
    return editor, dataset, resource


@contextmanager
def without_object_store() -> Iterator[None]:
    plugins.unload("external_storage")
    try:
        yield
    finally:
        plugins.load("external_storage")


def old_url(dataset: Any, ref: str) -> str:
    return call("package_show", id=dataset["id"], revision_ref=ref)["resources"][0]["url"]


def pinned(dataset: Any) -> list[Any]:
    """(from_seq, oid) of the dataset's pins."""
    p = tables.classic_file
    with config.engine().connect() as connection:
        query = sa.select(p.c.from_seq, p.c.oid).where(p.c.package_id == dataset["id"]).order_by(p.c.from_seq)
        return [tuple(row) for row in connection.execute(query)]


def objects() -> int:
    query = sa.text("SELECT count(*) FROM external_storage_object")
    with config.engine().connect() as connection:
        return connection.execute(query).scalar_one()


def test_its_bytes_are_there_before_and_after_it_is_taken_in(portal: Portal, older: Any):
    editor, dataset, resource = older
    portal.action("resource_patch", editor, id=resource["id"], url="https://x.example/", url_type="")
    url = old_url(dataset, "r1")
    assert url.endswith("/werte.csv")
    for known in (None, oid_of(FIRST)):
        assert pinned(dataset) == [(1, known)]
        response = portal.get(url)
        assert response.data == FIRST
        assert response.headers["Content-Disposition"].startswith("attachment")
        assert response.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
        assert "private" in response.headers["Cache-Control"]
        assert response.headers["X-Robots-Tag"] == "noindex"
        assert f"/v/r1/resource/{resource['id']}/" in response.headers["Link"]
        sums = f"{known}  werte.csv\n".encode() if known else b""
        assert portal.get(f"/dataset/{dataset['name']}/v/r1/SHA256SUMS").data == sums
        with ZipFile(io.BytesIO(portal.get(f"/dataset/{dataset['name']}/v/r1/zip").data)) as whole:
            assert ("werte.csv" in whole.namelist()) == bool(known)
            assert known or b"not known yet" in whole.read("NOT_INCLUDED.txt")
        assert portal.get(url, headers={"Range": "bytes=3-7"}, status=206).data == FIRST[3:8]
        assert "Download" in portal.get(f"/dataset/{dataset['name']}/v/r1").body
        recorded.assert_chain_holds(dataset["id"])
        assert taking_in.take_in(dataset["id"]) == ({"taken": 1} if known is None else {})
    assert portal.get(url).headers["ETag"] == f'"{oid_of(FIRST)}"'
    classic_path(resource).unlink()
    assert portal.get(url).data == FIRST
    assert classic_path(resource).exists() is False


@pytest.mark.usefixtures("with_test_worker", "clean_queues")
def test_a_commit_has_its_files_taken_in_by_a_job(older: Any):
    editor, dataset, resource = older
    call("package_patch", editor, id=dataset["id"], title="After")
    *_others, job = jobs.get_queue().jobs
    assert job.timeout >= tk.config["ckan.jobs.timeout"]
    jobs.Worker().work(burst=True)
    assert pinned(dataset) == [(1, oid_of(FIRST))]
    # Further states of the same file need none.
    call("resource_patch", editor, id=resource["id"], description="More")
    assert pinned(dataset) == [(1, oid_of(FIRST)), (3, oid_of(FIRST))]
    assert jobs.get_queue().jobs == []
    assert classic_path(resource).read_bytes() == FIRST


def test_a_save_is_done_even_if_no_job_can_be_started(older: Any, monkeypatch: Any):
    _editor, dataset, _resource = older
    with monkeypatch.context() as away:
        away.setitem(tk.config, "ckan.redis.url", "redis://localhost:1/0")
        away.setattr("ckan.lib.redis._connection_pool", None)
        away.setattr(jobs, "_queues", {})
        call("package_patch", id=dataset["id"], title="After")
    getattr(jobs, "_connect", lambda: None)()  # CKAN 2.11 leaves rq with the last connection it tried
    assert recorded.stored_title(dataset["id"]) == "After"
    assert taking_in.take_in(dataset["id"]) == {"taken": 1}


def test_clearing_or_replacing_it_leaves_the_file(portal: Portal, older: Any):
    editor, dataset, resource = older
    for action, given in (
        ("resource_patch", {"id": resource["id"]}),
        ("resource_update", {"id": resource["id"], "package_id": dataset["id"]}),
        ("resource_create", {"id": resource["id"], "package_id": dataset["id"]}),
    ):
        if action == "resource_create":
            portal.action("resource_delete", editor, id=resource["id"])
        cleared = portal.action(action, editor, url="https://x.example/", clear_upload=True, **given)
        assert (cleared["url_type"], cleared["url"]) == ("", "https://x.example/")
        assert "clear_upload" not in cleared
        assert classic_path(resource).read_bytes() == FIRST
    # A new file, although the form says that there is none any more.
    given = {"id": resource["id"], "url_type": "upload", "sha256": portal.push(editor, dataset, SECOND)}
    replaced = portal.action("resource_patch", editor, clear_upload=True, url="new.csv", **given)
    assert portal.get(replaced["url"]).data == SECOND
    assert portal.get(old_url(dataset, "r1")).data == FIRST


def test_another_dataset_that_takes_over_the_id_cannot_remove_it(portal: Portal, older: Any):
    editor, dataset, resource = older
    oid = portal.push(editor, dataset, SECOND)
    portal.action("resource_patch", editor, id=resource["id"], url="new.csv", sha256=oid)
    portal.action("resource_delete", editor, id=resource["id"])
    stranger, other = editor_and_dataset()
    given = {"id": resource["id"], "url": "https://x.example/", "clear_upload": "true"}
    portal.action("resource_create", stranger, package_id=other["id"], **given)
    assert portal.get(old_url(dataset, "r1")).data == FIRST
    assert portal.get(old_url(dataset, "r2")).data == SECOND


def test_without_an_object_store_core_does_as_it_does(portal: Portal, older: Any):
    _editor, dataset, resource = older
    given = {"id": resource["id"], "last_modified": None}
    with without_object_store():
        # Overwritten by the save that records the state before: that state must not get the new bytes.
        call("resource_patch", upload=FileStorage(io.BytesIO(SECOND), "new.csv"), **given)
        kept = classic_path(resource).read_bytes()
        call("resource_patch", url="https://x.example/", clear_upload=True, **given)
    assert (kept, pinned(dataset)) == (SECOND, [(2, None)])
    assert not classic_path(resource).exists()
    for ref in ("r1", "r2"):
        portal.get(old_url(dataset, ref), status=404)
    assert taking_in.take_in(dataset["id"]) == {"gone": 1}


def test_other_bytes_are_not_taken_for_those_that_were_recorded(portal: Portal, older: Any, monkeypatch: Any):
    editor, dataset, resource = older
    portal.action("package_patch", editor, id=dataset["id"], title="After")
    url, file, before = old_url(dataset, "r1"), classic_path(resource), objects()
    written = file.stat().st_mtime_ns
    file.write_bytes(FIRST.replace(b"1", b"2"))  # of the same size
    assert "not kept" in portal.get(url, status=404).body
    assert taking_in.take_in(dataset["id"]) == {"gone": 1}

    # While it is taken in, too.
    measure = bringing.measure

    def take_in_while(write: Callable[[], Any]) -> Any:
        file.write_bytes(FIRST)  # put back as it was, and with its time
        os.utime(file, ns=(written, written))
        monkeypatch.setattr(bringing, "measure", lambda stream: (measure(stream), write())[0])
        return taking_in.take_in(dataset["id"])

    assert take_in_while(lambda: file.write_bytes(SECOND)) == {"gone": 1}
    assert (pinned(dataset), objects()) == ([(1, None)], before)
    # CKAN's uploader puts another file into its place.
    other = file.with_name("other")
    other.write_bytes(SECOND)
    assert take_in_while(lambda: other.replace(file)) == {"taken": 1}
    assert portal.get(url).data == FIRST


def test_purging_the_dataset_forgets_it(older: Any):
    _editor, dataset, _resource = older
    call("package_patch", id=dataset["id"], title="After")
    with config.engine().connect() as connection:
        (file,) = pins.waiting(connection, dataset["id"])
    call("dataset_purge", id=dataset["id"])
    assert pinned(dataset) == []
    before = objects()
    assert taking_in._take_in(file) == "forgotten"
    assert objects() == before


def test_going_back_brings_the_bytes_back(portal: Portal, older: Any):
    editor, dataset, resource = older
    for known in (None, oid_of(FIRST)):
        portal.action("resource_delete", editor, id=resource["id"])
        assert pinned(dataset) == [(1, known)]
        form = portal.get(f"/dataset/{dataset['name']}/v/r1/revert", editor).body
        assert f'value="{resource["id"]}"' in form
        portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
        (now,) = portal.action("package_show", editor, id=dataset["id"])["resources"]
        assert (now["id"], now["sha256"], now["size"]) == (resource["id"], oid_of(FIRST), len(FIRST))
        assert (now["name"], path(now["url"])) == ("Classic", path(resource["url"]))
        assert portal.get(now["url"]).data == FIRST
        seq = recorded.newest(dataset["id"]).seq
        assert recorded.states(dataset["id"], seq)[0].oid == oid_of(FIRST)
        recorded.assert_chain_holds(dataset["id"])
        # And now the dataset is as it was.
        portal.action("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
        assert recorded.newest(dataset["id"]).seq == seq


def test_going_back_takes_in_no_more_than_it_needs(older: Any):
    editor, dataset, resource = older
    call("resource_patch", editor, id=resource["id"], description="More")
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
    (now,) = call("package_show", id=dataset["id"])["resources"]
    assert (now["description"], now.get("sha256")) == (resource["description"], None), (
        "the file is still there"
    )
    assert pinned(dataset) == [(1, None), (2, None), (3, None)]
    call("resource_delete", id=resource["id"])
    call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1", parts=["fields"])
    assert pinned(dataset) == [(1, None), (2, None), (3, None)]

    model.Session.add(model.Tag("tag-of-a-transaction"))
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
    assert "transaction" in str(caught.value.error_dict["parts"])
    model.Session.rollback()

    classic_path(resource).unlink()
    with pytest.raises(tk.ValidationError) as caught:
        call("dataset_revert", editor, dataset=dataset["id"], revision_ref="r1")
    assert "not kept" in str(caught.value.error_dict["parts"])
    assert recorded.newest(dataset["id"]).seq == 4
