"""Datasets as descriptors and back, in the npm package: nothing gets lost, whatever a dataset has."""

from __future__ import annotations

from typing import Any

import pytest

from tests import npm_package

PROGRAM = """
import { toDataset, toDescriptor } from "ckanext-publish-client";
import { text } from "node:stream/consumers";

const { datasets, descriptors } = JSON.parse(await text(process.stdin));
console.log(JSON.stringify({
  descriptors: datasets.map((dataset) => toDescriptor(dataset)),
  again: datasets.map((dataset) => toDataset(toDescriptor(dataset), dataset)),
  datasets: descriptors.map((descriptor) => toDataset(descriptor)),
  changed: toDataset(
    { ...toDescriptor(datasets[0]), title: "Changed", budget: 6, resources: [] },
    datasets[0],
  ),
}));
"""

FULL: dict[str, Any] = {
    "id": "d-1",
    "name": "rivers",
    "title": "Rivers",
    "notes": "All of them",
    "url": "https://example.org",
    "version": "1.10",
    "private": False,
    "state": "active",
    "owner_org": "o-1",
    "organization": {"name": "office"},
    "num_resources": 1,
    "isopen": True,
    "author": "Ada",
    "author_email": "ada@example.org",
    "maintainer": "",
    "maintainer_email": None,
    "license_id": "cc-by",
    "license_title": "CC-BY",
    "license_url": None,
    "groups": [{"name": "water"}],
    "tags": [{"name": "river", "vocabulary_id": "v-1", "id": "t-1"}],
    "extras": [
        {"key": "budget", "value": "1.10"},
        {"key": "area", "value": '{ "type": "Point" }'},
        {"key": "title", "value": "another"},
        {"key": "description", "value": "a third"},
        {"key": "odd", "value": "[not JSON"},
    ],
    "resources": [
        {
            "id": "r-1",
            "name": "Data (März).csv",
            "url": "https://example.org/data.csv",
            "size": 12,
            "mimetype": "text/csv",
            "description": "[1]",
            "schema": '{"fields": []}',
            "sample": [1, 2],
            "sha256": "0" * 64,
            "datastore_active": True,
            "hash": None,
        }
    ],
}
WITH_MORE_PEOPLE = {
    "name": "many",
    "author": "Ada",
    "author_email": "",
    "extras": [
        {"key": "contributors", "value": '[{"title":"Grace","role":"editor"}]'},
        {"key": "licenses", "value": '[{"name":"a"},{"name":"b"}]'},
    ],
    "resources": [],
}
#: ckanext-scheming puts fields beside CKAN's own.
WITH_FIELDS = {"name": "schemed", "notes": "x", "description": "own", "spatial": {"a": [1]}, "resources": []}
DATASETS = [FULL, WITH_MORE_PEOPLE, WITH_FIELDS]


@pytest.fixture(scope="module")
def answer(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    descriptors = [
        {
            "name": "new",
            "description": "text",
            "homepage": "https://example.org",
            "keywords": ["a"],
            "licenses": [{"name": "cc-by", "title": "CC-BY"}],
            "contributors": [{"title": "Ada", "email": "a@example.org"}],
            "budget": 5,
            "resources": [
                {"name": "r", "path": "https://example.org/r.csv", "bytes": 3, "schema": {"fields": []}}
            ],
        },
        {"name": "more", "contributors": [{"title": "Ada"}, {"title": "Ben", "role": "editor"}]},
    ]
    question = {"datasets": DATASETS, "descriptors": descriptors}
    return npm_package.run(PROGRAM, tmp_path_factory.mktemp("mapping"), question)


def test_what_is_read_and_saved_again_is_the_same(answer: dict[str, Any]):
    def told(dataset: dict[str, Any]) -> dict[str, Any]:
        computed = ("organization", "num_resources", "isopen")
        found = {key: value for key, value in dataset.items() if value is not None and key not in computed}
        found["extras"] = sorted(dataset.get("extras", []), key=lambda extra: extra["key"])
        found["resources"] = [
            {key: value for key, value in resource.items() if value is not None}
            for resource in dataset["resources"]
        ]
        return found

    assert [told(dataset) for dataset in answer["again"]] == [told(dataset) for dataset in DATASETS]


def test_a_dataset_as_a_descriptor(answer: dict[str, Any]):
    full, many, schemed = answer["descriptors"]
    assert full["description"] == "All of them"
    assert full["homepage"] == "https://example.org"
    assert full["title"] == "Rivers"
    assert full["keywords"] == ["river"]
    assert full["contributors"] == [{"title": "Ada", "email": "ada@example.org", "role": "author"}]
    assert full["licenses"] == [{"name": "cc-by", "title": "CC-BY"}]
    assert full["budget"] == "1.10"
    assert full["area"] == {"type": "Point"}
    assert not {"organization", "isopen", "num_resources", "notes", "tags"} & set(full)
    (resource,) = full["resources"]
    assert resource["path"] == "https://example.org/data.csv"
    assert (resource["bytes"], resource["mediatype"]) == (12, "text/csv")
    assert (resource["schema"], resource["description"]) == ({"fields": []}, "[1]")
    assert [person["title"] for person in many["contributors"]] == ["Ada", "Grace"]
    assert (schemed["notes"], schemed["description"]) == ("x", "own")


def test_a_new_descriptor_as_a_dataset(answer: dict[str, Any]):
    new, more = answer["datasets"]
    assert new == {
        "name": "new",
        "notes": "text",
        "url": "https://example.org",
        "license_id": "cc-by",
        "license_title": "CC-BY",
        "license_url": "",
        "author": "Ada",
        "author_email": "a@example.org",
        "maintainer": "",
        "maintainer_email": "",
        "extras": [{"key": "budget", "value": "5"}],
        "tags": [{"name": "a"}],
        "resources": [
            {"name": "r", "url": "https://example.org/r.csv", "size": 3, "schema": '{"fields":[]}'}
        ],
    }
    assert more["author"] == "Ada"
    assert [extra["key"] for extra in more["extras"]] == ["contributors"]


def test_only_what_was_changed_changes(answer: dict[str, Any]):
    changed = answer["changed"]
    assert (changed["title"], changed["resources"]) == ("Changed", [])
    assert {"key": "budget", "value": "6"} in changed["extras"]
    assert {"key": "area", "value": '{ "type": "Point" }'} in changed["extras"]
    assert changed["maintainer"] == ""
