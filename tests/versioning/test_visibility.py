"""Who sees which revisions: may read the dataset now, and then either now may update it, or could read it
then, or the revision is released."""

from __future__ import annotations

from typing import Any

import ckantoolkit as tk
import pytest
from ckan import plugins
from ckan.exceptions import CkanConfigurationException
from ckan.tests import factories

from tests.portal import Portal, oid_of
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

PEOPLE = ["anonymous", "reader", "member", "editor", "admin", "other editor", "sysadmin"]
INSIDERS = ["member", "editor", "admin", "sysadmin"]
WRITERS = ["editor", "admin", "sysadmin"]
HIDDEN = "hidden"


@pytest.fixture
def people() -> dict[str, Any]:
    users = {name: factories.UserWithToken() for name in PEOPLE[1:-1]}
    return {**users, "anonymous": "", "sysadmin": factories.SysadminWithToken()}


@pytest.fixture
def organization(people: dict[str, Any]) -> dict[str, Any]:
    factories.Organization(users=[{"name": people["other editor"]["name"], "capacity": "editor"}])
    return factories.Organization(
        users=[{"name": people[role]["name"], "capacity": role} for role in ("member", "editor", "admin")]
    )


def seen(dataset: dict[str, Any], user: Any) -> list[int] | str:
    """Numbers of the revisions that *user* sees, if all ways to look agree; HIDDEN if the dataset is."""
    try:
        listed = call("dataset_revision_list", user, id=dataset["id"], all=True)
    except tk.ObjectNotFound:
        for action, arguments in {
            "package_show": {"id": dataset["id"], "revision_ref": "r1"},
            "dataset_revision_show": {"id": dataset["id"], "ref": "r1"},
            "dataset_release_list": {"dataset": dataset["id"]},
        }.items():
            with pytest.raises(tk.ObjectNotFound):
                call(action, user, **arguments)
        return HIDDEN
    numbers = sorted(line["seq"] for line in listed)
    total = max(call("dataset_revision_list", id=dataset["id"], all=True), key=lambda line: line["seq"])[
        "seq"
    ]
    for seq in range(1, total + 1):
        ref = f"r{seq}"
        if seq in numbers:
            assert call("dataset_revision_show", user, id=dataset["id"], ref=ref)["seq"] == seq
            shown = call("package_show", user, id=dataset["name"], revision_ref=ref)
            assert shown["revision"]["seq"] == seq
            assert shown["title"] == f"title {seq}"
        else:
            with pytest.raises(tk.ObjectNotFound):
                call("dataset_revision_show", user, id=dataset["id"], ref=ref)
            with pytest.raises(tk.ObjectNotFound):
                call("package_show", user, id=dataset["id"], revision_ref=ref)
    return numbers


def save(dataset: dict[str, Any], seq: int, **fields: Any) -> None:
    call("package_patch", id=dataset["id"], title=f"title {seq}", **fields)


def expect(
    dataset: dict[str, Any],
    people: dict[str, Any],
    some: tuple[list[str], list[int]],
    others: list[int] | str,
) -> None:
    """What the people named in *some* see, and what all *others* do."""
    names, answer = some
    wanted = {name: answer if name in names else others for name in PEOPLE}
    assert {name: seen(dataset, people[name]) for name in PEOPLE} == wanted


def test_private_when_written_public_now(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"], private=True, title="title 1")
    save(dataset, 2)
    expect(dataset, people, (INSIDERS, [1, 2]), HIDDEN)
    save(dataset, 3, private=False)
    expect(dataset, people, (INSIDERS, [1, 2, 3]), [3])
    call("dataset_release_create", people["editor"], dataset=dataset["id"], name="v1", revision_ref="r1")
    expect(dataset, people, (INSIDERS, [1, 2, 3]), [1, 3])


def test_public_when_written_private_now(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"], title="title 1")
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    save(dataset, 2, private=True)
    expect(dataset, people, (INSIDERS, [1, 2]), HIDDEN)


@pytest.mark.ckan_config("ckanext.versioning.unreleased_history", "editors")
def test_unreleased_history_may_be_for_editors_only(people: dict[str, Any], organization: dict[str, Any]):
    """The newest revision is what everybody sees anyway; a release is for all who may read the dataset."""
    dataset = factories.Dataset(owner_org=organization["id"], title="title 1")
    for seq in (2, 3, 4):
        save(dataset, seq)
    expect(dataset, people, (WRITERS, [1, 2, 3, 4]), [4])
    call("dataset_release_create", people["editor"], dataset=dataset["id"], name="v1", revision_ref="r2")
    expect(dataset, people, (WRITERS, [1, 2, 3, 4]), [2, 4])
    # What is not to be read is not in summaries, places and counts either.
    reader = people["reader"]
    lines = call("dataset_revision_list", reader, id=dataset["id"], all=True)
    assert [(line["seq"], line["summary"]) for line in lines] == [(4, None), (2, None)]
    assert call("dataset_revision_show", reader, id=dataset["id"], ref="head~1")["seq"] == 2
    save(dataset, 5)
    expect(dataset, people, (WRITERS, [1, 2, 3, 4, 5]), [2, 5])


@pytest.mark.parametrize("value", ["editor", "", "Readers"])
def test_a_misspelt_option_is_refused(monkeypatch: pytest.MonkeyPatch, value: str):
    monkeypatch.setitem(tk.config, "ckanext.versioning.unreleased_history", value)
    plugin: Any = plugins.get_plugin("versioning")
    with pytest.raises(CkanConfigurationException, match="Set it to readers or editors"):
        plugin.configure(tk.config)


def test_a_draft_and_a_deleted_dataset(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"], title="title 1", state="draft")
    expect(dataset, people, (INSIDERS, [1]), HIDDEN)
    save(dataset, 2, state="active")
    expect(dataset, people, (INSIDERS, [1, 2]), [2])
    save(dataset, 3, state="deleted")
    expect(dataset, people, (INSIDERS, [1, 2, 3]), HIDDEN)


def test_moved_to_another_organization(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"], private=True, title="title 1")
    there = [{"name": people[name]["name"], "capacity": name} for name in ("member", "editor")]
    newcomers = {role: factories.User() for role in ("member", "editor")}
    other = factories.Organization(
        users=[{"name": newcomers[role]["name"], "capacity": role} for role in newcomers] + there[:1]
    )
    save(dataset, 2, owner_org=other["id"])
    # Those who may update it now see all of it, those who may read it now what they could read then.
    assert seen(dataset, newcomers["editor"]) == [1, 2]
    assert seen(dataset, newcomers["member"]) == [2]
    expect(dataset, people, (["member", "sysadmin"], [1, 2]), HIDDEN)


def test_answers_are_made_from_visible_revisions_only(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"], title="title 1")
    save(dataset, 2, private=True)
    save(dataset, 3)
    save(dataset, 4, private=False)
    save(dataset, 5, private=True)
    save(dataset, 6, private=False)
    assert seen(dataset, people["reader"]) == [1, 4, 6]

    def number(ref: str, who: str = "reader") -> int:
        return call("dataset_revision_show", people[who], id=dataset["id"], ref=ref)["seq"]

    assert [number("head"), number("head~1"), number("head~2"), number("latest")] == [6, 4, 1, 6]
    assert [number(f"head~{back}", "member") for back in range(6)] == [6, 5, 4, 3, 2, 1]
    with pytest.raises(tk.ObjectNotFound):
        number("head~3")
    hidden = call("dataset_revision_show", people["editor"], id=dataset["id"], ref="r3")
    with pytest.raises(tk.ObjectNotFound):
        number(hidden["id"])
    assert number(hidden["created"]) == 1
    assert number(hidden["created"], "member") == 3
    # A summary would say what the hidden revision before it was like.
    lines = call("dataset_revision_list", people["reader"], id=dataset["id"], all=True)
    assert [(line["seq"], line["summary"] is None) for line in lines] == [(6, True), (4, True), (1, False)]
    shown = call("dataset_revision_show", people["reader"], id=dataset["id"], ref="r4")
    assert shown["summary"] is None


def test_only_who_may_update_makes_releases(people: dict[str, Any], organization: dict[str, Any]):
    dataset = factories.Dataset(owner_org=organization["id"])
    private = factories.Dataset(owner_org=organization["id"], private=True)
    for name in PEOPLE:
        may = name in WRITERS
        for target, hidden in ((dataset, False), (private, name not in INSIDERS)):
            arguments = {"dataset": target["id"], "name": f"by-{name.replace(' ', '-')}"}
            if may:
                assert call("dataset_release_create", people[name], **arguments)["seq"] == 1
                continue
            with pytest.raises(tk.ObjectNotFound if hidden else tk.NotAuthorized):
                call("dataset_release_create", people[name], **arguments)
    assert len(call("dataset_release_list", people["reader"], dataset=dataset["id"])) == len(WRITERS)


def test_hidden_and_missing_say_the_same(
    portal: Portal, people: dict[str, Any], organization: dict[str, Any]
):
    hidden = factories.Dataset(owner_org=organization["id"], private=True)
    public = factories.Dataset(owner_org=organization["id"], private=True)
    call("package_patch", id=public["id"], private=False)

    def answers(dataset_id: str, ref: str) -> list[Any]:
        calls = [
            ("dataset_revision_list", {"id": dataset_id}),
            ("dataset_revision_show", {"id": dataset_id, "ref": ref}),
            ("dataset_release_list", {"dataset": dataset_id}),
            ("dataset_release_create", {"dataset": dataset_id, "name": "v1"}),
            ("package_show", {"id": dataset_id, "revision_ref": ref}),
        ]
        return [portal.action(name, people["reader"], status=404, **data) for name, data in calls]

    assert answers(hidden["id"], "r1") == answers("no-such-dataset", "r1")
    one, other = (
        portal.action("dataset_revision_show", people["reader"], status=404, id=public["id"], ref=ref)
        for ref in ("r1", "r9")
    )
    assert str(one).replace("r1", "r9") == str(other)


def test_old_files_follow_the_same_rule(portal: Portal, people: dict[str, Any], organization: dict[str, Any]):
    editor = people["editor"]
    dataset = factories.Dataset(owner_org=organization["id"], private=True)
    first, second = b"while private\n", b"while public\n"
    resource = portal.publish(editor, dataset, first)
    portal.push(editor, dataset, second)
    call("package_patch", id=dataset["id"], private=False)
    portal.action("resource_patch", editor, id=resource["id"], sha256=oid_of(second), url="data.csv")

    def got(name: str, ref: str) -> bytes | int:
        url = f"/dataset/{dataset['name']}/v/{ref}/resource/{resource['id']}/download/data.csv"
        response = portal.get(url, people[name] or None)
        return response.data if response.status_code == 200 else response.status_code

    for name in PEOPLE:
        may = name in INSIDERS
        assert got(name, "r2") == (first if may else 404)
        assert got(name, "r4") == second
        assert got(name, "r1") == 404  # no file yet
    # Knowing the sha256 opens nothing, a release does.
    call("dataset_release_create", editor, dataset=dataset["id"], name="v1", revision_ref="r2")
    assert {got(name, "v1") for name in PEOPLE} == {first}
    call("package_patch", id=dataset["id"], private=True)
    assert {name: got(name, "v1") for name in PEOPLE} == {
        name: first if name in INSIDERS else 404 for name in PEOPLE
    }
