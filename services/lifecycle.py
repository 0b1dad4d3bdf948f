"""Start, stop and forget PostgreSQL, Redis and Solr. Callers hold the lock `exclusive("services")`."""

from __future__ import annotations

import shutil

from services import postgres, processes, redis, solr
from services.checkout import RUN
from services.progress import step
from services.settings import Settings

ANSWERS = {"postgres": postgres.answers, "redis": redis.answers, "solr": solr.answers}
START_SECONDS = 90


def start() -> Settings:
    """Bring the three up; quick when they are."""
    if not any(processes.is_running(name) for name in ANSWERS):
        # Nothing supervised runs, so whatever still does has lost its supervisor and sits on our ports.
        processes.end_orphans()
    saved = Settings.load()
    settings = saved or Settings()
    for name in ANSWERS:
        if not processes.is_running(name):
            settings.settle_port(name)
    settings.save()

    solr_program, solr_changed = solr.prepare(settings)
    processes.declare(postgres.prepare(settings, new_password=saved is None))
    processes.declare(redis.prepare(settings))
    processes.declare(solr_program)
    if solr_changed:
        processes.stop("solr")
    processes.apply()
    with step("PostgreSQL, Redis and Solr"):
        for name in ANSWERS:
            processes.start(name)
        for name, answers in ANSWERS.items():
            processes.wait_until(name, lambda answers=answers: answers(settings), START_SECONDS)
    return settings


def all_answer(settings: Settings) -> bool:
    return all(answers(settings) for answers in ANSWERS.values())


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
