"""``python -m services start | stop | clean``."""

from __future__ import annotations

import argparse

from services import lifecycle
from services.checkout import exclusive
from services.progress import Failure, exit_with

COMMANDS = {"start": lifecycle.start, "stop": lifecycle.stop, "clean": lifecycle.clean}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services")
    parser.add_argument("command", choices=COMMANDS)
    command = COMMANDS[parser.parse_args().command]
    try:
        with exclusive("services"):
            command()
    except Failure as failure:
        exit_with(failure)


if __name__ == "__main__":
    main()
