"""A real Azurite, Microsoft's emulator of Azure's blob storage, on a free port; from npm at the first run."""

from __future__ import annotations

import base64
import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

from tests.external_storage import standalone
from tests.interop import elsewhere

VERSION = "3.35.0"
_ACCOUNT = "portal"


@contextlib.contextmanager
def running(directory: Path) -> Iterator[str]:
    """The connection string of its one account."""
    key, port = base64.b64encode(secrets.token_bytes(64)).decode(), standalone.free_port()
    program = elsewhere.node(f"azurite@{VERSION}") / "node_modules" / "azurite" / "dist/src/blob/main.js"
    command = [str(elsewhere.NODE), str(program), "--silent", "--disableTelemetry"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(directory / "blobs")]
    # The client libraries speak newer versions of the protocol than it knows.
    command += ["--skipApiVersionCheck"]
    log = directory / "azurite.log"
    with standalone.running(command, log, AZURITE_ACCOUNTS=f"{_ACCOUNT}:{key}"):
        standalone.wait_for(port, log)
        yield (
            f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={key};"
            f"BlobEndpoint=http://127.0.0.1:{port}/{_ACCOUNT}"
        )
