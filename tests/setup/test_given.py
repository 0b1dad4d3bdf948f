"""Services that the demo is given: what it looks at, and what it says. Asked of this checkout's real ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from ckan.lib import search
from sqlalchemy.engine import make_url

from demo import database, given, place
from services import databases
from services.progress import Failure
from services.settings import HOST, Settings

PASSWORD = "se%23cret"  # as in a URL


@pytest.fixture
def settings() -> Settings:
    settings = Settings.load()
    assert settings
    return settings


@pytest.fixture
def run_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(place, "RUN", tmp_path)
    return tmp_path


@pytest.fixture
def empty(settings: Settings, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of an empty database."""
    sandbox = make_url(request.getfixturevalue("ckan_config")["sqlalchemy.url"]).database
    name = f"given_{sandbox}"
    databases.create(settings, name)
    yield settings.database_url(name)
    databases.drop(settings, name)


def execute(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)


def content(url: str) -> list[str]:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        return sorted(name for (name,) in cursor.fetchall())


def refusal(service: str, url: str) -> str:
    """What is said of a service that cannot be used: the variable and what to do, without a password."""
    with pytest.raises(Failure) as caught:
        given.check({service: url})
    told = str(caught.value)
    assert told.startswith(f"FAILED: {given.variable(service)} ")
    assert "What to do: " in told
    assert "secret" not in told
    assert "se%23" not in told
    return told


def test_values_are_taken_out_of_the_environment(monkeypatch):
    monkeypatch.setenv("GIVEN_REDIS_URL", f"redis://:{PASSWORD}@host")
    monkeypatch.setenv("GIVEN_SOLR_URL", "")
    assert given.take() == {"redis": f"redis://:{PASSWORD}@host"}
    assert given.take() == {}


@pytest.mark.parametrize(
    ("service", "url"),
    [
        ("postgres", f"mysql://ckan:{PASSWORD}@host/ckan"),
        ("postgres", f"postgresql://ckan:{PASSWORD}@host:port/ckan"),
        ("postgres", f"postgresql://ckan:{PASSWORD}@host"),
        ("postgres", "postgresql://ckan:my@secret@host/ckan"),
        ("redis", f"http://:{PASSWORD}@host"),
        ("redis", f"redis://ckan:secret/{PASSWORD}@host"),
        ("solr", f"solr://ckan:{PASSWORD}@host/solr/ckan"),
        ("solr", f"http://[{PASSWORD}@host/solr/ckan"),
    ],
)
def test_what_is_no_address_is_refused(service: str, url: str):
    assert f"write it like {given.EXAMPLES[service]}" in refusal(service, url)


@pytest.mark.parametrize(
    ("service", "url"),
    [
        ("postgres", "postgresql://ckan:secret@{host}:1/ckan"),
        ("redis", "redis://:secret@{host}:1/0"),
        ("solr", "http://ckan:secret@{host}:1/solr/ckan"),
    ],
)
def test_what_does_not_answer_is_refused(service: str, url: str):
    refusal(service, url.format(host=HOST))


class TestDatabase:
    def test_an_empty_one_will_do_and_stays_empty(self, empty):
        given.check({"postgres": empty})
        assert content(empty) == []

    def test_a_wrong_password(self, settings, empty):
        told = refusal("postgres", empty.replace(settings.password, "secret"))
        assert "password authentication failed" in told

    def test_one_that_is_not_there(self, empty):
        assert '"given_nowhere" does not exist' in refusal(
            "postgres", f"{empty.rpartition('/')[0]}/given_nowhere"
        )

    def test_one_with_anybodys_table(self, empty):
        execute(empty, "CREATE SCHEMA theirs CREATE TABLE precious (x int)")
        assert "holds data that is not a demo's" in refusal("postgres", empty)
        assert content(empty) == []

    def test_one_of_a_site(self, ckan_config):
        url = ckan_config["sqlalchemy.url"]
        before = content(url)
        assert "holds data that is not a demo's" in refusal("postgres", url)
        assert content(url) == before

    @pytest.mark.parametrize(
        "obstacle",
        [
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC, pg_database_owner",
            "ALTER DATABASE {name} SET default_transaction_read_only = on",
        ],
    )
    def test_one_without_the_right_to_create_tables(self, empty, obstacle):
        execute(empty, obstacle.format(name=make_url(empty).database))
        told = refusal("postgres", empty)
        assert "permission denied" in told or "read-only" in told

    def test_it_remembers_its_demo(self, settings, empty, run_directory):
        first = place.find(settings, {"postgres": empty})
        assert first.directory == run_directory / first.name
        assert first.directory.is_dir()
        given.check({"postgres": empty})
        assert place.find(settings, {"postgres": empty}) == first
        assert content(empty) == [database.TABLE]

    def test_its_demo_has_own_services_for_what_is_not_given(self, settings, empty, run_directory):
        urls = place.find(settings, {"postgres": empty}).urls
        assert urls["postgres"] == empty
        assert urls["solr"] == settings.solr_url()
        given.check({"redis": urls["redis"], "solr": urls["solr"]})

    def test_another_checkouts_demo(self, settings, empty, run_directory):
        place.find(settings, {"postgres": empty}).directory.rmdir()
        assert "another checkout's" in refusal("postgres", empty)

    def test_the_demo_of_another_ckan(self, empty, run_directory):
        (run_directory / "demo_2_9_0badcafe").mkdir()
        database.claim(empty, "demo_2_9_0badcafe")
        assert "a demo of CKAN 2.9" in refusal("postgres", empty)

    def test_how_far_its_tables_are(self, empty):
        database.claim(empty, "demo")
        assert database.tables_version(empty) is None
        database.record_tables_version(empty, "this")
        assert database.tables_version(empty) == "this"


class TestRedis:
    def test_one_that_answers(self, settings):
        given.check({"redis": settings.redis_url(0)})

    def test_a_wrong_password(self, settings):
        refusal("redis", settings.redis_url(0).replace(settings.password, "secret"))

    def test_a_database_that_it_does_not_have(self, settings):
        assert "DB index" in refusal("redis", settings.redis_url(100_000))


class TestSolr:
    def test_one_with_ckans_schema(self, settings):
        given.check({"solr": f"{settings.solr_url()}/"})

    def test_a_core_that_it_does_not_have(self, settings):
        assert "404" in refusal("solr", settings.solr_url().replace("/ckan", "/nowhere"))

    def test_a_schema_that_this_ckan_does_not_take(self, settings, monkeypatch):
        monkeypatch.setattr(search, "SUPPORTED_SCHEMA_VERSIONS", ["2.98", "2.99"])
        assert "'ckan-2.11', and this CKAN needs one of: ckan-2.98, ckan-2.99" in refusal(
            "solr", settings.solr_url()
        )
