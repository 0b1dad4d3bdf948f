"""``ckan authz keygen`` and ``ckan authz keys …``"""

from __future__ import annotations

import stat
import subprocess
import time

import freezegun
import pytest

from ckanext.authz_service import config, keys, rotation, tokens

pytestmark = pytest.mark.usefixtures("with_plugins")


@pytest.mark.parametrize(
    ("arguments", "algorithm"),
    [((), "RS256"), (("--algorithm", "ES256"), "ES256"), (("--algorithm", "EdDSA"), "EdDSA")],
)
def test_keygen_makes_a_key_and_says_where(run, without_key, arguments, algorithm):
    result = run("keygen", *arguments)
    assert result.exit_code == 0, result.output
    key = keys.load(without_key)
    assert key.algorithm == algorithm
    for text in (str(without_key / "current.pem"), str(without_key / "current.pub.pem"), key.kid):
        assert text in result.output
    private = (without_key / "current.pem").read_text().splitlines()
    assert not any(line in result.output for line in private)


def test_keygen_does_not_overwrite(run, without_key):
    assert run("keygen", "--algorithm", "EdDSA").exit_code == 0
    before = (without_key / "current.pem").read_bytes()
    result = run("keygen")
    assert result.exit_code != 0
    assert "already a key" in result.output
    assert str(without_key / "current.pem") in result.output
    assert (without_key / "current.pem").read_bytes() == before


def test_keygen_needs_to_know_where(run, ckan_config, monkeypatch):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.keys_dir", None)
    result = run("keygen")
    assert result.exit_code != 0
    assert "ckanext.authz_service.keys_dir" in result.output


@pytest.mark.parametrize(
    ("algorithm", "reason"),
    [("HS256", "each server checking tokens would know"), ("RS512", "jwt_algorithm = RS512")],
)
def test_keygen_says_why_it_refuses_an_algorithm(run, without_key, algorithm, reason):
    result = run("keygen", "--algorithm", algorithm)
    assert result.exit_code != 0
    assert reason in result.output
    assert list(without_key.iterdir()) == []


@pytest.mark.parametrize("algorithm", ["RS384", "EdDSA"])
def test_keygen_makes_the_key_that_the_configuration_asks_for(
    run, without_key, ckan_config, monkeypatch, algorithm
):
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_algorithm", algorithm)
    result = run("keygen")
    assert result.exit_code == 0, result.output
    assert algorithm in result.output
    assert config.signing_key().algorithm == algorithm


# --- keys ------------------------------------------------------------------------------------------------

MINUTE = 60
"""More than the calls of a test take: files have their real times, also when the clock stands still."""


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when told to, or when someone sleeps. Files have their real times."""
    with freezegun.freeze_time(ignore=["_pytest.timing"]) as frozen:
        monkeypatch.setattr(time, "sleep", frozen.tick)
        yield frozen


def said(result):
    assert result.exit_code == 0, result.output
    return result.output


def test_a_rotation_by_running_one_command_again_and_again(run, without_key, clock):
    keys.generate(without_key, "EdDSA")
    old = keys.load(without_key).kid
    text = said(run("keys", "rotate"))
    new = keys.load(without_key, "next").kid
    for part in ("is published", old, new, str(without_key / "next.pub.pem"), "UTC"):
        assert part in text
    assert "Waiting" in said(run("keys", "rotate"))
    assert f"{new}  EdDSA  accepted" in said(run("keys", "list"))
    assert "signs from" in said(run("keys", "list"))

    clock.tick(rotation.MAX_AGE + rotation.SLACK + MINUTE)
    assert f"A new key signs ({new})" in said(run("keys", "rotate"))
    assert "Waiting" in said(run("keys", "rotate"))
    text = said(run("keys", "list"))
    assert f"{new}  EdDSA  signs     {without_key / 'current.pub.pem'}" in text
    assert f"{old}  EdDSA  accepted  {without_key / 'previous.pub.pem'}" in text
    assert "can go from" in text

    clock.tick(config.max_lifetime() + tokens.LEEWAY + rotation.SLACK + MINUTE)
    assert f"retired ({old})" in said(run("keys", "rotate"))
    assert said(run("keys", "list")).count("EdDSA") == 1


def test_a_rotation_in_one_go(run, without_key, clock):
    keys.generate(without_key, "EdDSA")
    old = keys.load(without_key).kid
    began = time.time()
    text = said(run("keys", "rotate", "--wait"))
    assert "All is done" in text
    assert list(keys.verification_keys(without_key)) == [keys.load(without_key).kid] != [old]
    assert time.time() - began > config.max_lifetime() + tokens.LEEWAY


def test_a_job_that_runs_every_hour_begins_when_the_key_has_its_age(run, without_key, clock):
    keys.generate(without_key, "EdDSA")
    text = said(run("keys", "rotate", "--every", "90"))
    assert "Nothing to do" in text
    assert said(run("keys", "rotate", "--every", "90", "--wait")) == text
    clock.tick(90 * 24 * 60 * 60 + MINUTE)
    assert "is published" in said(run("keys", "rotate", "--every", "90"))


def test_a_key_that_leaked(run, without_key):
    keys.generate(without_key, "EdDSA")
    old = keys.load(without_key).kid
    text = said(run("keys", "rotate", "--at-once"))
    new = keys.load(without_key).kid
    assert new != old
    assert list(keys.verification_keys(without_key)) == [new]
    for part in (new, "300 seconds", str(without_key / "current.pub.pem")):
        assert part in text


def test_the_algorithm_changes_with_a_rotation(run, without_key, ckan_config, monkeypatch, clock):
    keys.generate(without_key, "EdDSA")
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_algorithm", "ES256")
    assert config.signing_key().algorithm == "EdDSA"
    said(run("keys", "rotate", "--wait"))
    assert config.signing_key().algorithm == "ES256"


@pytest.mark.parametrize("command", [("list",), ("rotate",), ("rotate", "--at-once")])
def test_without_a_key_they_name_the_command(run, without_key, command):
    result = run("keys", *command)
    assert result.exit_code == 1
    assert "ckan authz keygen" in result.output


# --- a key that is given read-only ------------------------------------------------------------------------


@pytest.fixture
def given(tmp_path, ckan_config, monkeypatch):
    """A container: the directory of its secrets, which it cannot write."""
    keys.generate(tmp_path, "EdDSA")
    (tmp_path / "current.pem").replace(tmp_path / "old.pem")
    (tmp_path / "current.pub.pem").unlink()
    monkeypatch.delitem(ckan_config, "ckanext.authz_service.keys_dir", raising=False)
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_private_key_file", str(tmp_path / "old.pem"))
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_public_key_file", None)
    return tmp_path


def printed_commands(text):
    """The indented lines of the steps that were printed, for a shell."""
    return [line.strip() for line in text.splitlines() if line.startswith("     ")]


def shell(lines, directory):
    subprocess.run(["/bin/sh", "-ec", "\n".join(lines)], cwd=directory, check=True, capture_output=True)


def test_the_steps_that_are_printed_for_a_key_given_read_only(run, given, ckan_config, monkeypatch):
    def configured(option, name):
        monkeypatch.setitem(ckan_config, f"ckanext.authz_service.{option}", str(given / name))

    old = config.signing_key()
    text = said(run("keys", "rotate"))
    assert old.kid in text
    assert "jwt_private_key_file" in text
    shell(printed_commands(text), given)
    new = keys.read_private(given / "new.pem")
    assert stat.S_IMODE((given / "new.pem").stat().st_mode) == 0o600

    configured("jwt_public_key_file", "public.pem")
    assert (config.signing_key().kid, list(config.verification_keys())) == (old.kid, [old.kid, new.kid])
    text = said(run("keys", "rotate"))
    assert f"Also published now: {new.kid}" in text
    assert not any("openssl pkey -in" in line and "old.pem" in line for line in printed_commands(text))
    configured("jwt_private_key_file", "new.pem")
    assert (config.signing_key().kid, list(config.verification_keys())) == (new.kid, [new.kid, old.kid])
    assert f"{old.kid}  EdDSA  accepted  {given / 'public.pem'}" in said(run("keys", "list"))
    configured("jwt_public_key_file", "new.pub.pem")
    assert list(config.verification_keys()) == [new.kid]


@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_the_new_key_is_of_the_same_kind(run, given, tmp_path, ckan_config, monkeypatch, algorithm):
    key = keys.generate(tmp_path / "other", algorithm)
    text = keys.private_path(tmp_path / "other").read_text()
    monkeypatch.setitem(ckan_config, "ckanext.authz_service.jwt_private_key", text)
    steps = said(run("keys", "rotate", "--at-once"))
    assert key.kid in steps
    shell(printed_commands(steps), given)
    assert keys.read_private(given / "new.pem").algorithm == algorithm
    assert keys.read_public(given / "new.pub.pem").kid == keys.read_private(given / "new.pem").kid
