"""The list of versions narrowed down, by its form alone."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from ckan import model
from ckan.tests import factories

from ckanext.versioning import model as tables
from ckanext.versioning import timeline
from tests.portal import Portal
from tests.versioning.recorded import call
from tests.versioning.test_pages import lines, page, parsed, seqs

pytestmark = pytest.mark.usefixtures("with_plugins")


def fields(document: Any) -> dict[str, str]:
    """What the form sends as it is, as a browser would."""
    (form,) = document.select("form.version-filters")
    sent = {field["name"]: field.get("value", "") for field in form.select("input:not([type=checkbox])")}
    sent |= {box["name"]: box["value"] for box in form.select("input[checked]")}
    for select in form.select("select"):
        (sent[select["name"]],) = [o["value"] for o in select.select("option[selected]")] or [""]
    return {name: value for name, value in sent.items() if value}


def option(document: Any, name: str, label: str) -> str:
    options = document.select(f"form.version-filters select[name={name}] option")
    (value,) = [option["value"] for option in options if option.get_text() == label]
    return value


def test_by_author_resource_time_and_release(portal: Portal):
    ada, ben = factories.Sysadmin(fullname="Ada A"), factories.Sysadmin(fullname="Ben B")
    dataset: Any = factories.Dataset(user=ada)  # r1
    first = call("resource_create", ada, package_id=dataset["id"], url="http://x/1", name="One")  # r2
    call("resource_create", ben, package_id=dataset["id"], url="http://x/2", name="Two")  # r3
    call("resource_patch", ben, id=first["id"], name="Uno")  # r4
    call("dataset_release_create", dataset=dataset["id"], name="v1", revision_ref="r3")
    call("package_patch", ada, id=dataset["id"], title="T")  # r5
    # Long ago, as far as the list is concerned; only the time is looked at here.
    old = tables.revision.update().where(
        tables.revision.c.package_id == dataset["id"], tables.revision.c.seq <= 2
    )
    model.Session.execute(old.values(created="2020-02-03T12:00:00Z"))
    model.Session.commit()
    address = f"/dataset/{dataset['name']}/versions"
    whole = page(portal, address)
    assert fields(whole) == {}
    by_ben = {"author": option(whole, "author", "Ben B")}
    by_ada = {"author": option(whole, "author", "Ada A")}
    uno = {"resource_id": option(whole, "resource_id", "Uno")}
    for given, expected in (
        (by_ben, [4, 3]),
        (by_ada, [5, 2, 1]),
        (uno, [4, 2]),
        ({**uno, **by_ben}, [4]),
        ({"until": "2020-02-03"}, [2, 1]),
        ({"since": "2020-02-04"}, [5, 4, 3]),
        ({"since": "2020-02-03", "until": "2020-02-02"}, []),
        ({"releases": "true"}, [3]),
    ):
        found = page(portal, f"{address}?{urlencode(given)}")
        assert seqs(found) == expected, given
        assert fields(found) == given
    (line,) = lines(page(portal, f"{address}?{urlencode({**uno, **by_ben})}"))
    assert "Changed the details of “Uno”" in line or "“Uno”" in line
    assert "No version fits" in page(portal, f"{address}?since=2020-02-03&until=2020-02-02").get_text()


def test_the_next_page_goes_on_with_the_same_filters(portal: Portal):
    ada, ben = factories.Sysadmin(), factories.Sysadmin()
    dataset: Any = factories.Dataset(user=ben)
    for number in range(timeline.LINES + 1):
        call("package_patch", ada, id=dataset["id"], title=f"title {number}")
    call("package_patch", ben, id=dataset["id"], title="Last")
    first = page(portal, f"/dataset/{dataset['name']}/versions?author={ada['id']}&since=2020-01-01")
    assert len(seqs(first)) == timeline.LINES
    (older,) = first.select("a[rel=next]")
    second = page(portal, older["href"])
    assert seqs(second) == [2]
    assert fields(second) == {"author": ada["id"], "since": "2020-01-01"}
    assert "Changed: title." in lines(second)[0]


@pytest.mark.parametrize(
    "given",
    [
        "author=no-such",
        "author=%00",
        "resource_id=%27",
        "since=x&until=2026-02-30",
        "releases=1",
        "since=%ED%A0",
    ],
)
def test_what_makes_no_sense_is_no_error(portal: Portal, given: str):
    dataset: Any = factories.Dataset()
    assert parsed(portal.get(f"/dataset/{dataset['name']}/versions?{given}", status=200))
