"""Fields of stored files come from our record: `resources.settle`."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from ckanext.external_storage import resources

A, B = "a" * 64, "b" * 64
NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
ROW = {"url_type": "upload", "sha256": A, "size": 10, "lfs_prefix": "ckan/p"}


def settle(resource, rows=None, available=None):
    settled, problems = resources.settle([resource], rows or {}, available or {}, "ckan/p", NOW)
    return settled[0], problems[0]


def test_a_new_file_is_described_by_our_record():
    forged = {"size": 1, "lfs_prefix": "../x", "mimetype": "text/html", "last_modified": "1999-01-01"}
    resource, problem = settle(
        {"url": "http://a/b/prices.csv", "url_type": "upload", "sha256": A, **forged}, available={A: 10}
    )
    assert problem == {}
    assert resource == {
        "url": "prices.csv",
        "url_type": "upload",
        "sha256": A,
        "size": 10,
        "lfs_prefix": "ckan/p",
        "mimetype": "text/csv",
        "last_modified": "2026-11-21T12:00:00",
    }


@pytest.mark.parametrize("sha256", [B, "x", A.upper(), 5, ["a"], {"a": 1}], ids=str)
def test_a_file_that_the_dataset_did_not_bring_is_refused(sha256):
    _, problem = settle({"url_type": "upload", "sha256": sha256}, available={A: 10})
    assert "sha256" in problem


def test_what_is_unchanged_stays_the_same_dict():
    resource = {"id": "r", "name": "new name", **ROW}
    settled, problem = settle(resource, rows={"r": ROW})
    assert settled is resource
    assert not problem


def test_a_forged_size_of_an_unchanged_file_is_put_right():
    settled, _ = settle({"id": "r", **ROW, "size": 99, "lfs_prefix": "evil"}, rows={"r": ROW})
    assert (settled["size"], settled["lfs_prefix"]) == (10, "ckan/p")


def test_a_form_without_our_fields_keeps_the_file():
    settled, _ = settle({"id": "r", "url_type": "upload", "url": "f.csv"}, rows={"r": ROW})
    assert settled["sha256"] == A


def test_a_resource_id_of_another_dataset_proves_nothing():
    _, problem = settle({"id": "foreign", **ROW}, rows={"r": ROW})
    assert "sha256" in problem


def test_a_sha256_kept_on_a_link_does_not_become_a_file():
    link = {"url_type": None, "sha256": B}
    settled, problem = settle({"id": "r", **link}, rows={"r": link})
    assert "sha256" not in settled
    assert not problem
    _, problem = settle({"id": "r", "url_type": "upload", "sha256": B}, rows={"r": link})
    assert "sha256" in problem


def test_the_form_s_clear_lets_go_of_the_file():
    settled, problem = settle(
        {"id": "r", **ROW, "clear_upload": "true", "url": "https://a.example"}, {"r": ROW}
    )
    assert settled == {"id": "r", "url_type": "", "url": "https://a.example", "size": ""}
    assert not problem


@pytest.mark.parametrize(
    "resource", [{"url": "http://example.org/x.csv"}, {"url_type": "upload", "url": "x"}]
)
def test_links_and_classic_files_pass_untouched(resource):
    settled, problem = settle(resource)
    assert settled is resource
    assert not problem


def test_only_new_files_are_claimed():
    given = [{"id": "r", **ROW}, {"url_type": "upload", "sha256": B}, {"sha256": "c" * 64}]
    assert resources.claimed_oids(given, {"r": ROW}) == {B}
