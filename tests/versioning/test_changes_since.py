"""`revision_changes_since`: what a consumer that polls is told about the whole site."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ckantoolkit as tk
import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories

from ckanext.versioning import feed, recording
from tests.portal import Portal
from tests.statements import statements
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")


class Consumer:
    """Polls with one cursor, as *user* (see `call`), and remembers what it was told."""

    def __init__(self, user: Any = None, limit: int = 1000):
        self.user, self.limit, self.told = user, limit, []
        self.cursor: str | None = None

    def poll(self) -> list[tuple[str, int]]:
        """(dataset, number) of what is new, when all transactions that had begun before are over.

        Those of other test processes count too: they use the same PostgreSQL server.
        """
        model.Session.commit()
        with model.meta.engine.begin() as connection:
            now = connection.execute(sa.text("SELECT txid_current()")).scalar_one()
        for _ in range(2000):
            with model.meta.engine.begin() as connection:
                end = connection.execute(sa.text("SELECT txid_snapshot_xmin(txid_current_snapshot())"))
                if end.scalar_one() > now:
                    return self.poll_now()
            time.sleep(0.03)
        raise AssertionError("A transaction goes on for a minute.")

    def poll_now(self) -> list[tuple[str, int]]:
        new: list[dict[str, Any]] = []
        more = True
        while more:
            given = {"cursor": self.cursor} if self.cursor else {}
            answer = call("revision_changes_since", self.user, limit=self.limit, **given)
            assert len(answer["changes"]) <= self.limit
            new += answer["changes"]
            self.cursor, more = answer["cursor"], answer["more"]
        self.told += new
        return [(line["package_id"], line["seq"]) for line in new]


@pytest.fixture
def consumer() -> Consumer:
    """Of somebody who sees everything, who knows all that other tests did."""
    consumer = Consumer()
    consumer.poll()
    return consumer


def save(dataset: dict[str, Any], **fields: Any) -> tuple[str, int]:
    call("package_patch", id=dataset["id"], **fields)
    return dataset["id"], recorded.newest(dataset["id"]).seq


@contextmanager
def slow_save(dataset: dict[str, Any], title: str) -> Iterator[Any]:
    """A save that has taken its number; it is committed after the block, or by the block."""
    scoped: Any = model.Session
    mine = scoped()
    other = scoped.session_factory()
    other.begin()
    scoped.registry.set(other)
    try:
        other.get(model.Package, dataset["id"]).title = title
        other.flush()
        recording.record(other, dataset["id"])
        scoped.registry.set(mine)
        yield other
    finally:
        scoped.registry.set(mine)
        if other.in_transaction():
            other.commit()
        other.close()


def test_what_was_saved_since_the_last_call(consumer: Consumer):
    assert consumer.poll() == []
    one, other = factories.Dataset(), factories.Dataset()
    save(one, title="second", version_message="why")
    assert consumer.poll() == [(one["id"], 1), (other["id"], 1), (one["id"], 2)]
    (line,) = call("dataset_revision_list", id=one["id"], limit=1)
    assert consumer.told[-1] == {"package_id": one["id"], **line}
    assert consumer.poll() == []


def test_small_answers_give_the_same_as_large_ones(consumer: Consumer):
    small = Consumer(limit=3)
    small.cursor = consumer.cursor
    dataset = factories.Dataset()
    wanted = [(dataset["id"], 1), *(save(dataset, title=f"t{n}") for n in range(6))]
    assert small.poll() == consumer.poll() == wanted


def test_a_save_that_is_committed_late_is_not_missed(consumer: Consumer):
    slow, fast = factories.Dataset(), factories.Dataset()
    consumer.poll()
    with slow_save(slow, "slow"):
        # It has taken its number; one with a later number is committed before.
        quick = save(fast, title="quick")
        assert consumer.poll_now() == [], "nothing is told while something could still come before it"
        with slow_save(slow_too := factories.Dataset(), "slow too"):
            pass
        assert consumer.poll_now() == []
    assert consumer.poll() == [
        (slow["id"], 2),
        quick,
        (slow_too["id"], 1),
        (slow_too["id"], 2),
    ]


def test_interleaved_transactions_are_told_once_each_wherever_one_polls(consumer: Consumer):
    datasets = [factories.Dataset() for _ in range(4)]
    consumer.poll()
    told: list[tuple[str, int]] = []
    with slow_save(datasets[0], "a") as first:
        told += consumer.poll_now()
        with slow_save(datasets[1], "b") as second:
            told += consumer.poll_now()
            with slow_save(datasets[2], "c") as third:
                save(datasets[3], title="d")
                told += consumer.poll_now()
                second.commit()
                told += consumer.poll_now()
                third.rollback()
            told += consumer.poll_now()
        save(datasets[3], title="e")
        first.commit()
        told += consumer.poll_now()
    told += consumer.poll()
    wanted = [(datasets[n]["id"], seq) for n, seq in ((0, 2), (1, 2), (3, 2), (3, 3))]
    assert sorted(told) == sorted(wanted)
    assert consumer.poll() == []


def test_everybody_is_told_what_they_may_see(consumer: Consumer):
    member = factories.User()
    organization = factories.Organization(users=[{"name": member["name"], "capacity": "member"}])
    nobody, insider, outsider = Consumer(""), Consumer(member), Consumer(factories.User())
    people = (nobody, insider, outsider)
    for one in people:
        one.poll()
    private = factories.Dataset(owner_org=organization["id"], private=True)
    public = factories.Dataset(owner_org=organization["id"])
    everything = [(private["id"], 1), (public["id"], 1)]
    assert [one.poll() for one in people] == [everything[1:], everything, everything[1:]]
    # Published now: what was private stays so, and what changed since then is not said.
    published = save(private, private=False)
    assert [one.poll() for one in people] == [[published]] * 3
    assert nobody.told[-1]["summary"] is None
    assert insider.told[-1]["summary"]["fields"] == ["private"]
    late = Consumer("")
    assert (private["id"], 1) not in late.poll()
    call("dataset_release_create", dataset=private["id"], name="v1", revision_ref="r1")
    late.cursor = None
    assert (private["id"], 1) in late.poll()
    # Of a dataset that may not be read any more, there is nothing, not even what was public.
    save(public, private=True)
    assert nobody.poll() == []
    late.cursor = None
    assert {id for id, _ in late.poll()} & {private["id"], public["id"]} == {private["id"]}


def test_what_may_not_be_seen_does_not_end_the_answers(monkeypatch: pytest.MonkeyPatch, consumer: Consumer):
    organization = factories.Organization()
    nobody = Consumer("")
    nobody.poll()
    monkeypatch.setattr(feed, "SCANNED", 3)
    hidden = factories.Dataset(owner_org=organization["id"], private=True)
    for n in range(6):
        save(hidden, title=f"t{n}")
    public = factories.Dataset(owner_org=organization["id"])
    consumer.poll()
    answer = call("revision_changes_since", "", cursor=nobody.cursor)
    assert (answer["changes"], answer["more"]) == ([], True)
    assert hidden["id"] not in answer["cursor"]
    assert nobody.poll() == [(public["id"], 1)]
    assert len({line["seq"] for line in consumer.told if line["package_id"] == hidden["id"]}) == 7


def test_the_number_of_queries_does_not_depend_on_the_number_of_datasets():
    user = factories.User()
    start = Consumer(user)
    start.poll()

    def cost() -> int:
        with statements() as sent:
            call("revision_changes_since", user, cursor=start.cursor)
        return len(sent)

    factories.Dataset()
    few = cost()
    for _ in range(5):
        save(factories.Dataset(), title="again")
    assert cost() <= few


def test_after_a_restore_from_a_dump_one_begins_anew(consumer: Consumer):
    dataset = factories.Dataset()
    consumer.poll()
    save(dataset, title="before the dump")
    # What a dump and its restore do to the row: it is written again, by another transaction.
    rewritten = sa.text("UPDATE versioning_feed SET table_oid = table_oid")
    model.Session.execute(rewritten)
    # Ids of the other server are higher than those that are given here for a long time.
    model.Session.execute(sa.text("UPDATE versioning_revision SET txid = txid + 1000000000"))
    model.Session.commit()
    after = save(dataset, title="after the restore")
    with pytest.raises(tk.ValidationError) as caught:
        consumer.poll()
    assert "without a cursor" in str(caught.value.error_dict["cursor"])
    anew = Consumer(limit=7)
    told = anew.poll()
    assert len(told) == len(set(told))
    assert [seq for id, seq in told if id == dataset["id"]] == [1, 2, after[1]]
    assert anew.poll() == []
    assert anew.cursor is not None
    newest = save(dataset, title="later")
    assert anew.poll() == [newest]


def test_cursors_that_nobody_gave(consumer: Consumer):
    assert consumer.cursor
    id, _, _ = consumer.cursor.split("-")
    cursors: list[Any] = [
        *("x", "-", f"{id}-1", f"{'0' * 32}-1-1", f"{id}-{10**17}-0", f"{id}-{10**30}-0", "a\0b", 7),
    ]
    for cursor in cursors:
        with pytest.raises(tk.ValidationError) as caught:
            call("revision_changes_since", cursor=cursor)
        assert list(caught.value.error_dict) == ["cursor"], cursor
    with pytest.raises(tk.ValidationError):
        call("revision_changes_since", limit=1001)


def test_over_the_api(portal: Portal):
    answer = portal.get("/api/3/action/revision_changes_since?limit=1").json["result"]
    assert set(answer) == {"changes", "cursor", "more"}
