"""The pages of a dataset's history, as the server answers; tests/e2e has them in a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest
from bs4 import BeautifulSoup
from ckan import plugins
from ckan.lib.plugins import DefaultDatasetForm
from ckan.tests import factories

from ckanext.versioning import timeline
from tests.portal import Portal, editor_and_dataset
from tests.versioning.recorded import call
from tests.versioning.test_cost import statements

pytestmark = pytest.mark.usefixtures("with_plugins")


def parsed(response: Any) -> Any:
    return BeautifulSoup(response.body, "html.parser")


def page(portal: Portal, url: str, user: Any = None) -> Any:
    response = portal.get(url, user, status=200)
    assert "public" not in response.headers["Cache-Control"]
    assert "private" in response.headers["Cache-Control"]
    return parsed(response)


def text(element: Any) -> str:
    return " ".join(element.get_text().split())


def lines(document: Any) -> list[str]:
    return [text(line) for line in document.select(".versions-list > li")]


def seqs(document: Any) -> list[int]:
    return [int(number) for line in lines(document) for number in re.findall(r"revision (\d+)", line)]


def robots(document: Any) -> list[str]:
    return [meta.get("content") for meta in document.select("meta[name=robots]")]


def own_dataset(**fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """An editor, and a dataset whose history begins with a save of theirs."""
    editor, elsewhere = editor_and_dataset()
    owner = elsewhere["owner_org"]
    return editor, call("package_create", editor, name=f"own-{owner[:8]}", owner_org=owner, **fields)


def alternating(count: int) -> dict[str, Any]:
    """A dataset with as many revisions by two people in turn, so that each is a line of its own."""
    people = [factories.Sysadmin(), factories.Sysadmin()]
    dataset: Any = factories.Dataset(user=people[1], title="1")
    for seq in range(2, count + 1):
        call("package_patch", people[seq % 2], id=dataset["id"], title=str(seq))
    return dataset


def test_the_tab_is_on_the_pages_of_the_dataset(portal: Portal):
    dataset: Any = factories.Dataset()
    for url in (f"/dataset/{dataset['name']}", f"/dataset/groups/{dataset['name']}"):
        (tab,) = parsed(portal.get(url, factories.SysadminWithToken())).select(
            f".nav-tabs a[href='/dataset/{dataset['name']}/versions']"
        )
        assert text(tab) == "Versions"


def test_the_list_goes_on_where_the_page_ends(portal: Portal):
    dataset = alternating(timeline.LINES + 3)
    first = page(portal, f"/dataset/{dataset['name']}/versions")
    assert seqs(first) == list(range(timeline.LINES + 3, 3, -1))
    (older,) = first.select("a[rel=next]")
    second = page(portal, older.get("href"))
    assert seqs(second) == [3, 2, 1]
    assert second.select("a[rel=next]") == []
    # Where a page ends in the middle of things, each line still says what it alone changed.
    assert all("Changed: title." in line for line in [*lines(first), *lines(second)[:-1]])
    assert "The first recorded version." in lines(second)[-1]
    assert ["Current" in line for line in lines(first)] == [True] + [False] * (timeline.LINES - 1)
    assert seqs(page(portal, f"/dataset/{dataset['name']}/versions?before_seq=1")) == []


@pytest.mark.parametrize("given", ["x", "-1", "0", "9" * 40, "٣", "1'", ""])
def test_an_address_that_makes_no_sense_is_no_error(portal: Portal, given: str):
    dataset: Any = factories.Dataset()
    page(portal, f"/dataset/{dataset['name']}/versions?before_seq={given}&all={given}")


def test_saves_that_belong_together_are_one_line_that_tells_of_all_of_them(portal: Portal):
    editor, dataset = own_dataset(title="One")
    call("package_patch", editor, id=dataset["id"], notes="More words.")
    call("resource_create", editor, package_id=dataset["id"], url="http://x.example/a", name="Table A")
    call("dataset_release_create", editor, dataset=dataset["id"], name="v1", title="The first")
    created = call("resource_create", editor, package_id=dataset["id"], url="http://x/b", name="Table B")
    call("resource_delete", editor, id=created["id"])
    (table,) = call("package_show", id=dataset["id"])["resources"]
    call("resource_patch", editor, id=table["id"], name="Table of A")
    call("package_patch", editor, id=dataset["id"], title="Two")
    call("resource_delete", editor, id=table["id"])

    address = f"/dataset/{dataset['name']}/versions"
    newest, released = lines(page(portal, address))
    # Named as it was called before the line; of Table B nothing is left to tell.
    assert "Changed: title. Removed the resource “Table A”." in newest
    assert "Table B" not in newest
    assert "5 saves" in newest
    assert "v1 Release The first The first recorded version. Added the resource “Table A”." in released

    every = page(portal, f"{address}?all=true")
    assert seqs(every) == [8, 7, 6, 5, 4, 3, 2, 1]
    assert "Changed the details of “Table of A”." in lines(every)[2]
    assert "Removed the resource “Table B”." in lines(every)[3]


def test_a_line_of_many_saves_is_not_read_to_its_end(portal: Portal, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(timeline, "SAVES", 2)
    editor, dataset = own_dataset(title="1")
    for notes in ("2", "3", "4"):
        call("package_patch", editor, id=dataset["id"], notes=notes)
    (line,) = lines(page(portal, f"/dataset/{dataset['name']}/versions"))
    assert "Changed: description. And more, in earlier saves of the same change." in line
    assert "2+ saves" in line


def test_what_a_hidden_version_was_like_is_not_told(portal: Portal):
    editor, dataset = editor_and_dataset(private=True, title="Secret")
    call("package_patch", editor, id=dataset["id"], title="Open", private=False)
    address = f"/dataset/{dataset['name']}/versions"
    (line,) = lines(page(portal, address))
    assert "What changed is not shown" in line
    assert [len(lines(page(portal, address, who))) for who in (editor, factories.UserWithToken())] == [2, 1]
    portal.get(f"/dataset/{dataset['name']}/v/r1", status=404)
    assert text(page(portal, f"/dataset/{dataset['name']}/v/r1", editor).select("h1")[0]) == (
        "Secret Private"
    )


def test_queries_do_not_grow_with_the_number_of_versions(portal: Portal):
    people = [factories.Sysadmin(), factories.Sysadmin()]

    def published(count: int) -> str:
        dataset: Any = factories.Dataset(user=people[0], resources=[{"url": "http://x/", "name": "0"}])
        (resource,) = dataset["resources"]
        for n in range(1, count):
            call("resource_patch", people[n % 2], id=resource["id"], name=str(n))
            call("dataset_release_create", dataset=dataset["id"], name=f"v{n}")
        return f"/dataset/{dataset['name']}/versions"

    def queries(url: str) -> int:
        page(portal, url)  # fills caches
        with statements() as sent:
            assert len(lines(page(portal, url))) == min(timeline.LINES, int(url.partition("#")[2]))
        return len(sent)

    few, many = f"{published(3)}#3", f"{published(30)}#30"
    assert queries(few) == queries(many)


def test_a_version_shows_the_dataset_as_it_was(portal: Portal):
    editor, dataset = editor_and_dataset(
        title="Rivers",
        notes="All of *them*.",
        url="javascript:alert(1)",
        tags=[{"name": "water"}],
        extras=[{"key": "Scale", "value": "1:1000"}],
        resources=[{"url": "http://x.example/map", "name": "Map", "format": "WMS"}],
    )
    file = portal.publish(editor, dataset, b"a,b\n", "rivers.csv")
    call("dataset_release_create", editor, dataset=dataset["id"], name="v1", description="Begin\nhere")
    call("package_patch", editor, id=dataset["id"], title="Lakes", notes="", tags=[], extras=[])
    call("package_patch", editor, id=dataset["id"], resources=[])

    old = page(portal, f"/dataset/{dataset['name']}/v/v1")
    assert text(old.select("h1")[0]) == "Rivers"
    assert "This is version v1 of “Lakes”, not the current one." in text(old.select(".version-banner")[0])
    assert text(old.select(".notes em")[0]) == "them"
    assert [text(tag) for tag in old.select(".tag-list a")] == ["water"]
    assert {text(row.th): text(row.td) for row in old.select("tbody tr")} == {
        "Organization": dataset["organization"]["title"],
        "Source": "javascript:alert(1)",
        "Scale": "1:1000",
    }
    assert old.select("[href^=javascript]") == []
    link, download = (item.select("a")[0].get("href") for item in old.select(".version-resources li"))
    assert link == "http://x.example/map"
    assert f"/v/r2/resource/{file['id']}/download/rivers.csv" in download
    assert portal.get(download).data == b"a,b\n"

    now = page(portal, f"/dataset/{dataset['name']}/v/head")
    assert "It is the current one." in text(now.select(".version-banner")[0])
    assert "no data in this version" in text(now.select("#version-resources")[0].parent)


def test_a_file_that_was_not_kept_is_no_link(portal: Portal):
    dataset: Any = factories.Dataset(resources=[{"url": "gone.csv", "url_type": "upload"}, {"url": ""}])
    kept, none = page(portal, f"/dataset/{dataset['name']}/v/r1").select(".version-resources li")
    assert "The file of this time was not kept." in text(kept)
    assert [item.select("a") for item in (kept, none)] == [[], []]


def test_what_people_wrote_stays_text(portal: Portal):
    evil = "<script>alert(1)</script>{{7*7}}"
    author = factories.SysadminWithToken(fullname=evil)
    dataset: Any = factories.Dataset(
        user=author,
        title=evil,
        notes=evil,
        extras=[{"key": evil, "value": evil}],
        resources=[{"url": "http://x.example", "name": evil, "description": evil, "format": evil}],
    )
    call("dataset_release_create", author, dataset=dataset["id"], name="v1", title=evil, description=evil)
    call("package_patch", author, id=dataset["id"], extras=[{"key": f"{evil}2", "value": evil}])
    for rest in ("/versions", "/v/v1", "/v/head", "/v/head/release"):
        body = portal.get(f"/dataset/{dataset['name']}{rest}", author).body
        assert "<script>alert" not in body
        assert "49" not in re.findall(r"&lt;/script&gt;(\d+)", body)
        assert "&lt;script&gt;alert" in body


def test_search_engines_find_the_dataset_and_its_releases(portal: Portal):
    dataset: Any = factories.Dataset()
    call("dataset_release_create", dataset=dataset["id"], name="v1")
    call("package_patch", id=dataset["id"], title="Later")
    address = f"/dataset/{dataset['name']}"
    found = {rest: page(portal, address + rest) for rest in ("/versions", "/v/v1", "/v/r1", "/v/r2")}
    assert {rest: robots(document) for rest, document in found.items()} == {
        "/versions": ["noindex"],
        "/v/v1": [],
        "/v/r1": [],
        "/v/r2": ["noindex"],
    }
    for document in found.values():
        (canonical,) = document.select("link[rel=canonical]")
        assert canonical.get("href") == f"http://test.ckan.net{address}"


def test_addresses_that_lead_to_others(portal: Portal):
    dataset: Any = factories.Dataset()

    def target(url: str) -> str:
        response = portal.get(url, status=302, follow_redirects=False)
        return response.headers["Location"].removeprefix("http://test.ckan.net")

    name, id = dataset["name"], dataset["id"]
    assert target(f"/dataset/{name}@r1") == f"/dataset/{name}/v/r1"
    assert target(f"/dataset/{name}@head~1") == f"/dataset/{name}/v/head~1"
    assert target(f"/dataset/{id}/versions") == f"/dataset/{name}/versions"
    assert target(f"/dataset/{id}/v/r1") == f"/dataset/{name}/v/r1"
    assert target(f"/fr/dataset/{name}@r1") == f"/fr/dataset/{name}/v/r1"


def test_hidden_and_missing_answer_alike(portal: Portal):
    _editor, private = editor_and_dataset(private=True)
    reader = factories.UserWithToken()

    def answer(name: str, rest: str) -> str:
        response = portal.get(f"/dataset/{name}{rest}", reader, status=404)
        found = text(parsed(response).select("#content")[0])
        assert name not in found
        return found

    for rest in ("/versions", "/v/r1", "/v/latest", "/v/r1/release"):
        assert answer(private["name"], rest) == answer("there-is-none", rest)
    public: Any = factories.Dataset()
    for ref in ("r2", "v9", "head~7", "2020-13-01", "%C3%A9", "x" * 200):
        portal.get(f"/dataset/{public['name']}/v/{ref}", status=404)


def test_a_dataset_from_before_there_was_a_history(portal: Portal):
    plugins.unload("versioning")
    try:
        dataset: Any = factories.Dataset()
    finally:
        plugins.load("versioning")
    document = page(portal, f"/dataset/{dataset['name']}/versions")
    assert lines(document) == []
    assert "No version has been recorded yet." in text(document.select(".primary")[0])


class Maps(plugins.SingletonPlugin, DefaultDatasetForm):
    """A portal's own type of datasets, with an address of its own."""

    plugins.implements(plugins.IDatasetForm)

    def package_types(self):
        return ["map"]

    def is_fallback(self):
        return False


@pytest.fixture
def maps(provide_plugin):
    provide_plugin("Maps", Maps)


@pytest.mark.usefixtures("maps")
@pytest.mark.ckan_config("ckan.plugins", "authz_service external_storage versioning Maps")
def test_datasets_of_other_types(maps, with_plugins, app):
    portal = Portal(app)
    dataset: Any = factories.Dataset(type="map", title="Atlas")
    own = parsed(portal.get(f"/map/{dataset['name']}"))
    (tab,) = [a for a in own.select(".nav-tabs a") if text(a) == "Versions"]
    listed = page(portal, tab.get("href"))
    assert seqs(listed) == [1]
    version = page(portal, listed.select(".versions-list h2 a")[0].get("href"))
    assert text(version.select("h1")[0]) == "Atlas"
    (canonical,) = version.select("link[rel=canonical]")
    assert canonical.get("href").endswith(f"/map/{dataset['name']}")


@pytest.mark.ckan_config("ckan.plugins", "versioning")
def test_without_the_other_plugins(portal: Portal):
    stored = {"url": "a.csv", "url_type": "upload", "sha256": "ab" * 32, "size": 7}
    dataset: Any = factories.Dataset(resources=[stored])
    page(portal, f"/dataset/{dataset['name']}/versions")
    (file,) = page(portal, f"/dataset/{dataset['name']}/v/r1").select(".version-resources li")
    assert "The file of this time was not kept." in text(file)
