"""Start, stop and forget the services. Callers hold the lock `exclusive("services")`."""

from __future__ import annotations

import shutil
from collections.abc import Collection

from services import postgres, processes, redis, s3, solr
from services.checkout import RUN
from services.progress import step
from services.settings import Settings

TITLES = {"postgres": "PostgreSQL", "redis": "Redis", "solr": "Solr", "s3": "versitygw", "minio": "MinIO"}
#: What CKAN itself needs, and what the tests need.
CKAN = ("postgres", "redis", "solr")
TESTS = (*CKAN, "s3")
ANSWERS = {
    "postgres": postgres.answers,
    "redis": redis.answers,
    "solr": solr.answers,
    "s3": s3.versitygw_answers,
    "minio": s3.minio_answers,
}
START_SECONDS = 90


def start(wanted: Collection[str] = TESTS) -> Settings:
    """Bring these up; quick when they are up."""
    if not processes.is_supervised():
        # Whatever still runs has lost its supervisor and sits on our ports.
        processes.end_orphans()
    saved = Settings.load()
    settings = saved or Settings()
    for name in wanted:
        if not processes.is_running(name):
            settings.settle_port(name)
    settings.save()

    if "postgres" in wanted:
        # Also where the role is from an older state of this checkout, which gave it less.
        set_up = saved is None or not processes.is_running("postgres")
        processes.declare(postgres.prepare(settings, set_up_role=set_up))
    if "redis" in wanted:
        processes.declare(redis.prepare(settings))
    if "solr" in wanted:
        program, changed = solr.prepare(settings)
        processes.declare(program)
        if changed:
            processes.stop("solr")
    if "s3" in wanted:
        processes.declare(s3.versitygw(settings))
    if "minio" in wanted:
        processes.declare(s3.minio(settings))
    processes.apply()
    if wanted:
        with step(", ".join(TITLES[name] for name in wanted)):
            for name in wanted:
                processes.start(name)
            for name in wanted:
                processes.wait_until(name, lambda name=name: ANSWERS[name](settings), START_SECONDS)
    return settings


def all_answer(settings: Settings) -> bool:
    """Whether all that the tests need is up."""
    return all(name in settings.ports and ANSWERS[name](settings) for name in TESTS)


def stop() -> None:
    with step("Stopping this checkout's processes"):
        processes.shut_down()


def clean() -> None:
    """Stop everything and delete what was made at run time: databases, index, files, logs."""
    stop()
    postgres.remove()
    processes.remove_socket_directory()
    shutil.rmtree(RUN)
    print("Removed .run/. The installed programs (.venv*) stay.")
