"""Files sent from a form before it is saved: by the wizard, in a type of its own, in place of another."""

from __future__ import annotations

from pathlib import Path

import requests
from playwright.sync_api import expect

from tests.e2e.people import begin_dataset
from tests.e2e.upload_form import MIB, Publisher, make_file, on


@on(s3=None)
def test_a_form_of_another_type_comes_back_with_an_error(publisher: Publisher, tmp_path: Path):
    dataset, file = publisher.dataset(type="measurement", title="Weights"), tmp_path / "all_weights.csv"
    oid = make_file(file, 3 * MIB)
    form = publisher.form(dataset)
    form.choose(file)
    form.expect_state("done")
    form.save()
    expect(form.page.locator(".error-explanation")).to_contain_text("Instrument")
    form.wait()
    # The file is still there, and its name.
    form.expect_state("done")
    expect(form.row).to_contain_text("all_weights.csv")
    sent = [request for request in form.requests if request.method == "PATCH"]
    form.page.get_by_label("Instrument").fill("scale")
    form.save()
    (resource,) = publisher.resources(dataset)
    wanted = {"sha256": oid, "instrument": "scale", "name": "all_weights.csv", "title": "all weights"}
    assert resource.items() >= wanted.items()
    assert [request for request in form.requests if request.method == "PATCH"] == sent
    assert form.failures == []


@on(disk=(1, 1), s3=None)
def test_many_files_in_a_form_of_another_type(publisher: Publisher, tmp_path: Path):
    dataset = publisher.dataset(type="measurement", title="Weights")
    files = [tmp_path / name for name in ("first.csv", "second_part.csv", "third.csv")]
    for file in files:
        make_file(file, MIB)
    form = publisher.form(dataset)
    form.choose(files[0])  # which the form's own fields are about until there are more
    expect(form.page.locator("#field-title")).to_have_value("first")
    form.choose(*files[1:])
    expect(form.page.locator("#field-title")).to_be_hidden()
    save = form.page.get_by_role("button", name="Save 3 files")
    save.click()
    expect(form.page.locator(".external-storage-item").first).to_contain_text("Instrument: Missing value")
    form.page.get_by_label("Instrument").fill("scale")
    form.page.get_by_role("textbox", name="Name").first.fill("Weights_of_2024.csv")
    with form.page.expect_navigation():
        save.click()
    saved = [(r["name"], r["title"], r["instrument"]) for r in publisher.resources(dataset)]
    assert saved == [
        ("Weights_of_2024.csv", "Weights of 2024", "scale"),
        ("second_part.csv", "second part", "scale"),
        ("third.csv", "third", "scale"),
    ]
    assert form.failures == []


@on(s3=(1, 1))
def test_the_wizard_for_a_new_dataset(publisher: Publisher, tmp_path: Path):
    file = tmp_path / "roads.csv"
    oid = make_file(file, 3 * MIB)
    page = publisher.context.new_page()
    name = begin_dataset(page, publisher.organization["id"])
    shown = publisher.person.client.action("package_show", id=name)
    assert shown["state"] == "draft"
    form = publisher.form_at(page.url)
    form.choose(file)
    form.save()  # which waits for the file
    shown = publisher.person.client.action("package_show", id=name)
    assert shown["state"] == "active"
    (resource,) = shown["resources"]
    assert (resource["sha256"], resource["name"], resource["format"]) == (oid, "roads.csv", "CSV")
    assert form.failures == []


@on()
def test_a_file_is_replaced_and_stays_in_the_earlier_version(publisher: Publisher, tmp_path: Path):
    dataset, old, new = publisher.dataset(), tmp_path / "old.csv", tmp_path / "new.csv"
    oids = [make_file(file, MIB) for file in (old, new)]
    form = publisher.form(dataset)
    form.choose(old)
    form.save()
    (resource,) = publisher.resources(dataset)

    form = publisher.form_at(f"/dataset/{dataset['name']}/resource/{resource['id']}/edit")
    form.expect_state("present")
    form.choose(new)
    expect(form.row).to_contain_text("It replaces old.csv, which stays available in the earlier versions")
    form.save()
    (replaced,) = publisher.resources(dataset)
    assert (replaced["id"], replaced["sha256"]) == (resource["id"], oids[1])
    then = publisher.person.client.action("package_show", id=dataset["id"], revision_ref="head~1")
    answer = requests.get(
        then["resources"][0]["url"], headers={"Authorization": publisher.person.client.token}, timeout=60
    )
    assert answer.content == old.read_bytes()
    assert oids[0] == then["resources"][0]["sha256"]
