"""Which writes make a revision, what it says, and which make none."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from ckan import model
from ckan.tests import factories, helpers
from sqlalchemy.orm import ORMExecuteState

from ckanext.versioning import model as tables
from ckanext.versioning import recording
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

Dataset = dict[str, Any]
NOTHING: dict[str, Any] = {
    "fields": [],
    "extras": [],
    "resources": {"added": [], "removed": [], "metadata": [], "bytes": [], "moved": []},
}


def summary(*fields: str, extras: list[str] | None = None, **resources: list[str]) -> dict[str, Any]:
    return {
        "fields": sorted(fields),
        "extras": extras or [],
        "resources": {**NOTHING["resources"], **resources},
    }


@pytest.fixture
def dataset() -> Dataset:
    """Three links a, b, c; an extra, a tag; in an organisation."""
    organization = factories.Organization()
    return factories.Dataset(
        owner_org=organization["id"],
        extras=[{"key": "k", "value": "1"}],
        tags=[{"name": "rain"}],
        resources=[{"name": name, "url": f"http://x/{name}.csv"} for name in "abc"],
    )


def rid(dataset: Dataset, place: int) -> str:
    return dataset["resources"][place]["id"]


def package(dataset: Dataset) -> Any:
    return model.Package.get(dataset["id"])


def test_a_new_dataset_is_revision_one(dataset: Dataset):
    (row,) = recorded.revisions(dataset["id"])
    assert (row.seq, row.parent_id) == (1, None)
    ids = [rid(dataset, place) for place in range(3)]
    assert row.summary == summary(added=ids)
    assert [state.resource_id for state in recorded.states(dataset["id"], 1)] == ids
    recorded.assert_chain_holds(dataset["id"])


def _resource_create(d: Dataset) -> dict[str, Any]:
    new = call("resource_create", package_id=d["id"], url="http://x/new", name="new")
    return summary(added=[new["id"]])


def _orm_script(d: Dataset) -> dict[str, Any]:
    package(d).title = "by a script"
    model.repo.commit()
    return summary("title")


def _orm_resource_of_collection(d: Dataset) -> dict[str, Any]:
    new = model.Resource(url="http://x/orm")
    owner = package(d)
    owner.resources_all.append(new)
    model.repo.commit()
    return summary(added=[new.id])


def _moved_to_another_dataset(d: Dataset) -> dict[str, Any]:
    other = factories.Dataset()
    model.Resource.get(rid(d, 2)).package_id = other["id"]  # pyright: ignore[reportOptionalMemberAccess]
    model.repo.commit()
    assert recorded.newest(other["id"]).summary == summary(added=[rid(d, 2)])
    return summary(removed=[rid(d, 2)])


def _member_create(d: Dataset) -> dict[str, Any]:
    group = factories.Group()
    call("member_create", id=group["id"], object=d["id"], object_type="package", capacity="public")
    return summary("groups")


def _group_deleted(d: Dataset) -> dict[str, Any]:
    # One of two memberships goes; that of the other group was there before.
    groups = [factories.Group() for _ in range(2)]
    for group in groups:
        call("member_create", id=group["id"], object=d["id"], object_type="package", capacity="public")
    _forget_all_but_the_present(d)
    call("group_delete", id=groups[0]["id"])
    return summary("groups")


def _group_with_packages(action: str) -> Callable[[Dataset], dict[str, Any]]:
    def run(d: Dataset) -> dict[str, Any]:
        group = factories.Group() if action == "group_update" else {"name": f"g-{d['id']}"}
        call(action, factories.Sysadmin(), **{**group, "packages": [{"id": d["id"]}]})
        return summary("groups")

    return run


def _tag_deleted(d: Dataset) -> dict[str, Any]:
    vocabulary = call("vocabulary_create", name=f"v-{d['id']}", tags=[{"name": "xx"}])
    tags = [{"name": "xx", "vocabulary_id": vocabulary["id"]}]
    call("package_patch", id=d["id"], tags=tags)
    _forget_all_but_the_present(d)
    call("tag_delete", id="xx", vocabulary_id=vocabulary["id"])
    return summary("tags")


def _relationship(d: Dataset) -> dict[str, Any]:
    other = factories.Dataset()
    call("package_relationship_create", subject=d["id"], object=other["id"], type="depends_on")
    assert len(recorded.revisions(other["id"])) == 1
    return summary("relationships_as_subject")


def _forget_all_but_the_present(d: Dataset) -> None:
    """Begin the dataset's history anew with the state it has now."""
    for table in tables.TABLES:
        model.Session.execute(sa.delete(table).where(table.c.package_id == d["id"]))
    model.Session.commit()
    recording.record(model.Session(), d["id"])
    model.Session.commit()


def _deferred_commit(d: Dataset) -> dict[str, Any]:
    context = {"defer_commit": True, "return_id_only": True}
    helpers.call_action("package_patch", context, id=d["id"], title="deferred")
    assert len(recorded.revisions(d["id"])) == 1
    model.repo.commit()
    return summary("title")


def _move_to_organization(d: Dataset) -> dict[str, Any]:
    call("package_owner_org_update", id=d["id"], organization_id=factories.Organization()["id"])
    return summary("owner_org")


def in_bulk(action: str, field: str) -> Callable[[Dataset], dict[str, Any]]:
    def run(dataset: Dataset) -> dict[str, Any]:
        call(action, datasets=[dataset["id"]], org_id=dataset["owner_org"])
        return summary(field)

    return run


def _bulk_public(d: Dataset) -> dict[str, Any]:
    call("package_patch", id=d["id"], private=True)
    _forget_all_but_the_present(d)
    return in_bulk("bulk_update_public", "private")(d)


def its_organization(action: str) -> Callable[[Dataset], dict[str, Any]]:
    def run(dataset: Dataset) -> dict[str, Any]:
        # Only when datasets may be without an organisation does core leave them behind.
        with helpers.changed_config("ckan.auth.create_unowned_dataset", True):
            call(action, id=dataset["owner_org"])
        return summary("owner_org")

    return run


def _query_update(d: Dataset) -> dict[str, Any]:
    assert package(d).title == d["title"]
    clock_and_title = {"metadata_modified": sa.func.now(), "title": "T"}
    query = model.Session.query(model.Package).filter_by(title=d["title"])
    query.update(clock_and_title, synchronize_session=False)  # the session's object stays as it was
    model.Session.commit()
    return summary("title")


def _update_for_objects(d: Dataset) -> dict[str, Any]:
    update = sa.update(model.Package).where(model.Package.id == d["id"]).values(title="T")
    query = sa.select(model.Package).from_statement(update.returning(model.Package))
    assert model.Session.execute(query, execution_options={"synchronize_session": False}).scalars().all()
    model.Session.commit()
    return summary("title")


def _update_with_parameters(d: Dataset) -> dict[str, Any]:
    p = model.package_table
    model.Session.execute(sa.update(p).where(p.c.id == sa.bindparam("of")), {"of": d["id"], "title": "T"})
    model.Session.commit()
    return summary("title")


def _update_of_many(d: Dataset) -> dict[str, Any]:
    others = [factories.Dataset() for _ in range(2)]
    p = model.package_table
    update = sa.update(p).where(p.c.id == sa.bindparam("of")).values(notes=sa.bindparam("text"))
    changed = [{"of": id, "text": "n"} for id in (d["id"], others[0]["id"])]
    model.Session.execute(update, changed)
    model.Session.commit()
    assert [len(recorded.revisions(other["id"])) for other in others] == [2, 1]
    return summary("notes")


def _update_by_primary_key(d: Dataset) -> dict[str, Any]:
    others = [factories.Dataset() for _ in range(2)]
    changed = [{"id": id, "title": "T"} for id in (d["id"], others[0]["id"])]
    model.Session.execute(sa.update(model.Package), changed)
    assert model.Session().info[recording._PENDING] == {d["id"], others[0]["id"]}
    model.Session.commit()
    return summary("title")


def _resource_by_query(d: Dataset) -> dict[str, Any]:
    model.Session.query(model.Resource).filter_by(id=rid(d, 1)).update({"name": "B"})
    model.Session.commit()
    return summary(metadata=[rid(d, 1)])


def _membership_deleted_by_query(d: Dataset) -> dict[str, Any]:
    group = factories.Group()
    call("member_create", id=group["id"], object=d["id"], object_type="package", capacity="public")
    _forget_all_but_the_present(d)
    model.Session.query(model.Member).filter_by(group_id=group["id"]).delete()
    model.Session.commit()
    return summary("groups")


def _revise(d: Dataset) -> dict[str, Any]:
    call("package_revise", match={"id": d["id"]}, update={"notes": "n"}, update__resources__1__name="B")
    return summary("notes", metadata=[rid(d, 1)])


def _delete_first(d: Dataset) -> dict[str, Any]:
    call("resource_delete", id=rid(d, 0))
    return summary(removed=[rid(d, 0)])


def _update(d: Dataset) -> dict[str, Any]:
    call("package_update", **{**d, "title": "T", "resources": d["resources"][:2]})
    return summary("title", removed=[rid(d, 2)])


def does(action: str, changed: dict[str, Any], **data: Any) -> Callable[[Dataset], dict[str, Any]]:
    def run(dataset: Dataset) -> dict[str, Any]:
        call(action, id=dataset["id"], **data)
        return changed

    return run


def to_first(action: str, **data: Any) -> Callable[[Dataset], dict[str, Any]]:
    def run(dataset: Dataset) -> dict[str, Any]:
        call(action, id=rid(dataset, 0), **data)
        return summary(metadata=[rid(dataset, 0)])

    return run


def _reorder(d: Dataset) -> dict[str, Any]:
    call("package_resource_reorder", id=d["id"], order=[rid(d, 2), rid(d, 0), rid(d, 1)])
    return summary(moved=[rid(d, 2)])


CHANGES: dict[str, Callable[[Dataset], dict[str, Any]]] = {
    "package_update": _update,
    "package_patch": does("package_patch", summary("title", "notes"), title="T", notes="n"),
    "package_patch extras": does(
        "package_patch", summary(extras=["k", "l"]), extras=[{"key": "l", "value": "1"}]
    ),
    "package_patch tags": does("package_patch", summary("tags"), tags=[{"name": "sun"}]),
    "package_patch private": does("package_patch", summary("private"), private=True),
    "package_patch name": does("package_patch", summary("name"), name="renamed-for-revision-test"),
    "package_revise": _revise,
    "package_delete": does("package_delete", summary("state")),
    "resource_create": _resource_create,
    "resource_update": to_first("resource_update", url="http://x/other", name="a"),
    "resource_patch": to_first("resource_patch", custom="field"),
    "resource_delete": _delete_first,
    "package_resource_reorder": _reorder,
    "package_owner_org_update": _move_to_organization,
    "bulk_update_private": in_bulk("bulk_update_private", "private"),
    "bulk_update_public": _bulk_public,
    "bulk_update_delete": in_bulk("bulk_update_delete", "state"),
    "organization_delete": its_organization("organization_delete"),
    "organization_purge": its_organization("organization_purge"),
    "group_delete": _group_deleted,
    "tag_delete": _tag_deleted,
    "package_relationship_create": _relationship,
    "member_create": _member_create,
    "group_create": _group_with_packages("group_create"),
    "group_update": _group_with_packages("group_update"),
    "defer_commit": _deferred_commit,
    "a script": _orm_script,
    "a script that adds a resource": _orm_resource_of_collection,
    "a script that gives a resource away": _moved_to_another_dataset,
    "query.update": _query_update,
    "an UPDATE that returns objects": _update_for_objects,
    "an UPDATE with parameters": _update_with_parameters,
    "an UPDATE of many": _update_of_many,
    "query.update of a resource": _resource_by_query,
    "query.delete of a membership": _membership_deleted_by_query,
}


if hasattr(ORMExecuteState, "is_executemany"):  # SQLAlchemy 1.4, beside CKAN 2.11, cannot do this
    CHANGES["an UPDATE by primary key"] = _update_by_primary_key


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_one_revision(dataset: Dataset, change: Callable[[Dataset], dict[str, Any]]):
    expected = change(dataset)
    rows = recorded.revisions(dataset["id"])
    assert [row.seq for row in rows] == [1, 2]
    assert rows[1].summary == expected
    shown = helpers.call_action("package_show", {"use_cache": False}, id=dataset["id"])
    assert [s.resource_id for s in recorded.states(dataset["id"], 2)] == [r["id"] for r in shown["resources"]]
    recorded.assert_chain_holds(dataset["id"])


def test_member_delete_is_a_revision(dataset: Dataset):
    group = factories.Group()
    member = {"id": group["id"], "object": dataset["id"], "object_type": "package"}
    call("member_create", capacity="public", **member)
    call("member_delete", **member)
    assert [row.summary["fields"] for row in recorded.revisions(dataset["id"])[1:]] == [
        ["groups"],
        ["groups"],
    ]


def test_deletion_is_recorded_as_deleted_and_reactivation_as_active(dataset: Dataset):
    call("package_delete", id=dataset["id"])
    call("package_patch", id=dataset["id"], state="active")
    states = [call("package_show", id=dataset["id"], revision_ref=ref)["state"] for ref in ("r1", "r2", "r3")]
    assert states == ["active", "deleted", "active"]


def test_a_dataset_that_takes_the_name_of_a_renamed_one_has_its_own_history():
    first = factories.Dataset(name="one-name-in-turn")
    call("package_patch", id=first["id"], name="another-name-then")
    second = factories.Dataset(name="one-name-in-turn")
    call("package_patch", id=second["id"], title="T")
    for dataset in (first, second):
        assert [row.seq for row in recorded.revisions(dataset["id"])] == [1, 2]
        assert call("package_show", id=dataset["id"], revision_ref="r1")["name"] == "one-name-in-turn"


def test_a_harvester_that_commits_once_for_many(dataset: Dataset):
    """As ckanext-harvest does: its own schema, ids given, no index and no commit by the action."""
    user = {"name": factories.Sysadmin()["name"]}
    later = {"defer_commit": True, "return_id_only": True, "ignore_auth": True, "user": user["name"]}
    made = [str(uuid.uuid4()) for _ in range(3)]
    for id in made:
        helpers.call_action("package_create", dict(later), id=id, name=id, title="T", notes="n")
    helpers.call_action("package_update", dict(later), **{**dataset, "title": "T"})
    assert not any(map(recorded.revisions, made))
    model.repo.commit_and_remove()
    assert [len(recorded.revisions(id)) for id in [*made, dataset["id"]]] == [1, 1, 1, 2]
    # A second harvest that finds everything as it was.
    helpers.call_action("package_update", dict(later), id=made[0], name=made[0], title="T", notes="n")
    model.repo.commit_and_remove()
    assert [row.summary for row in recorded.revisions(made[0])][1:] == []


def test_a_dataset_made_with_an_earlier_ones_name_has_its_own_history():
    first = factories.Dataset(name="one-name-twice")
    call("dataset_purge", id=first["id"])
    second = factories.Dataset(name="one-name-twice")
    assert [row.seq for row in recorded.revisions(second["id"])] == [1]


def test_purging_removes_the_history_and_the_same_id_starts_afresh(dataset: Dataset):
    call("package_patch", id=dataset["id"], title="T")
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    assert recorded.row_counts(dataset["id"]) == [2, 3, 5, 1, 0, 0]
    call("dataset_purge", id=dataset["id"])
    assert not any(recorded.row_counts(dataset["id"]))
    factories.Dataset(id=dataset["id"])
    (row,) = recorded.revisions(dataset["id"])
    assert (row.seq, row.parent_id) == (1, None)


def _same_patch(d: Dataset) -> None:
    call("package_patch", id=d["id"], title=d["title"])


def _same_update(d: Dataset) -> None:
    call("package_update", **d)


def _view(d: Dataset) -> None:
    view = model.ResourceView(resource_id=rid(d, 0), title="v", view_type="image_view", order=0)
    model.Session.add(view)
    model.repo.commit()
    call("resource_view_reorder", id=rid(d, 0), order=[view.id])
    call("resource_view_delete", id=view.id)


def _collaborator(d: Dataset) -> None:
    user = factories.User()
    model.Session.add(model.PackageMember(package_id=d["id"], user_id=user["id"], capacity="editor"))
    model.repo.commit()


def _organization_renamed(d: Dataset) -> None:
    call("organization_patch", id=d["owner_org"], title="Other", name="renamed-organization")


def _metadata_modified(d: Dataset) -> None:
    package(d).metadata_modified = sa.func.now()
    model.repo.commit()


def _metadata_modified_by_query(d: Dataset) -> None:
    model.Session.query(model.Package).filter_by(id=d["id"]).update({"metadata_modified": sa.func.now()})
    model.repo.commit()


def _other_dataset_by_query(d: Dataset) -> None:
    other = factories.Dataset()
    model.Session.query(model.Package).filter_by(id=other["id"]).update({"title": "T"})
    model.repo.commit()


def _query_rolled_back(d: Dataset) -> None:
    model.Session.query(model.Package).filter_by(id=d["id"]).update({"title": "never"})
    model.Session.rollback()


def _savepoint_rolled_back(d: Dataset) -> None:
    savepoint = model.Session.begin_nested()
    package(d).title = "never"
    model.Session.flush()
    savepoint.rollback()
    model.Session.commit()


def _datastore_flags(d: Dataset) -> None:
    call("resource_patch", id=rid(d, 0), datastore_active=True)


def _validation(d: Dataset) -> None:
    call("resource_patch", id=rid(d, 0), validation_status="success", validation_timestamp="2026-01-01")


NO_CHANGES: dict[str, Callable[[Dataset], None]] = {
    "a patch with the same values": _same_patch,
    "an update with what was shown": _same_update,
    "a view": _view,
    "a collaborator": _collaborator,
    "an organisation renamed": _organization_renamed,
    "metadata_modified alone": _metadata_modified,
    "metadata_modified alone, by query.update": _metadata_modified_by_query,
    "query.update of another dataset": _other_dataset_by_query,
    "query.update rolled back": _query_rolled_back,
    "a savepoint rolled back": _savepoint_rolled_back,
    "datastore flags": _datastore_flags,
    "a validation report": _validation,
}


@pytest.mark.parametrize("action", NO_CHANGES.values(), ids=NO_CHANGES.keys())
def test_no_content_changed_no_revision(dataset: Dataset, action: Callable[[Dataset], None]):
    action(dataset)
    assert len(recorded.revisions(dataset["id"])) == 1
    # And nothing was left behind: the next change is the only one that the next revision names.
    call("package_patch", id=dataset["id"], notes="n")
    assert recorded.newest(dataset["id"]).summary == summary("notes")
    assert len(recorded.revisions(dataset["id"])) == 2


def test_renaming_a_group_is_no_change_of_its_datasets():
    group = factories.Group()
    dataset = factories.Dataset(groups=[{"id": group["id"]}])
    call("group_patch", id=group["id"], title="Other", description="d")
    call("package_patch", id=dataset["id"], title=dataset["title"])
    assert len(recorded.revisions(dataset["id"])) == 1


def test_values_that_jsonb_could_not_hold_are_kept():
    odd = {"deep": [{"": None}], "float": 1.0, "integer": 12345678901234567890, "large": 1e22, "nul": "a\0b"}
    dataset = factories.Dataset(resources=[{"url": "http://x", "odd": odd}])
    call("package_patch", id=dataset["id"], title="T")
    shown = call("package_show", id=dataset["id"], revision_ref="r1")["resources"][0]["odd"]
    assert repr(shown) == repr(odd)  # 1.0 == 1
    recorded.assert_chain_holds(dataset["id"])


def test_only_what_changed_is_written(dataset: Dataset):
    before = recorded.row_counts(dataset["id"])
    call("resource_patch", id=rid(dataset, 1), name="B")
    # One revision; one state of a resource; the bodies of the dataset and of that resource.
    added = [now - then for now, then in zip(recorded.row_counts(dataset["id"]), before, strict=True)]
    assert added == [1, 1, 2, 0, 0, 0]
