"""Ports and password of the services, chosen at the first start and kept in ``.run/services.json``."""

from __future__ import annotations

import json
import random
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path

from services.checkout import RUN, write_private
from services.progress import Failure

PATH = RUN / "services.json"
#: Below the range from which the system gives outgoing connections a port at any moment.
PORTS = range(20000, 32000)
HOST = "127.0.0.1"


@dataclass
class Settings:
    ports: dict[str, int] = field(default_factory=dict)
    #: One secret for all of them. Hexadecimal, so that it needs no quoting in a URL or an ini file.
    password: str = field(default_factory=lambda: secrets.token_hex(16))

    @classmethod
    def load(cls) -> Settings | None:
        """What the last start saved; None before the first."""
        try:
            saved = json.loads(PATH.read_text())
        except FileNotFoundError:
            return None
        return cls(ports=saved["ports"], password=saved["password"])

    def save(self, path: Path = PATH) -> None:
        write_private(path, json.dumps(asdict(self), indent=2) + "\n")

    def settle_port(self, service: str) -> None:
        """Make sure that ``service``, which is not running now, has a port that it can open."""
        others_of_ours = {port for name, port in self.ports.items() if name != service}
        saved = [self.ports[service]] if service in self.ports else []
        # At random, so that two checkouts that start at the same time do not choose alike.
        for port in saved + random.sample(PORTS, min(100, len(PORTS))):
            if port not in others_of_ours and is_free(port):
                self.ports[service] = port
                return
        raise Failure(
            f"No free port was found for {service} on {HOST}.",
            f"see which programs hold those from {PORTS.start} to {PORTS.stop} (`ss -ltnp`).",
        )

    def database_url(self, database: str) -> str:
        return f"postgresql://ckan:{self.password}@{HOST}:{self.ports['postgres']}/{database}"

    def redis_url(self, number: int) -> str:
        return f"redis://:{self.password}@{HOST}:{self.ports['redis']}/{number}"

    def solr_url(self) -> str:
        return f"http://{HOST}:{self.ports['solr']}/solr/ckan"


def is_free(port: int, host: str = HOST) -> bool:
    with socket.socket() as probe:
        # As the servers do: a port whose last connections are still fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
