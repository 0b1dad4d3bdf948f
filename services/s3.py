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
    directory = _directory("s3")
    command = versitygw_command(f"{HOST}:{settings.ports['s3']}", directory)
    return Program("s3", command, directory, environment=versitygw_keys(settings))


def versitygw_command(address: str, directory: Path, *options: str) -> list[str]:
    """Serve what is below *directory*."""
    objects, versions, attributes = (directory / part for part in ("objects", "versions", "attributes"))
    for part in (objects, versions, attributes):
        part.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [
        _program("versitygw"),
        *("--port", address, "--quiet", *options),
        # What it knows of a file lies beside it: not every file system has extended attributes.
        *("posix", "--versioning-dir", str(versions), "--sidecar", str(attributes), str(objects)),
    ]


def versitygw_keys(settings: Settings) -> dict[str, str]:
    return {"ROOT_ACCESS_KEY": ACCESS_KEY, "ROOT_SECRET_KEY": settings.password}


def minio(settings: Settings) -> Program:
    directory = _directory("minio")
    objects = directory / "objects"
    objects.mkdir(mode=0o700, exist_ok=True)
    address = f"{HOST}:{settings.ports['minio']}"
    command = [_program("minio"), "server", "--quiet", "--address", address, str(objects)]
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


def _directory(name: str) -> Path:
    directory = RUN / name
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
