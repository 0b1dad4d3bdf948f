"""Random changes of all kinds to one dataset, by every way that CKAN has to make them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from ckan import model
from ckan.tests import factories

from tests.portal import Portal
from tests.versioning import recorded
from tests.versioning.recorded import call

#: Texts that something between the form and the database might take for something else.
TEXTS = [
    *(
        "plain",
        "été",
        "e\u0301te\u0301",
        "日本",
        "🌧 \U0010ffff",
        "\u202eright to left",
        "\u2028",
        "a\nb\r\n\tc ",
    ),
    *('a "b" \\', "\\u0000", "<b>&amp;</b>", "%s {} ${x}", "x" * 100),
    *("null", "{}", "[]", '{"a": [1, null]}', '"x"', "1", "1.0", "true", "NaN"),
]
#: What a resource can hold in a field that no schema knows.
VALUES = [None, True, 0, -1.5, 2**53, [], [None, [1]], {"a": {"b": None}}, {"": "été"}, *TEXTS, ""]
TOPICS = ["rain", "wind", "été"]
REGIONS = ["north", "south", "été"]
FILES = [b"", b"a,b\n1,2\n", bytes(range(256)), b"x" * 70_000]


def regions() -> dict[str, Any]:
    """The vocabulary, made by the first test that wants it."""
    found = [v for v in call("vocabulary_list") if v["name"] == "regions"]
    return (
        found[0] if found else call("vocabulary_create", name="regions", tags=[{"name": n} for n in REGIONS])
    )


class Editor:
    """``step`` makes one change; ``made`` counts them by their kind."""

    def __init__(self, portal: Portal, chance: random.Random):
        self.chance = chance
        self.user = factories.SysadminWithToken()
        self.regions = regions()
        self.groups = [factories.Group()["id"] for _ in range(3)]
        self.organizations = [factories.Organization()["id"] for _ in range(2)]
        self.id = self.create()["id"]
        dataset = self.shown()
        self.oids = {portal.push(self.user, dataset, data): len(data) for data in FILES}
        self.removed: list[dict[str, Any]] = []
        self.made: Counter[str] = Counter()

    def create(self) -> dict[str, Any]:
        return factories.Dataset(owner_org=self.organizations[0], notes="First.")

    def call(self, action: str, **data: Any) -> Any:
        # With a user: for nobody, CKAN leaves groups as they are.
        return call(action, self.user, **data)

    def patch(self, **fields: Any) -> None:
        self.call("package_patch", id=self.id, **fields)

    def shown(self) -> dict[str, Any]:
        return recorded.shown(self.id)

    def step(self) -> None:
        kind = self.chance.choice(self.kinds())
        kind()
        self.made[kind.__name__] += 1

    def kinds(self) -> list[Callable[[], None]]:
        every = [self.fields, self.lists, self.groups_by_membership, self.rename, self.move, self.private]
        every += [self.delete_and_restore, self.script, self.around, self.go_back]
        resources = [self.add, self.edit, self.replace_file, self.rewrite, self.remove, self.recreate]
        return [*every, *resources, *resources]

    # --- the dataset ----------------------------------------------------------------------------------------

    def text(self) -> str:
        return self.chance.choice(TEXTS)

    def some(self, values: list[Any]) -> list[Any]:
        return self.chance.sample(values, self.chance.randint(0, len(values)))

    def fields(self) -> None:
        names = ["title", "notes", "version", "author", "url", "maintainer"]
        chosen = {name: self.chance.choice([self.text(), self.text(), "", None]) for name in self.some(names)}
        license_id = self.chance.choice(["cc-by", "notspecified", "no such licence", "", None])
        self.patch(license_id=license_id, **chosen)

    def lists(self) -> None:
        tags = [{"name": name} for name in self.some(["rain", "free tag", "été", "日本"])]
        tags += [{"name": n, "vocabulary_id": self.regions["id"]} for n in self.some(REGIONS)]
        extras = [
            {"key": key, "value": self.text()} for key in self.some(["k", "K", "été", "a b", "0", "json"])
        ]
        self.patch(tags=tags, extras=extras, groups=[{"id": id} for id in self.some(self.groups)])

    def groups_by_membership(self) -> None:
        action = self.chance.choice(["member_create", "member_delete"])
        group = self.chance.choice(self.groups)
        self.call(action, id=group, object=self.id, object_type="package", capacity="public")

    def rename(self) -> None:
        self.patch(name=f"n-{self.chance.randrange(10**12)}")

    def move(self) -> None:
        organization = self.chance.choice(self.organizations)
        if self.chance.random() < 0.5:
            self.patch(owner_org=organization)
        else:
            self.call("package_owner_org_update", id=self.id, organization_id=organization)

    def private(self) -> None:
        if self.chance.random() < 0.5:
            self.patch(private=self.chance.choice([True, False]))
        else:
            action = self.chance.choice(["bulk_update_private", "bulk_update_public"])
            self.call(action, org_id=self.shown()["owner_org"], datasets=[self.id])

    def delete_and_restore(self) -> None:
        """Half of the times it stays deleted until another save of this kind."""
        self.call("package_delete", id=self.id)
        if self.chance.random() < 0.5:
            self.patch(state="active")

    def script(self) -> None:
        """No action has checked what is in the database then."""
        package = model.Package.get(self.id)
        assert package
        package.notes = self.text()
        resources = [r for r in package.resources_all if r.state == "active"]
        for resource in self.chance.sample(resources, min(1, len(resources))):
            resource.description = self.text()
        model.repo.commit()

    def around(self) -> None:
        """What is not the dataset's own, though it is shown with it."""
        id = self.chance.choice(self.groups)
        self.call("group_patch", id=id, title=self.text(), description=self.text())
        self.call("organization_patch", id=self.chance.choice(self.organizations), title=self.text())

    def go_back(self) -> None:
        seq = self.chance.randint(1, recorded.newest(self.id).seq)
        self.call("dataset_revert", dataset=self.id, revision_ref=f"r{seq}")

    # --- its resources --------------------------------------------------------------------------------------

    def resource_fields(self) -> dict[str, Any]:
        fields = {name: self.text() for name in self.some(["name", "description", "mimetype"])}
        fields |= {name: self.chance.choice(VALUES) for name in self.some(["odd", "été", "Schema"])}
        return {**fields, "format": self.chance.choice(["CSV", "csv", "no such format", ""])}

    def file(self) -> dict[str, Any]:
        oid = self.chance.choice(list(self.oids))
        name = self.chance.choice(["a.csv", "Été (1).csv", "日本.txt", "no-extension"])
        return {"url": name, "url_type": "upload", "sha256": oid, "size": self.oids[oid]}

    def link(self) -> dict[str, Any]:
        url = self.chance.choice(["http://example.org/été?a=b&c#d", "example.org/a", "ftp://x/y z", ""])
        return {"url": url, "url_type": None}

    def resource(self) -> dict[str, Any]:
        return {**self.resource_fields(), **self.chance.choice([self.file, self.link])()}

    def one(self) -> list[dict[str, Any]]:
        """A resource, unless there is none."""
        resources = self.shown()["resources"]
        return self.chance.sample(resources, min(1, len(resources)))

    def add(self) -> None:
        self.call("resource_create", package_id=self.id, **self.resource())

    def edit(self) -> None:
        for resource in self.one():
            self.call("resource_patch", id=resource["id"], **self.resource_fields())

    def replace_file(self) -> None:
        for resource in self.one():
            self.call("resource_patch", id=resource["id"], **self.file())

    def rewrite(self) -> None:
        """All of them at once: some dropped, some changed, some new, in another order."""
        dataset = self.shown()
        kept = self.some(dataset["resources"])
        self.removed += [r for r in dataset["resources"] if r not in kept]
        for resource in self.some(kept)[:2]:
            resource.update(self.resource_fields())
        self.call("package_update", **{**dataset, "resources": [*kept, self.resource()][:8]})

    def remove(self) -> None:
        for resource in self.one():
            self.removed.append(resource)
            self.call("resource_delete", id=resource["id"])

    def recreate(self) -> None:
        """One that was removed, under its old id."""
        if self.removed:
            resource = self.removed.pop(self.chance.randrange(len(self.removed)))
            if resource["id"] not in {r["id"] for r in self.shown()["resources"]}:
                self.call("resource_create", **{**resource, "package_id": self.id})


class SchemingEditor(Editor):
    """The fields of ``observations.yaml``."""

    def fields(self) -> None:
        texts = {name: self.text() for name in self.some(["title", "notes", "version", "author"])}
        since = f"{self.chance.randint(1, 9999):04}-02-28"
        station = {"name": self.text(), "since": since, "measured": self.some(TOPICS)}
        chosen = self.some(
            [
                {"region": self.some(REGIONS)},
                {"topics": self.some(TOPICS)},
                {"aliases": self.some(TEXTS[:6])},
                {"details": {"a": self.chance.choice(VALUES), "b": None}},
                {"started": f"{since} 12:34:56"},
                {"updated": since},
                {"stations": [station] * self.chance.randrange(3)},
            ]
        )
        self.patch(**texts, **{name: value for field in chosen for name, value in field.items()})

    def lists(self) -> None:
        tags = [{"name": name} for name in self.some(["rain", "free tag", "été", "日本"])]
        self.patch(tags=tags, groups=[{"id": id} for id in self.some(self.groups)])

    def resource_fields(self) -> dict[str, Any]:
        column = {"name": self.text(), "details": {"a": self.chance.choice(VALUES)}}
        return {
            **super().resource_fields(),
            "flags": self.some(TOPICS),
            "columns": [column] * self.chance.randrange(3),
        }
