"""S3 servers for tests: versitygw, which refuses what S3 refuses, and MinIO as a second opinion on demand."""

from __future__ import annotations

import socket
from pathlib import Path

from services import go_programs
from services.checkout import RUN
from services.processes import Program
from services.progress import Failure
from services.settings import HOST, Settings

ACCESS_KEY = "ckanext-publish"


def versitygw(settings: Settings) -> Program:
    directory = _directory("s3", "objects", "versions", "attributes")
    command = [
        _program("versitygw"),
        *("--port", f"{HOST}:{settings.ports['s3']}", "--quiet"),
        # What it knows of a file lies beside it: not every file system has extended attributes.
        *(
            "posix",
            "--versioning-dir",
            str(directory / "versions"),
            "--sidecar",
            str(directory / "attributes"),
        ),
        str(directory / "objects"),
    ]
    keys = {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": settings.password}
    return Program("s3", command, directory, environment=keys)


def minio(settings: Settings) -> Program:
    directory = _directory("minio", "objects")
    address = f"{HOST}:{settings.ports['minio']}"
    command = [_program("minio"), "server", "--quiet", "--address", address, str(directory / "objects")]
    environment = {
        "MINIO_ROOT_USER": ACCESS_KEY,
        "MINIO_ROOT_PASSWORD": settings.password,
        "MINIO_BROWSER": "off",
        "MINIO_UPDATE": "off",
    }
    return Program("minio", command, directory, environment=environment)


def versitygw_answers(settings: Settings) -> bool:
    return _listens(settings.ports["s3"])


def minio_answers(settings: Settings) -> bool:
    return _listens(settings.ports["minio"])


def _program(name: str) -> str:
    path = go_programs.path(name)
    if not path.exists():
        raise Failure(
            f"{name}, an S3 server for tests, has not been built on this machine.",
            "run `make install` for versitygw, `make test-s3-minio` for MinIO.",
        )
    return str(path)


def _directory(name: str, *below: str) -> Path:
    for part in below:
        (RUN / name / part).mkdir(mode=0o700, parents=True, exist_ok=True)
    return RUN / name


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
