from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from services import lifecycle
from services import settings as settings_module
from services.settings import HOST, PORTS, Settings, is_free


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that another program listens on."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_saved_port_that_is_free_stays():
    settings = Settings()
    settings.settle_port("redis")
    chosen = settings.ports["redis"]
    settings.settle_port("redis")
    assert settings.ports["redis"] == chosen


def test_a_saved_port_that_somebody_took_is_replaced(taken):
    settings = Settings(ports={"redis": taken})
    settings.settle_port("redis")
    assert settings.ports["redis"] != taken
    assert is_free(settings.ports["redis"])


def test_two_services_never_get_one_port(monkeypatch: pytest.MonkeyPatch):
    first = next(port for port in PORTS if is_free(port) and is_free(port + 1))
    monkeypatch.setattr(settings_module, "PORTS", range(first, first + 2))
    settings = Settings()
    for service in ("solr", "redis"):
        settings.settle_port(service)
    assert sorted(settings.ports.values()) == [first, first + 1]


def test_a_listener_on_every_address_takes_the_port_too():
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


def test_services_that_were_never_started_do_not_answer():
    assert not lifecycle.all_answer(Settings())


def test_the_file_is_for_its_owner_only(tmp_path):
    path = tmp_path / "services.json"
    settings = Settings(ports={"redis": 1})
    settings.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {"ports": {"redis": 1}, "password": settings.password}


def test_passwords_differ_and_need_no_quoting():
    one, other = Settings().password, Settings().password
    assert one != other
    assert one.isalnum()
