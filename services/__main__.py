"""``python -m services start [service …] | stop | clean``."""

from __future__ import annotations

import argparse

from services import lifecycle
from services.checkout import exclusive
from services.progress import Failure, exit_with


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start")
    start.add_argument("service", nargs="*", choices=[*lifecycle.TITLES, []], help="all that tests need")
    commands.add_parser("stop")
    commands.add_parser("clean")
    given = parser.parse_args()
    try:
        with exclusive("services"):
            if given.command == "start":
                lifecycle.start(given.service or lifecycle.TESTS)
            elif given.command == "stop":
                lifecycle.stop()
            else:
                lifecycle.clean()
    except Failure as failure:
        exit_with(failure)


if __name__ == "__main__":
    main()
