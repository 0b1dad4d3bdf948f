"""A real giftless on a free port, set up as docs/authz_service_giftless.rst says."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from ckanext.authz_service import giftless as profile
from ckanext.authz_service import keys
from tests.interop import documents, elsewhere
from tests.portal import LFS_JSON

#: giftless names none of its own; these are the ones that its local storage and its JWT provider import.
PACKAGES = (
    "giftless==0.6.2",
    "marshmallow<4",
    "cachetools",
    "cryptography",
    "figcan",
    "flask",
    "flask-classful",
    "flask-marshmallow",
    "pyjwt",
    "python-dateutil",
    "python-dotenv",
    "pyyaml",
    "requests",
    "typing-extensions",
    "webargs",
)
#: Its storage in Azure, or in S3, needs these besides.
ON_AZURE = (*PACKAGES, "azure-storage-blob")
ON_S3 = (*PACKAGES, "boto3>=1.40")
#: And to let browsers send.
FOR_BROWSERS = (*PACKAGES, "wsgi-cors-middleware")

# It ends when its standard input does: however the test run ends, giftless goes with it.
_PROGRAM = """
import sys, threading
from giftless.wsgi_entrypoint import app
from werkzeug.serving import make_server

server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.server_port, flush=True)
threading.Thread(target=server.serve_forever, daemon=True).start()
sys.stdin.read()
"""


def keys_of_a_site(directory: Path) -> Path:
    """In *directory*, which is returned: those of a site whose tokens giftless takes."""
    keys.generate(directory, "ES256")
    keys.generate(directory, profile.ALGORITHM, profile.ROLE)
    return directory


@dataclass(frozen=True)
class Giftless:
    url: str
    #: Where it keeps its files.
    files: Path
    #: Of its process.
    pid: int

    def batch(self, repository: str, token: str, operation: str, *pointers: Any) -> requests.Response:
        """repository: ``<namespace>/<dataset id>``."""
        return requests.post(
            f"{self.url}/{repository}.git/info/lfs/objects/batch",
            data=json.dumps({"operation": operation, "transfers": ["basic"], "objects": pointers}),
            headers={"Authorization": f"Bearer {token}", "Content-Type": LFS_JSON, "Accept": LFS_JSON},
            timeout=30,
        )


def actions(response: requests.Response) -> dict[str, Any]:
    """What a batch about one object lets the client do."""
    assert response.status_code == 200, response.text
    (answer,) = response.json()["objects"]
    assert "error" not in answer, answer
    return answer["actions"]


@contextmanager
def running(
    public_key: Path,
    directory: Path,
    action_lifetime: int = 60,
    on_azure: str | None = None,
    on_s3: str | None = None,
    for_pages: str | None = None,
) -> Iterator[Giftless]:
    """action_lifetime: what it says of its actions, in seconds.

    on_azure, on_s3: the part of its configuration (YAML) that has it keep files there; for_pages: that by
    which it lets pages send to it.
    """
    packages = ON_AZURE if on_azure else ON_S3 if on_s3 else FOR_BROWSERS if for_pages else PACKAGES
    configuration = documents.filled_in(
        documents.example("authz_service_giftless", "giftless.yaml"),
        {
            "/etc/giftless/giftless.pub.pem": str(public_key),
            "a-long-random-secret-of-its-own": secrets.token_hex(),
            "/var/lib/giftless": str(directory / "files"),
        },
    )
    settings = yaml.safe_load(configuration)
    settings |= yaml.safe_load(on_azure or on_s3 or for_pages or "{}")
    settings["TRANSFER_ADAPTERS"]["basic"]["options"]["action_lifetime"] = action_lifetime
    log = directory / "giftless.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [elsewhere.python(*packages), "-c", _PROGRAM],
            cwd=directory,
            env={**os.environ, "GIFTLESS_CONFIG_STR": yaml.safe_dump(settings)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdin
    assert process.stdout
    port = process.stdout.readline().strip()
    assert port, log.read_text()[-3000:]
    try:
        yield Giftless(f"http://127.0.0.1:{port}", directory / "files", process.pid)
    finally:
        process.stdin.close()
        process.wait(timeout=30)
