from __future__ import annotations

import sys

import pytest

from services import progress
from services.progress import Failure


def test_a_failed_program_tells_its_last_words_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG", tmp_path)
    code = "print('first'); [print(n) for n in range(100)]; raise SystemExit('the disk is full')"
    with pytest.raises(Failure) as caught:
        progress.run([sys.executable, "-c", code], log="step", advice="make room.")
    told = str(caught.value)
    assert "ended with status 1" in told
    assert "the disk is full" in told
    assert "first" not in told
    assert told.endswith("What to do: make room.")


def test_the_password_of_a_url_in_a_log_is_not_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "LOG", tmp_path)
    monkeypatch.setattr(progress, "_passwords", set())
    progress.hide_password("http://ckan:a:b@c@host/solr")
    log = tmp_path / "step.log"
    log.write_text("No answer from http://ckan:a:b@c@host/solr, user ckan.")
    told = str(Failure("It failed.", "try again.", log))
    assert "a:b@c" not in told
    assert "http://ckan:***@host/solr, user ckan." in told


def test_a_step_is_one_line_with_its_seconds(capsys):
    with progress.step("Counting"):
        pass
    assert capsys.readouterr().out == "Counting … 0.0 s\n"


def test_a_failed_step_is_one_line_too(capsys):
    with pytest.raises(ZeroDivisionError), progress.step("Dividing"):
        _ = 1 / 0
    assert capsys.readouterr().out == "Dividing … failed\n"
