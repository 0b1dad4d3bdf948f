"""How S3 is reached: settings, one client per process, errors without secrets.

Nothing here touches the network or reads a credential before the first call.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from ckanext.external_storage import errors
from ckanext.external_storage.storage.s3_signing import Signer

#: S3's error codes, and those of servers that speak its protocol.
FULL = {"QuotaExceeded", "InsufficientCapacity", "XMinioStorageFull", "ServiceQuotaExceeded"}
DENIED = {
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "403",  # the answer to a HEAD has no body that could tell more
}
#: How long a store may be silent, in seconds, before it is asked again. To join the parts of a large
#: object, a server may copy them all.
MOVING, ASKING = 60, 10


@dataclass(frozen=True)
class Settings:
    """Where the bucket is. What is None comes from the platform (environment, profile, role)."""

    bucket: str
    prefix: str = ""
    region: str | None = None
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    addressing_style: str = "auto"
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)


class Failure(Exception):
    """What S3 answered: operation, code and HTTP status. Of an address nothing, which can hold secrets."""


class Connection:
    """The clients of one process; a forked child makes its own, because sockets cannot be shared."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self._made: tuple[int, Any, Any, Signer] | None = None

    @property
    def client(self) -> Any:
        """For requests that bring, fetch or join bytes."""
        return self._mine()[1]

    @property
    def asking(self) -> Any:
        """For all others: somebody waits for the answer."""
        return self._mine()[2]

    @property
    def signer(self) -> Signer:
        return self._mine()[3]

    def _mine(self) -> tuple[int, Any, Any, Signer]:
        # Two threads may both make one; either serves.
        made = self._made
        if made is None or made[0] != os.getpid():
            with store_errors("connect"):
                made = self._made = (os.getpid(), *self._make())
        return made

    def _make(self) -> tuple[Any, Any, Signer]:
        # At DEBUG these write signatures and addresses with them into the log.
        for name in ("botocore", "urllib3.connectionpool"):
            logger = logging.getLogger(name)
            logger.setLevel(max(logger.level, logging.INFO))
        settings = self.settings
        session = botocore.session.get_session()
        if settings.access_key_id and settings.secret_access_key:
            session.set_credentials(settings.access_key_id, settings.secret_access_key)
        client = self._client(session, settings.endpoint_url, MOVING)
        asking = self._client(session, settings.endpoint_url, ASKING)
        public = client
        if settings.public_endpoint_url and settings.public_endpoint_url != settings.endpoint_url:
            public = self._client(session, settings.public_endpoint_url, ASKING)
        return client, asking, Signer(session.get_credentials(), client.meta.region_name, self._base(public))

    def _client(self, session: botocore.session.Session, endpoint_url: str | None, read_timeout: int) -> Any:
        region = self.settings.region or session.get_config_variable("region") or "us-east-1"
        style = self.settings.addressing_style
        if style == "auto":
            # botocore's own "auto" signs addresses of S3 as a whole, which redirects to the region.
            style = "path" if endpoint_url else "virtual"
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": style},
            connect_timeout=5,
            read_timeout=read_timeout,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=50,
            # Newer checksums are not known to every server; what we send is signed with its SHA-256.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return session.create_client("s3", region_name=region, endpoint_url=endpoint_url, config=config)

    def _base(self, client: Any) -> str:
        """The bucket's address for clients, by botocore's own rules of regions and styles."""
        address = client.generate_presigned_url("get_object", {"Bucket": self.settings.bucket, "Key": "k"})
        return address.partition("?")[0].removesuffix("k")


@contextlib.contextmanager
def store_errors(operation: str) -> Iterator[None]:
    """Turn every failure of botocore into one of ours, with a cause that is safe to log."""
    try:
        yield
    except ClientError as error:
        raised, told = _of_answer(error), f"{operation}: {code_of(error)}, HTTP status {status_of(error)}"
    except (NoCredentialsError, PartialCredentialsError) as error:
        raised, told = errors.StoreDenied(), f"{operation}: {type(error).__name__}"
    # ValueError is how botocore refuses an endpoint that is no address.
    except (BotoCoreError, OSError, ValueError) as error:
        raised, told = errors.StoreUnavailable(), f"{operation}: {type(error).__name__}"
    else:
        return
    raise raised from Failure(told)


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _of_answer(error: ClientError) -> errors.StorageError:
    if code_of(error) in FULL or status_of(error) == 507:
        return errors.StoreFull()
    if code_of(error) in DENIED:
        return errors.StoreDenied()
    return errors.StoreUnavailable()
