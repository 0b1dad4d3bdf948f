"""What nobody needs goes, what anybody needs stays; on a real PostgreSQL, also while datasets are saved."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import add
from pathlib import Path

import pytest
import sqlalchemy as sa
from ckan import model as ckan_model
from ckan.tests import factories
from sqlalchemy import event

from ckanext.external_storage import config, errors, model, references
from ckanext.external_storage.storage.local import LocalStore
from ckanext.external_storage.transfer import bringing, garbage, links
from ckanext.external_storage.transfer.garbage import Garbage
from tests.bare_dataset import make_dataset
from tests.portal import Portal, editor_and_dataset, oid_of

GRACE = timedelta(days=14)


def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture
def engine() -> sa.Engine:
    """On a database without garbage of other tests."""
    assert ckan_model.meta.engine
    collect(ckan_model.meta.engine)
    return ckan_model.meta.engine


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


@pytest.fixture
def data() -> bytes:
    return f"id,value\n1,{uuid.uuid4()}\n".encode()


def bring(engine: sa.Engine, store: LocalStore, dataset: str, data: bytes) -> str:
    oid = oid_of(data)
    bringing.bring(engine, store, "ann", dataset, io.BytesIO(data), oid, len(data), now())
    return oid


def age(engine: sa.Engine, *oids: str) -> None:
    """Nobody has used them for a month."""
    with engine.begin() as connection:
        values = {"used_at": now() - timedelta(days=30)}
        connection.execute(model.link.update().values(values).where(model.link.c.oid.in_(oids)))


def collect(engine: sa.Engine, others: garbage.References = (), batch: int = garbage.BATCH) -> Garbage:
    return reduce(add, garbage.collect(engine, others, GRACE, now(), batch), Garbage())


def linked(engine: sa.Engine, dataset: str, oid: str) -> links.StoredObject | None:
    with engine.begin() as connection:
        return links.linked(connection, dataset, [oid]).get(oid)


def dead(engine: sa.Engine, key: str) -> bool:
    with engine.begin() as connection:
        query = sa.select(model.dead_key.c.key).where(model.dead_key.c.key == key)
        return connection.execute(query).scalar() is not None


# What is needed


def test_a_file_without_a_resource_goes_after_the_time_of_grace(engine, store, data):
    dataset = make_dataset(engine)
    oid = bring(engine, store, dataset, data)
    key = linked(engine, dataset, oid).key
    collect(engine)
    assert linked(engine, dataset, oid), "somebody may be about to save it"
    age(engine, oid)
    gone = collect(engine)
    assert (gone.links, gone.objects, gone.bytes) == (1, 1, len(data))
    assert linked(engine, dataset, oid) is None
    assert dead(engine, key)
    bring(engine, store, dataset, data)
    assert linked(engine, dataset, oid).key != key, "a dead key is never used again"


def test_one_dataset_lets_go_and_another_keeps(engine, store, data):
    ours, theirs = make_dataset(engine), make_dataset(engine)
    oid = bring(engine, store, ours, data)
    age(engine, oid)
    bring(engine, store, theirs, data)
    assert collect(engine) == Garbage(links=1)
    assert linked(engine, ours, oid) is None
    with store.open(linked(engine, theirs, oid).key) as file:
        assert file.read() == data


def test_batches_and_the_dry_run_agree(engine, store):
    dataset = make_dataset(engine)
    oids = [bring(engine, store, dataset, f"{dataset} {n}".encode()) for n in range(5)]
    age(engine, *oids)
    expected = garbage.found(engine, [], GRACE)
    assert (expected.links, expected.objects) == (5, 5)
    assert all(linked(engine, dataset, oid) for oid in oids)
    assert collect(engine, batch=2) == expected


def test_an_upload_for_a_dataset_to_come_keeps_its_object(engine, store, data):
    oid = bring(engine, store, make_dataset(engine), data)
    age(engine, oid)
    row = {
        "id": str(uuid.uuid4()),
        "user_id": "ann",
        "declared_size": len(data),
        "key": f"objects/_/{uuid.uuid4()}",
        "state": "verified",
        "oid": oid,
    }
    with engine.begin() as connection:
        connection.execute(model.upload.insert().values(**row, expires_at=now() + timedelta(hours=1)))
    assert collect(engine) == Garbage(links=1)
    with engine.begin() as connection:
        done = model.upload.c.id == row["id"]
        connection.execute(model.upload.update().values(expires_at=now()).where(done))
    assert collect(engine).objects == 1


def test_what_resources_and_revisions_have_stays(portal: Portal, engine):
    editor, dataset = editor_and_dataset()
    old, new, lost = (f"{dataset['id']} {n}".encode() for n in ("old", "new", "lost"))
    resource = portal.publish(editor, dataset, old)
    oid = portal.push(editor, dataset, new)
    portal.action("resource_patch", editor, id=resource["id"], url="new.csv", sha256=oid)
    portal.push(editor, dataset, lost)
    age(engine, *map(oid_of, (old, new, lost)))
    portal.action("package_delete", editor, id=dataset["id"])

    history = references.of_plugins(engine)
    assert collect(engine, history).links == 1
    assert linked(engine, dataset["id"], oid_of(new)), "a deleted dataset can be restored"
    assert linked(engine, dataset["id"], oid_of(old)), "a revision has it"
    assert linked(engine, dataset["id"], oid_of(lost)) is None
    assert collect(engine, []).links == 1
    assert linked(engine, dataset["id"], oid_of(old)) is None, "without history nobody needs it"
    assert linked(engine, dataset["id"], oid_of(new))


def test_grace_begins_when_a_resource_goes(portal: Portal, engine, data):
    editor, dataset = editor_and_dataset()
    resource = portal.publish(editor, dataset, data)
    age(engine, oid_of(data))
    portal.action("resource_delete", editor, id=resource["id"])
    assert collect(engine).links == 0
    assert linked(engine, dataset["id"], oid_of(data))


# Who cannot be asked


@pytest.mark.ckan_config("ckan.plugins", "authz_service external_storage")
def test_nothing_goes_while_a_plugin_with_history_is_off(engine, with_plugins):
    with pytest.raises(errors.ReferencesUnknown, match="versioning is switched off"):
        references.of_plugins(engine)


def test_nothing_goes_when_a_table_is_missing(engine, store, data):
    dataset = make_dataset(engine)
    oid = bring(engine, store, dataset, data)
    age(engine, oid)
    table = sa.table("no_such_table", sa.column("package_id"), sa.column("oid"))
    theirs = [sa.select(table.c.package_id, table.c.oid)]
    with pytest.raises(errors.ReferencesUnknown):
        collect(engine, theirs)
    with pytest.raises(errors.ReferencesUnknown):
        garbage.found(engine, theirs, GRACE)
    assert linked(engine, dataset, oid)


# Side by side


@contextmanager
def halting(engine: sa.Engine) -> Iterator[tuple[sa.Engine, Callable[[], None], Callable[[], None]]]:
    """An engine whose first COMMIT waits: (engine, wait until it is there, let it go on)."""
    own = sa.create_engine(engine.url)
    there, go, first = threading.Event(), threading.Event(), threading.Lock()

    @event.listens_for(own, "commit")
    def wait(connection: sa.Connection) -> None:
        if first.acquire(blocking=False):
            there.set()
            assert go.wait(60)

    try:
        yield own, lambda: _reached(there), go.set
    finally:
        go.set()
    own.dispose()


def _reached(moment: threading.Event) -> None:
    assert moment.wait(60)


def _waits_for_a_lock(engine: sa.Engine) -> None:
    """Until some statement of this database waits for another transaction."""
    query = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND wait_event_type = 'Lock'"
    )
    for _ in range(6000):
        with engine.connect() as connection:
            if connection.execute(query).scalar():
                return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


def save(engine: sa.Engine, dataset: str, oid: str) -> bool:
    """What a save does, in its order: note the use, refer to the file, commit."""
    with engine.begin() as connection:
        if not links.use(connection, dataset, [oid]):
            return False
        resource = {"id": str(uuid.uuid4()), "package_id": dataset, "url": "a", "state": "active"}
        columns = [sa.column(name) for name in (*resource, "extras")]
        extras = f'{{"sha256": "{oid}"}}'
        connection.execute(sa.table("resource", *columns).insert().values(**resource, extras=extras))
        return True


@pytest.fixture
def dataset(with_plugins) -> str:
    return factories.Dataset()["id"]


@pytest.fixture
def other(engine) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_a_save_that_came_first_keeps_its_file(engine, store, dataset, data, other):
    oid = bring(engine, store, dataset, data)
    age(engine, oid)
    with halting(engine) as (saving, halted, go_on):
        saved = other.submit(save, saving, dataset, oid)
        halted()
        assert collect(engine).links == 0
        go_on()
        assert saved.result(60)
    assert collect(engine).links == 0
    assert linked(engine, dataset, oid)


def test_a_save_that_came_second_is_told(engine, store, dataset, data, other):
    oid = bring(engine, store, dataset, data)
    age(engine, oid)
    with halting(engine) as (collecting, halted, go_on), ThreadPoolExecutor(1) as third:
        collected = third.submit(collect, collecting)
        halted()
        saved = other.submit(save, engine, dataset, oid)
        _waits_for_a_lock(engine)
        go_on()
        assert collected.result(60).links == 1
        assert saved.result(60) is False


def test_bytes_that_come_again_while_they_go_are_there(engine, store, data, other):
    dataset, again = make_dataset(engine), make_dataset(engine)
    oid = bring(engine, store, dataset, data)
    old = linked(engine, dataset, oid).key
    age(engine, oid)
    garbage._remove_links(engine, [], GRACE, garbage.BATCH)
    with halting(engine) as (collecting, halted, go_on), ThreadPoolExecutor(1) as third:
        collected = third.submit(garbage._remove_objects, collecting, [oid], now())
        halted()
        brought = other.submit(bring, engine, store, again, data)
        _waits_for_a_lock(engine)
        go_on()
        assert collected.result(60).objects == 1
        brought.result(60)
    stored = linked(engine, again, oid)
    assert stored.key != old
    with store.open(stored.key) as file:
        assert file.read() == data


def test_bytes_that_are_linked_just_before_stay(engine, store, data, other):
    oid = bring(engine, store, make_dataset(engine), data)
    age(engine, oid)
    garbage._remove_links(engine, [], GRACE, garbage.BATCH)
    with halting(engine) as (linking, halted, go_on), ThreadPoolExecutor(1) as third:
        done = third.submit(_link, linking, oid)
        halted()
        collected = other.submit(garbage._remove_objects, engine, [oid], now())
        _waits_for_a_lock(engine)
        go_on()
        done.result(60)
        assert collected.result(60) == Garbage()
    assert linked(engine, "again", oid)


def _link(engine: sa.Engine, oid: str) -> None:
    with engine.begin() as connection:
        links.link(connection, oid, "again", str(uuid.uuid4()))


@pytest.mark.proof(rounds=(10, 2000))
def test_whoever_wins_the_race_nothing_refers_to_a_lost_file(
    engine, store, dataset, counts, chance, record_property
):
    """Saves and collections begin at the same moment, more or less."""
    won = {True: 0, False: 0}
    with ThreadPoolExecutor(2) as pool:
        for n in range(counts["rounds"]):
            oid = bring(engine, store, dataset, f"{dataset} {n}".encode())
            age(engine, oid)
            ready = threading.Barrier(2)

            def after(pause: float, work: Callable, *given, ready=ready):
                ready.wait(60)
                threading.Event().wait(pause)
                return work(*given)

            pause = chance.uniform(-0.005, 0.005)
            saved = pool.submit(after, max(0, pause), save, engine, dataset, oid)
            collected = pool.submit(after, max(0, -pause), collect, engine)
            collected.result(60)
            won[saved.result(60)] += 1
            assert (linked(engine, dataset, oid) is not None) == saved.result()
            if not saved.result():
                query = sa.select(sa.func.count()).select_from(links.of_resources().subquery())
                mine = sa.text("oid = :oid")
                with engine.connect() as connection:
                    assert connection.execute(query.where(mine), {"oid": oid}).scalar() == 0
    record_property("saves that came first", won[True])
    record_property("saves that came second", won[False])


def test_the_site_store_is_where_bytes_go_from(portal: Portal, engine, data):
    """From a file that nobody refers to until its bytes are off the disk."""
    from ckanext.external_storage.transfer import sweeping

    editor, dataset = editor_and_dataset()
    oid = portal.push(editor, dataset, data)
    key = linked(engine, dataset["id"], oid).key
    age(engine, oid)
    collect(engine, references.of_plugins(engine))
    assert config.store().stat(key)
    sweeping.sweep(engine, config.store(), now())
    assert config.store().stat(key) is None
