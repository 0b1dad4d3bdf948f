"""Who may do what: every action of ours, for each role, on each kind of dataset.

A new action gets a row here. It says whom the action answers, by the state of the dataset it is called on,
and how everybody else is refused. tests/test_matrix.py plays all of it, and fails for an action of ours that
has no row. Core's actions that we chain keep core's own rules; where they get a parameter of ours, that has a
row.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any

import ckantoolkit as tk
from ckan.tests import factories, helpers

from ckanext.external_storage import config
from ckanext.external_storage.transfer import beginning
from ckanext.versioning.withdrawal import Withdrawn
from tests.portal import Portal, oid_of, pointer

STATES = ("public", "private", "draft", "deleted")
#: Users by what they are in the dataset's organisation; a "stranger" is an editor of another one.
ROLES = ("anonymous", "reader", "stranger", "member", "editor", "admin", "sysadmin")

EVERYBODY = frozenset(ROLES)
INSIDERS = frozenset({"member", "editor", "admin", "sysadmin"})
WRITERS = frozenset({"editor", "admin", "sysadmin"})

#: Whom something answers, by the dataset's state.
Whom = Mapping[str, frozenset[str]]

READ: Whom = {"public": EVERYBODY, "private": INSIDERS, "draft": INSIDERS, "deleted": INSIDERS}
#: Without those that are deleted, of which core's own actions tell nobody that they were there.
READ_THERE: Whom = {state: roles for state, roles in READ.items() if state != "deleted"}
WRITE: Whom = dict.fromkeys(STATES, WRITERS)
#: Files of a deleted dataset are nobody's to move until it is restored.
READ_FILES: Whom = {**READ, "deleted": frozenset()}
WRITE_FILES: Whom = {**WRITE, "deleted": frozenset()}
WRITE_LIVING: Whom = dict.fromkeys(("public", "private", "draft"), WRITERS)
#: An old revision that nobody has released, and its file, in datasets that other people could read then:
#: "published" was private and is public now, "withheld" was public and is private now, and "moved" was
#: private in the stranger's organisation and is public in this one.
READ_OLD: Whom = {
    "deleted": INSIDERS,
    "published": INSIDERS,
    "withheld": INSIDERS,
    "moved": WRITERS | {"stranger"},
}
READ_OLD_FILES: Whom = {**READ_OLD, "deleted": frozenset()}
#: Who may read the dataset as it is now.
READ_NOW: Whom = {**READ, "published": EVERYBODY, "withheld": INSIDERS, "moved": EVERYBODY}
ALWAYS: Whom = dict.fromkeys(STATES, EVERYBODY)
LOGGED_IN: Whom = dict.fromkeys(STATES, EVERYBODY - {"anonymous"})
ADMINS: Whom = dict.fromkeys(STATES, frozenset({"admin", "sysadmin"}))
SYSADMINS: Whom = dict.fromkeys(STATES, frozenset({"sysadmin"}))

# How an action ends. A refusal must not tell who may not read the dataset that it exists.
ANSWERED = "answered"
NOT_FOUND = "404"
WITHDRAWN = "deleted, as who could read it before is told"
FORBIDDEN = "403"
NOTHING_GRANTED = "nothing granted"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Row:
    """``data`` makes the action's input for a dataset (as `package_show` gives it).

    The row is played in the states that ``whom`` has. Whoever is not in it is told ``readers_are_told`` if
    they may read the dataset, and ``others_are_told`` if not.
    """

    action: str
    data: Callable[[dict[str, Any]], dict[str, Any]]
    whom: Whom
    readers_are_told: str = FORBIDDEN
    others_are_told: str = NOT_FOUND
    #: Tells rows of one action apart.
    case: str = ""
    #: How it is asked, and ends.
    ask: Callable[[Site, Row, str, dict[str, Any]], str] = lambda *asked: _call(*asked)
    #: Does the answer have what was asked for?
    shows: Callable[[Any], bool] = lambda answer: True

    def expected(self, state: str) -> dict[str, str]:
        """Role → how the action ends."""
        return {role: self._ending(role, state) for role in ROLES}

    @property
    def of_the_past(self) -> bool:
        return self.whom in (READ_OLD, READ_OLD_FILES)

    def _ending(self, role: str, state: str) -> str:
        if role in self.whom[state]:
            return ANSWERED
        told = self.readers_are_told if role in READ_NOW[state] else self.others_are_told
        # All of them could read the deleted dataset before.
        return WITHDRAWN if state == "deleted" and told is NOT_FOUND else told


def _asks_for(case: str, scope: str, whom: Whom) -> Row:
    """A token is never refused; it is empty where nothing may be done."""
    return Row(
        "authz_authorize",
        lambda dataset: {
            "scopes": scope.format(
                org=dataset["organization"]["name"],
                name=dataset["name"],
                id=dataset["id"],
                resource=dataset["resources"][0]["id"],
            )
        },
        whom,
        readers_are_told=NOTHING_GRANTED,
        others_are_told=NOTHING_GRANTED,
        case=case,
    )


def _about_a_user(action: str, case: str, data: Callable[[], dict[str, Any]], whom: frozenset[str]) -> Row:
    """Has nothing to do with the dataset, whatever its state."""
    return Row(
        action, lambda dataset: data(), dict.fromkeys(STATES, whom), others_are_told=FORBIDDEN, case=case
    )


def _new_user() -> dict[str, Any]:
    return {"user_id": factories.User()["id"]}


def _release_of(dataset: dict[str, Any]) -> dict[str, Any]:
    made = helpers.call_action("dataset_release_create", dataset=dataset["id"], name=f"v{next(_numbers)}")
    return {"dataset": dataset["id"], "release": made["name"]}


def _new_upload(dataset: dict[str, Any]) -> dict[str, Any]:
    """That somebody else began."""
    now, user = datetime.now(timezone.utc), factories.User()["id"]
    with config.engine().begin() as connection:
        made, _ = beginning.begin(connection, config.store(), user, dataset["id"], None, 1, now)
    return {"id": made.id}


OLD = b"as it was"


def _download(site: Site, row: Row, role: str, dataset: dict[str, Any]) -> str:
    resource = dataset["resources"][0]["id"]
    url = f"/dataset/{dataset['name']}/v/r2/resource/{resource}/download/data.csv"
    response = site.portal.get(url, site.users[role])
    assert response.status_code != 200 or response.data == OLD
    return {200: ANSWERED, 404: NOT_FOUND, 410: WITHDRAWN}[response.status_code]


def _batch(site: Site, row: Row, role: str, dataset: dict[str, Any]) -> str:
    """With a token for the files of now, and for the old one as far as it is granted."""
    scopes = row.data(dataset)["scopes"]
    token = site.portal.action("authz_authorize", site.users[role], scopes=scopes)["token"]
    if token is None:
        return NOTHING_GRANTED
    (found,) = site.portal.batch(dataset, token, "download", pointer(OLD))
    return ANSWERED if "actions" in found else NOTHING_GRANTED


TABLE = [
    # authz_service
    Row("authz_public_key", lambda dataset: {}, ALWAYS),
    Row("authz_verify", lambda dataset: {"token": "no.such.token"}, ALWAYS),
    _about_a_user("authz_token_list", "of one's own", dict, EVERYBODY - {"anonymous"}),
    _about_a_user("authz_token_list", "of somebody else", _new_user, frozenset({"sysadmin"})),
    _about_a_user("authz_token_revoke", "of somebody else", _new_user, frozenset({"sysadmin"})),
    _asks_for("to read metadata", "ds:{name}:read", READ),
    _asks_for("to change metadata", "ds:{name}:update", WRITE),
    _asks_for("to patch metadata", "ds:{org}/{name}:patch", WRITE),
    _asks_for("to delete", "ds:{id}:delete", WRITE),
    _asks_for("to purge", "ds:{id}:purge", SYSADMINS),
    _asks_for("to bring datasets", "ds:{org}/:create", WRITE),
    _asks_for("to list datasets", "ds:{org}/:list", ALWAYS),
    _asks_for("to read all datasets", "ds:{org}/*:read", dict.fromkeys(STATES, INSIDERS)),
    _asks_for("to change all datasets", "ds:{org}/*:update", WRITE),
    _asks_for("to purge all datasets", "ds:{org}/*:purge", SYSADMINS),
    _asks_for("to read every dataset", "ds:*:read", SYSADMINS),
    _asks_for("to read the organisation", "org:{org}:read", ALWAYS),
    _asks_for("to change the organisation", "org:{org}:update", ADMINS),
    _asks_for("to patch the organisation", "org:{org}:patch", ADMINS),
    _asks_for("to delete the organisation", "org:{org}:delete", ADMINS),
    _asks_for("to purge the organisation", "org:{org}:purge", SYSADMINS),
    _asks_for("to list organisations", "org:*:list", ALWAYS),
    _asks_for("to create organisations", "org:*:create", LOGGED_IN),
    _asks_for("to read a resource", "res:{resource}:read", READ),
    _asks_for("to read a resource in its place", "res:{org}/{name}/{resource}:read", READ),
    _asks_for("to change a resource", "res:{resource}:update", WRITE),
    _asks_for("to patch a resource", "res:{org}/{id}/{resource}:patch", WRITE),
    _asks_for("to delete a resource", "res:{resource}:delete", WRITE),
    _asks_for("to bring resources", "res:{org}/{name}/:create", WRITE),
    _asks_for("to read all resources", "res:{org}/{name}/*:read", READ),
    _asks_for("to change all resources", "res:{org}/{name}/*:update", WRITE),
    _asks_for("to read every resource", "res:*:read", SYSADMINS),
    # external_storage
    _asks_for("to read files", "obj:{org}/{name}/*:read", READ_FILES),
    _asks_for("to bring files", "obj:{org}/{name}/*:write", WRITE_FILES),
    _asks_for("to bring files, as older clients ask", "obj:ckan/{id}/*:update", WRITE_FILES),
    _about_a_user("external_storage_upload_list", "of one's own", dict, EVERYBODY - {"anonymous"}),
    Row("external_storage_upload_show", _new_upload, WRITE_LIVING, readers_are_told=NOT_FOUND),
    Row("external_storage_upload_discard", _new_upload, WRITE_LIVING, readers_are_told=NOT_FOUND),
    Row(
        "external_storage_quota_show",
        lambda dataset: {"id": dataset["organization"]["name"]},
        dict.fromkeys(STATES, INSIDERS),
        others_are_told=FORBIDDEN,
    ),
    *(
        Row(action, lambda dataset: {"id": dataset["resources"][0]["id"]}, READ_THERE)
        for action in ("get_resource_download_spec", "resource_schema_show", "resource_sample_show")
    ),
    Row(
        "external_storage_add_files", lambda dataset: {"package_id": dataset["id"], "files": []}, WRITE_LIVING
    ),
    # versioning
    Row("dataset_revision_list", lambda dataset: {"id": dataset["id"]}, READ),
    Row("dataset_revision_show", lambda dataset: {"id": dataset["name"], "ref": "head"}, READ),
    Row("dataset_release_list", lambda dataset: {"dataset": dataset["id"]}, READ),
    Row(
        "dataset_release_create",
        lambda dataset: {"dataset": dataset["id"], "name": f"v{next(_numbers)}"},
        WRITE,
    ),
    Row("dataset_release_show", _release_of, READ),
    Row("dataset_release_update", lambda dataset: {**_release_of(dataset), "title": "New"}, WRITE),
    Row("dataset_release_delete", _release_of, ADMINS),
    Row("dataset_release_next", lambda dataset: {"dataset": dataset["id"]}, WRITE),
    Row("dataset_revert", lambda dataset: {"dataset": dataset["id"], "revision_ref": "head"}, WRITE),
    Row(
        "package_show",
        lambda dataset: {"id": dataset["id"], "revision_ref": "head"},
        READ,
        case="an old version",
    ),
    Row("package_show_release", lambda dataset: {"dataset": dataset["id"]}, READ, case="without a release"),
    Row(
        "package_show_release",
        lambda dataset: {"dataset": dataset["id"], "release": _release_of(dataset)["release"]},
        READ,
    ),
    Row(
        "resource_show_release",
        lambda dataset: {"id": dataset["resources"][0]["id"], "release_id": _release_of(dataset)["release"]},
        READ,
    ),
    Row("revision_changes_since", lambda dataset: {"limit": 1}, ALWAYS),
    Row("package_show", lambda dataset: {"id": f"{dataset['name']}@r1"}, READ, case="name@ref"),
    Row(
        "resource_show",
        lambda dataset: {"id": dataset["resources"][0]["id"], "revision_ref": "head"},
        READ,
        case="an old version",
    ),
    # What was, in datasets that other people could read then
    Row(
        "dataset_revision_list",
        lambda dataset: {"id": dataset["id"], "all": True},
        READ_OLD,
        readers_are_told=NOT_FOUND,
        case="that has an old revision",
        shows=lambda answer: 2 in [revision["seq"] for revision in answer],
    ),
    Row(
        "dataset_revision_show",
        lambda dataset: {"id": dataset["name"], "ref": "r2"},
        READ_OLD,
        readers_are_told=NOT_FOUND,
        case="an old revision",
    ),
    Row(
        "package_show",
        lambda dataset: {"id": dataset["id"], "revision_ref": "r2"},
        READ_OLD,
        readers_are_told=NOT_FOUND,
        case="as of an old revision",
    ),
    Row(
        "resource_show",
        lambda dataset: {"id": dataset["resources"][0]["id"], "revision_ref": "r2"},
        READ_OLD,
        readers_are_told=NOT_FOUND,
        case="as of an old revision",
    ),
    Row(
        "download",
        lambda dataset: {},
        READ_OLD,
        readers_are_told=NOT_FOUND,
        case="an old file",
        ask=_download,
    ),
    _asks_for("to read an old file", f"obj:{{org}}/{{name}}/{oid_of(OLD)}:read", READ_OLD_FILES),
    replace(
        _asks_for(
            "an old file",
            f"obj:{{org}}/{{name}}/*:read obj:{{org}}/{{name}}/{oid_of(OLD)}:read",
            READ_OLD_FILES,
        ),
        action="git-lfs",
        ask=_batch,
    ),
]


@dataclass(frozen=True)
class Site:
    """A user for each role, and a dataset of one organisation for each state."""

    portal: Portal
    users: Mapping[str, Any]
    datasets: Mapping[str, dict[str, Any]]

    def call(self, row: Row, role: str, state: str) -> str:
        """How the row's action ends for that role on that dataset."""
        return row.ask(self, row, role, self.datasets[state])


def _call(site: Site, row: Row, role: str, dataset: dict[str, Any]) -> str:
    user = site.users[role]
    context: Any = {"user": user["name"] if user else "", "ignore_auth": False}
    try:
        answer = tk.get_action(row.action)(context, row.data(dataset))
    except Withdrawn:
        return WITHDRAWN
    except tk.ObjectNotFound:
        return NOT_FOUND
    except tk.NotAuthorized:
        return FORBIDDEN
    if row.action == "authz_authorize" and not answer["granted_scopes"]:
        return NOTHING_GRANTED
    return ANSWERED if row.shows(answer) else NOT_FOUND


def make_site(portal: Portal) -> Site:
    users: dict[str, Any] = {role: factories.UserWithToken() for role in ROLES[1:-1]}
    users |= {"anonymous": None, "sysadmin": factories.SysadminWithToken()}
    elsewhere = factories.Organization(users=[{"name": users["stranger"]["name"], "capacity": "editor"}])
    roles = ("member", "editor", "admin")
    organization = factories.Organization(users=[{"name": users[r]["name"], "capacity": r} for r in roles])
    fields: dict[str, dict[str, Any]] = {
        "public": {},
        "private": {"private": True},
        "draft": {"state": "draft"},
    }
    resources = [{"url": "https://example.org/table.csv"}]
    datasets = {
        state: factories.Dataset(owner_org=organization["id"], resources=resources, **fields[state])
        for state in fields
    }
    owner = organization["id"]
    histories: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "deleted": ({"owner_org": owner}, {"state": "deleted"}),
        "published": ({"owner_org": owner, "private": True}, {"private": False}),
        "withheld": ({"owner_org": owner}, {"private": True}),
        "moved": ({"owner_org": elsewhere["id"], "private": True}, {"owner_org": owner, "private": False}),
    }
    datasets |= {
        state: _with_history(portal, users["sysadmin"], then, now) for state, (then, now) in histories.items()
    }
    assert {state: (d["state"], d["private"]) for state, d in datasets.items()} == {
        "published": ("active", False),
        "withheld": ("active", True),
        "moved": ("active", False),
        "public": ("active", False),
        "private": ("active", True),
        "draft": ("draft", False),
        "deleted": ("deleted", False),
    }
    return Site(portal, users, datasets)


def _with_history(portal: Portal, sysadmin: Any, then: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """A dataset that was *then*, with OLD in its file in r2, replaced in r3, and that is *now* since r4."""
    dataset = factories.Dataset(**then)
    resource = portal.publish(sysadmin, dataset, OLD)
    oid = portal.push(sysadmin, dataset, b"new")
    portal.action("resource_patch", sysadmin, id=resource["id"], sha256=oid, url="data.csv")
    return portal.action("package_patch", sysadmin, id=dataset["id"], **now)
