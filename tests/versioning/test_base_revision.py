"""`base_revision`: a save is refused if somebody else has saved since."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import ckantoolkit as tk
import pytest
from ckan import model
from ckan.tests import factories

from tests.portal import Portal, editor_and_dataset
from tests.versioning import recorded
from tests.versioning.recorded import call

pytestmark = pytest.mark.usefixtures("with_plugins")

Saver = Callable[[dict[str, Any], str, str], Any]


def _update(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("package_update", **{**dataset, "title": text}, base_revision=base)


def _patch(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("package_patch", id=dataset["name"], title=text, base_revision=base)


def _revise(dataset: dict[str, Any], text: str, base: str) -> Any:
    update = {"title": text, "base_revision": base}
    return call("package_revise", match={"id": dataset["id"]}, update=update)["package"]


def _create_resource(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("resource_create", package_id=dataset["id"], url=f"x.example/{text}", base_revision=base)


def _update_resource(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("resource_update", id=dataset["resources"][0]["id"], name=text, base_revision=base)


def _patch_resource(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("resource_patch", id=dataset["resources"][0]["id"], name=text, base_revision=base)


def _delete_resource(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("resource_delete", id=dataset["resources"][-1]["id"], base_revision=base)


def _revert(dataset: dict[str, Any], text: str, base: str) -> Any:
    return call("dataset_revert", dataset=dataset["id"], revision_ref="r1", base_revision=base)


SAVERS = [
    _update,
    _patch,
    _revise,
    _create_resource,
    _update_resource,
    _patch_resource,
    _delete_resource,
    _revert,
]


@pytest.fixture
def dataset() -> dict[str, Any]:
    """With two revisions."""
    dataset = factories.Dataset(resources=[{"url": "http://x/1"}, {"url": "http://x/2"}])
    return call("package_patch", id=dataset["id"], title="second title")


@pytest.mark.parametrize("save", SAVERS, ids=lambda save: save.__name__)
def test_a_save_from_an_old_base_is_refused_and_one_from_the_newest_is_not(
    dataset: dict[str, Any], save: Saver
):
    first, second = recorded.revisions(dataset["id"])
    for base in (first.id, "r1", first.id[:12], "r3"):
        with pytest.raises(tk.ValidationError) as caught:
            save(dataset, "refused", base)
        error: Any = caught.value.error_dict
        (reason,) = error["base_revision"]
        assert repr(base) in reason
        assert caught.value.error_summary == {"base_revision": reason}
        shown = call("dataset_revision_show", id=dataset["id"], ref="head")
        assert error["head"] == {key: shown[key] for key in ("seq", "id", "author", "created")}
    assert len(recorded.revisions(dataset["id"])) == 2
    saved = save(dataset, "accepted", "r2" if save is _patch else second.id)
    assert len(recorded.revisions(dataset["id"])) == 3
    assert "base_revision" not in str(saved)
    assert "base_revision" not in str(call("package_show", id=dataset["id"]))


def test_over_the_api(portal: Portal):
    editor, dataset = editor_and_dataset()
    base = recorded.newest(dataset["id"]).id
    portal.action("package_patch", editor, id=dataset["id"], title="mine", base_revision=base)
    error = portal.action(
        "package_patch", editor, status=409, id=dataset["id"], title="theirs", base_revision=base
    )
    assert (error["head"]["seq"], error["head"]["author"]["id"]) == (2, editor["id"])
    stranger = factories.UserWithToken()
    refused = portal.action(
        "package_patch", stranger, status=403, id=dataset["id"], title="x", base_revision="r1"
    )
    assert "head" not in refused
    assert recorded.stored_title(dataset["id"]) == "mine"


def test_what_can_be_no_base(dataset: dict[str, Any]):
    bases: list[Any] = ["head", "latest", "v1", "2026-05-01", 3, ["r1"], "a\0b"]
    for base in bases:
        with pytest.raises(tk.ValidationError) as caught:
            _patch(dataset, "x", base)
        assert list(caught.value.error_dict) == ["base_revision"]
    assert _patch(dataset, "no base", "")["title"] == "no base"


def test_a_dataset_without_history_has_no_base_to_save_from(dataset: dict[str, Any]):
    from ckanext.versioning import model as tables

    for table in tables.TABLES:
        model.Session.execute(table.delete().where(table.c.package_id == dataset["id"]))
    model.Session.commit()
    with pytest.raises(tk.ValidationError) as caught:
        _patch(dataset, "x", "r1")
    assert caught.value.error_dict["head"] is None


@pytest.mark.parametrize("save", [_update, _patch, _create_resource], ids=lambda save: save.__name__)
def test_of_several_who_save_at_once_from_one_base_one_succeeds(app, dataset: dict[str, Any], save: Saver):
    savers = 4
    barrier = Barrier(savers)
    base = recorded.newest(dataset["id"]).id

    def attempt(number: int) -> str:
        with app.flask_app.test_request_context():
            barrier.wait()
            try:
                save(dataset, f"saved by {number}", base)
                return "saved"
            except tk.ValidationError as error:
                answer: Any = error.error_dict
                return "refused" if answer["head"]["seq"] == 3 else str(answer)
            finally:
                model.Session.remove()

    with ThreadPoolExecutor(savers) as pool:
        answers = sorted(pool.map(attempt, range(savers)))
    assert answers == ["refused"] * (savers - 1) + ["saved"]
    assert len(recorded.revisions(dataset["id"])) == 3
    recorded.assert_chain_holds(dataset["id"])
