"""Bring the demo site up on running services, fill it, play the story, say how to get in. See `make demo`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from demo import accounts, given, place, samples, site
from demo.client import Client, Refused
from demo.place import Place
from demo.site import Address
from services import ini, lifecycle
from services.checkout import LOG, ROOT, exclusive, write_private
from services.progress import Failure, exit_with, run, step


def main() -> None:
    address = _address()
    urls = given.take()
    if urls:
        with step(f"Given: {', '.join(lifecycle.TITLES[service] for service in urls)}"):
            given.check(urls)
    with exclusive("services"):
        settings = lifecycle.start([name for name in lifecycle.CKAN if name not in urls])
    with exclusive("demo"):
        here = place.find(settings, urls)
        site.bring_up(here, address)
        with step("Users and organisation"), _told_with_the_site_log():
            people = accounts.ensure(here, address)
        with step("Sample datasets"), _told_with_the_site_log():
            samples.publish_all(Client(address.url, address.lfs, people["editor"]["token"]), people["org"])
            _publish_before(here, people["org"], people["editor"]["name"])
        _play_story()
    _print_entrance(address, people)


def _address() -> Address:
    host, port = os.environ.get("DEMO_HOST", "127.0.0.1"), os.environ.get("DEMO_PORT", "5050")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise Failure(
            f"DEMO_PORT is {port!r}, which is no port.", "choose a number, as in: make demo DEMO_PORT=5050"
        )
    return Address(host, int(port))


@contextmanager
def _told_with_the_site_log() -> Iterator[None]:
    try:
        yield
    except (Refused, requests.RequestException) as error:
        raise Failure(
            str(error),
            "the site's log above should show the reason. What was done stays, `make demo` goes on.",
            LOG / "site.log",
        ) from None


def _publish_before(place: Place, org: str, editor: str) -> None:
    """A dataset whose file CKAN's own FileStore took in, with our plugins switched off."""
    without = place.directory / "before.ini"
    write_private(without, ini.text({"ckan.plugins": ""}, base=place.ini))
    run(
        [sys.executable, "-m", "demo.before", samples.BEFORE.stem, samples.BEFORE, org, editor],
        log="demo-before",
        advice="the traceback above shows why CKAN did not take the file.",
        environment={**os.environ, "CKAN_INI": str(without)},
    )


def _play_story() -> None:
    print("\nThe story:", flush=True)
    if subprocess.run([sys.executable, "-m", "demo.story"], cwd=ROOT, check=False).returncode:
        raise Failure(
            "The story did not come to its end; its last line names the step.",
            "the site runs on, and its log above may show the reason. `make demo` plays the story again.",
            LOG / "site.log",
        )


def _print_entrance(address: Address, people: dict[str, Any]) -> None:
    print(f"\nThe site runs at {address.url}")
    for role, name in accounts.NAMES.items():
        print(f"  {role:<9} log in as {name:<7} with {people[role]['password']}")
    print("API tokens, and all this for scripts: .run/demo.json")
    print("`make stop` ends the site, `make clean` forgets it.")


if __name__ == "__main__":
    try:
        main()
    except Failure as failure:
        exit_with(failure)
