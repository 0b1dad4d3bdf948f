"""Whatever was done to a dataset: each revision is shown as it was shown at the time, with the same bytes."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from typing import Any

import pytest

from ckanext.versioning import snapshot
from services.checkout import ROOT
from tests.portal import Portal, oid_of
from tests.versioning import recorded
from tests.versioning.random_edits import Editor, SchemingEditor
from tests.versioning.recorded import MARKS, call

SCHEMING = "versioning external_storage authz_service scheming_datasets scheming_nerf_index"


def content(shown: dict[str, Any]) -> dict[str, Any]:
    """What is left of a shown dataset without what the docs list as derived, and in an order of our own.

    CKAN sorts tags by name; of the same name in two vocabularies either may be the first.
    """
    kept = {k: v for k, v in shown.items() if k not in snapshot.DERIVED_DATASET_FIELDS and k not in MARKS}
    kept["groups"] = sorted(group["id"] for group in shown["groups"])
    kept["tags"] = sorted(shown["tags"], key=lambda tag: tag["id"])
    kept["resources"] = [_resource_content(resource) for resource in shown["resources"]]
    return json.loads(json.dumps(kept))


def _resource_content(shown: dict[str, Any]) -> dict[str, Any]:
    kept = {
        k: v
        for k, v in shown.items()
        if k not in snapshot.DERIVED_RESOURCE_FIELDS and not k.startswith(snapshot.DERIVED_RESOURCE_PREFIXES)
    }
    if shown["url_type"] == "upload":  # on this site it is the address of the bytes
        kept["url"] = shown["url"].rpartition("/")[2]
    return kept


def assert_files(portal: Portal, user: dict[str, Any], shown: dict[str, Any]) -> int:
    """Every file of a shown dataset is there and is the one it says; how many there are."""
    files = [r for r in shown["resources"] if r["url_type"] == "upload"]
    for resource in files:
        data = portal.get(resource["url"], user).data
        assert (oid_of(data), len(data)) == (resource["sha256"], resource["size"])
    return len(files)


def follow(portal: Portal, editor: Editor, edits: int) -> Counter[str]:
    """Let *editor* work, then look at each revision; what was done."""
    then = [(1, content(editor.shown()))]
    for _ in range(edits):
        editor.step()
        then.append((recorded.newest(editor.id).seq, content(editor.shown())))
    seqs = [row.seq for row in recorded.revisions(editor.id)]
    # Many changes change nothing: which, is chance, too.
    assert len(seqs) == then[-1][0] > edits / 10
    old = {seq: call("package_show", id=editor.id, revision_ref=f"r{seq}") for seq in seqs}
    for seq, expected in then:
        assert content(old[seq]) == expected, f"revision {seq}"
    files = sum(assert_files(portal, editor.user, old[seq]) for seq in seqs)
    recorded.assert_chain_holds(editor.id)
    return editor.made + Counter(downloads=files)


def test_the_docs_say_what_is_derived():
    page = (ROOT / "docs" / "versioning_api.rst").read_text()
    (text,) = re.findall(r"\.\. _as-it-was:\n(.*?)\nActions\n---", page, re.DOTALL)
    named = set(re.findall(r"``(\w+)``", text))
    derived = snapshot.DERIVED_DATASET_FIELDS | snapshot.DERIVED_RESOURCE_FIELDS
    assert derived | {*snapshot.DERIVED_RESOURCE_PREFIXES, *MARKS} <= named


@pytest.mark.proof(datasets=(1, 20), edits=(15, 100))
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(Editor, id="plain"),
        pytest.param(
            SchemingEditor,
            id="scheming",
            marks=[
                pytest.mark.ckan_config("ckan.plugins", SCHEMING),
                pytest.mark.ckan_config("scheming.dataset_schemas", "tests.versioning:observations.yaml"),
            ],
        ),
    ],
)
def test_every_revision_is_shown_as_it_was_at_the_time(
    portal: Portal, counts, chance: random.Random, record_property, kind: type[Editor]
):
    done: Counter[str] = Counter()
    for _ in range(counts["datasets"]):
        done += follow(portal, kind(portal, chance), counts["edits"])
    record_property("done", dict(done))
