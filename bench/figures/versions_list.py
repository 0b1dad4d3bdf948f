"""What the list of versions takes where there are many of them: 10,000, of a dataset with 1,500 resources.

*The page's own work* is all that the versions page does before it is rendered: whether the caller may see the
dataset, which revisions they may see, the newest twenty lines with what each changed in words and what was
released. *dataset_revision_list* is the action, with its default of twenty lines. The peer is what CKAN's own
dataset page begins with, `package_show` from Solr. In process, one after another.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from typing import Any

from bench import long_history, site
from bench.figure import Case, Figure, Goal, in_turn
from bench.figures import package_patch
from services.settings import Settings

REVISIONS, RESOURCES = 10_000, 1_500
ROUNDS = 100
WARM_UP = 5
OURS, PEER = "the page's own work", "package_show"


def measure(chance: random.Random) -> Iterator[Case]:
    settings = Settings.load()
    assert settings
    with site.running(settings, "versioning") as on:
        editor, dataset = on.call(create, REVISIONS, RESOURCES)
        on.call(verify, dataset)
        for name, user in (("editor", editor), ("anonymous", "")):
            contenders = {
                contender: partial(on.time, work, user, dataset)
                for contender, work in (
                    (OURS, own_work),
                    ("dataset_revision_list", revision_list),
                    (PEER, package_show),
                )
            }
            yield Case(name, in_turn(contenders, ROUNDS, WARM_UP, chance))


def create(revisions: int, resources: int) -> tuple[str, str]:
    """In the site: an editor's name, and the id of a dataset with that many revisions and resources."""
    editor, dataset = package_patch.create(resources)
    # Every tenth time the title; the resources in turn.
    changed = [number % resources if number % 10 else None for number in range(revisions - 2)]
    long_history.load(dataset, changed)
    package_patch.change_title(editor, dataset, "The newest title")  # the plugin goes on with it
    return editor, dataset


def verify(dataset: str) -> None:
    from ckanext.versioning import verifying

    wrong = list(verifying.findings(dataset))
    assert not wrong, wrong[:3]


def _caller(user: str) -> Any:
    from ckan import model
    from ckan.model.user import AnonymousUser

    return {"user": user, "auth_user_obj": model.User.get(user) if user else AnonymousUser()}


def own_work(user: str, dataset: str) -> None:
    from ckanext.versioning import access, timeline
    from ckanext.versioning.page_frame import Words

    context = _caller(user)
    package = access.readable(context, dataset, "package_show", {"id": dataset})
    who = access.viewer(context, package.id)
    page = timeline.page(package.id, who, Words(), all=False, before_seq=None)
    assert len(page.lines) == timeline.LINES


def revision_list(user: str, dataset: str) -> None:
    from ckan.plugins import toolkit as tk

    assert len(tk.get_action("dataset_revision_list")(_caller(user), {"id": dataset})) == 20


def package_show(user: str, dataset: str) -> None:
    from ckan.plugins import toolkit as tk

    assert tk.get_action("package_show")(_caller(user), {"id": dataset})["id"] == dataset


FIGURE = Figure(
    what=f"the newest of {REVISIONS:,} revisions of a dataset with {RESOURCES:,} resources",
    ours=OURS,
    peer=PEER,
    goal=Goal(50, percent=95, unit="ms"),
    measure=measure,
)
