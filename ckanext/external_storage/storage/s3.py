"""Objects in a bucket of S3, or of any server that speaks S3's protocol."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hashlib
import io
import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import IO, Any, cast

from botocore.exceptions import ClientError

from ckanext.external_storage import errors
from ckanext.external_storage.storage import s3_examining
from ckanext.external_storage.storage.base import Part, Readable, Signed, Stat, check_key, key_for, read_from
from ckanext.external_storage.storage.probe import Finding
from ckanext.external_storage.storage.s3_connection import (
    Connection,
    Failure,
    Settings,
    code_of,
    status_of,
    store_errors,
)
from ckanext.external_storage.storage.s3_reading import S3Reader

MIB = 1 << 20
GIB = 1 << 30
CONTENT_TYPE = "application/octet-stream"
#: What a store answers to If-None-Match: the key is taken, or was being taken at the same moment.
TAKEN = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
OPTION = "ckanext.external_storage.s3."
STYLES = ("auto", "path", "virtual")


def from_options(options: Mapping[str, Any]) -> S3Store:
    """The one store of this process for these options. Raises StoreNotConfigured; asks nobody."""
    given = {name: str(options.get(OPTION + name) or "").strip() for name in Settings.__dataclass_fields__}
    if not given["bucket"]:
        raise errors.StoreNotConfigured(f"Set {OPTION}bucket to the name of the bucket.")
    if bool(given["access_key_id"]) != bool(given["secret_access_key"]):
        raise errors.StoreNotConfigured(
            f"Set both {OPTION}access_key_id and {OPTION}secret_access_key, or neither of them."
        )
    given["addressing_style"] = given["addressing_style"] or "auto"
    if given["addressing_style"] not in STYLES:
        raise errors.StoreNotConfigured(f"Set {OPTION}addressing_style to one of: {', '.join(STYLES)}.")
    for name in ("endpoint_url", "public_endpoint_url"):
        if given[name] and not given[name].startswith(("http://", "https://")):
            raise errors.StoreNotConfigured(f"Set {OPTION}{name} to an address with http:// or https://.")
    prefix = given["prefix"].strip("/")
    given["prefix"] = f"{prefix}/" if prefix else ""
    needed = ("bucket", "prefix", "addressing_style")
    return _store(Settings(**{k: v if k in needed else v or None for k, v in given.items()}))  # type: ignore[arg-type]


@functools.cache
def _store(settings: Settings) -> S3Store:
    return S3Store(settings)


class S3Store:
    """`base.SigningStore` on S3.

    Every write is conditional on the key being free. A small object is one PUT with its SHA-256, which the
    store checks; a large one is a multipart upload, whose parts nobody sees before it is complete.
    """

    put_limit = 5 * GIB
    #: What S3 promised for long and other servers still do.
    object_limit = 5 * 1024 * GIB

    def __init__(self, settings: Settings):
        self.settings = settings
        self.connection = Connection(settings)

    def __repr__(self) -> str:
        return f"S3Store({self.settings.bucket!r}, prefix={self.settings.prefix!r})"

    # --- base.ObjectStore ---

    def put(self, key: str, source: Readable, size: int, oid: str | None) -> str:
        where, pieces = self._where(key), _Pieces(source, size, oid, self.part_size(size))
        if size <= pieces.length:
            data = next(iter(pieces))
            wrote = self._create(
                "PutObject",
                self._client.put_object,
                **where,
                Body=data,
                ContentType=CONTENT_TYPE,
                ChecksumSHA256=_base64(pieces.sha256),
            )
        else:
            wrote = self._put_parts(where, pieces)
        if not wrote and not self._holds(key, size, pieces.sha256):
            raise errors.StoreUnavailable from Failure("PutObject: the key holds other bytes")
        return pieces.sha256

    def _put_parts(self, where: dict[str, str], pieces: _Pieces) -> bool:
        """Hashed while the parts are sent; completed only if the bytes were right."""
        upload = self._begin(where)
        try:
            parts = []
            for number, data in enumerate(pieces, 1):
                with store_errors("UploadPart"):
                    sent = self._client.upload_part(**upload, PartNumber=number, Body=data)
                parts.append({"PartNumber": number, "ETag": sent["ETag"]})
            wrote = self._create(
                "CompleteMultipartUpload",
                self._client.complete_multipart_upload,
                **upload,
                MultipartUpload={"Parts": parts},
            )
        except BaseException:
            # What went wrong is told, not that there was no tidying up: delete_unfinished does it later.
            with contextlib.suppress(errors.StorageError):
                self._abort(upload)
            raise
        if not wrote:
            self._abort(upload)
        return wrote

    def _create(self, operation: str, call: Any, **arguments: Any) -> bool:
        """Whether the key was free and has the object now; False when it was taken."""
        with store_errors(operation):
            try:
                call(**arguments, IfNoneMatch="*")
            except ClientError as error:
                if code_of(error) not in TAKEN:
                    raise
                return False
        return True

    def _holds(self, key: str, size: int, oid: str) -> bool:
        found = self.stat(key)
        if found is None or found.size != size:
            return False
        if found.sha256 is None:
            digest = hashlib.sha256()
            with self.open(key) as file:
                while chunk := file.read(MIB):
                    digest.update(chunk)
            return digest.hexdigest() == oid
        return found.sha256 == oid

    def open(self, key: str) -> IO[bytes]:
        found = self.stat(key)
        if found is None:
            raise errors.StoreUnavailable from Failure("HeadObject: there is no such object")
        where = self._where(key)

        def get(start: int) -> Any:
            return self._client.get_object(**where, Range=f"bytes={start}-", IfMatch=found.etag)["Body"]

        return cast("IO[bytes]", io.BufferedReader(S3Reader(get, found.size), MIB))

    def stat(self, key: str) -> Stat | None:
        where = self._where(key)
        with store_errors("HeadObject"):
            try:
                head = self.connection.asking.head_object(**where, ChecksumMode="ENABLED")
            except ClientError as error:
                if status_of(error) == 404:
                    return None
                raise
        return Stat(head["ContentLength"], head["ETag"], _sha256_of(head), _defect_of(head))

    def delete(self, key: str) -> None:
        where = self._where(key)
        with store_errors("DeleteObject"):
            deleted = self.connection.asking.delete_object(**where)
        # Only a bucket with versions answers so; there the bytes are still kept.
        if deleted.get("DeleteMarker") or deleted.get("VersionId"):
            with store_errors("DeleteObject (versions)"):
                for version in self._versions(where):
                    self.connection.asking.delete_object(**where, VersionId=version)
        for upload in self._unfinished(where["Key"]):
            if upload["Key"] == where["Key"]:
                self._abort(self._named(upload))

    def _versions(self, where: dict[str, str]) -> list[str]:
        pages = self.connection.asking.get_paginator("list_object_versions").paginate(
            Bucket=where["Bucket"], Prefix=where["Key"]
        )
        return [
            version["VersionId"]
            for page in pages
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if version["Key"] == where["Key"]
        ]

    def delete_unfinished(self, older_than: datetime) -> int:
        old = [u for u in self._unfinished(self.settings.prefix) if u["Initiated"] < older_than]
        for upload in old:
            self._abort(self._named(upload))
        return len(old)

    def _unfinished(self, prefix: str) -> list[dict[str, Any]]:
        with store_errors("ListMultipartUploads"):
            pages = self.connection.asking.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.settings.bucket, Prefix=prefix
            )
            return [upload for page in pages for upload in page.get("Uploads", [])]

    def _named(self, upload: Mapping[str, Any]) -> dict[str, str]:
        return {"Bucket": self.settings.bucket, "Key": upload["Key"], "UploadId": upload["UploadId"]}

    # --- base.SigningStore ---

    def sign_put(self, key: str, oid: str, size: int, lifetime: timedelta) -> Signed:
        headers = {
            "Content-Length": str(size),
            "Content-Type": CONTENT_TYPE,
            "If-None-Match": "*",
            "x-amz-checksum-sha256": _base64(oid),
        }
        return self._sign("PUT", key, lifetime, headers)

    def sign_get(self, key: str, content_type: str, content_disposition: str, lifetime: timedelta) -> Signed:
        query = {
            "response-cache-control": "private, no-store",
            "response-content-disposition": content_disposition,
            "response-content-encoding": "identity",
            "response-content-type": content_type,
        }
        return self._sign("GET", key, lifetime, query=query)

    def part_size(self, size: int) -> int:
        # 10,000 parts are the limit; some room is left.
        return max(16 * MIB, -(-size // 9000))

    def begin_multipart(self, key: str) -> str:
        return self._begin(self._where(key))["UploadId"]

    def _begin(self, where: dict[str, str]) -> dict[str, str]:
        with store_errors("CreateMultipartUpload"):
            begun = self.connection.asking.create_multipart_upload(**where, ContentType=CONTENT_TYPE)
        return {**where, "UploadId": begun["UploadId"]}

    def sign_part(self, key: str, store_ref: str, number: int, size: int, lifetime: timedelta) -> Signed:
        query = {"partNumber": str(number), "uploadId": store_ref}
        headers = {"Content-Length": str(size)}
        return self._sign("PUT", key, lifetime, headers, query)

    def list_parts(self, key: str, store_ref: str) -> list[Part]:
        return self._list_parts({**self._where(key), "UploadId": store_ref})

    def _list_parts(self, upload: dict[str, str]) -> list[Part]:
        with store_errors("ListParts"):
            try:
                pages = list(self.connection.asking.get_paginator("list_parts").paginate(**upload))
            except ClientError as error:
                if code_of(error) != "NoSuchUpload":
                    raise
                raise errors.UploadNotFound from None
        return [Part(p["PartNumber"], p["Size"], p["ETag"]) for page in pages for p in page.get("Parts", [])]

    def complete_multipart(self, key: str, store_ref: str, size: int) -> Stat:
        upload = {**self._where(key), "UploadId": store_ref}
        try:
            parts = self._list_parts(upload)
        except errors.UploadNotFound:
            # The answer to an earlier call was lost perhaps: then the object is there.
            return self._completed(key, size)
        if (arrived := sum(part.size for part in parts)) != size:
            raise errors.WrongSize(size, arrived)
        with store_errors("CompleteMultipartUpload"):
            try:
                self._client.complete_multipart_upload(
                    **upload,
                    MultipartUpload={"Parts": [{"PartNumber": p.number, "ETag": p.etag} for p in parts]},
                    IfNoneMatch="*",
                )
            except ClientError as error:
                # Somebody completed it between our two calls.
                if code_of(error) not in TAKEN | {"NoSuchUpload"}:
                    raise
        return self._completed(key, size)

    def _completed(self, key: str, size: int) -> Stat:
        found = self.stat(key)
        if found is None or found.size != size:
            raise errors.UploadNotFound
        return found

    def abort_multipart(self, key: str, store_ref: str) -> None:
        self._abort({**self._where(key), "UploadId": store_ref})

    def _abort(self, upload: dict[str, str]) -> None:
        """A part that was on its way during an abort can arrive after it: until nothing is listed."""
        for _ in range(5):
            with store_errors("AbortMultipartUpload"):
                try:
                    self.connection.asking.abort_multipart_upload(**upload)
                except ClientError as error:
                    if code_of(error) != "NoSuchUpload":
                        raise
            try:
                if not self._list_parts(upload):
                    return
            except errors.UploadNotFound:
                return
        raise errors.StoreUnavailable from Failure("AbortMultipartUpload: parts keep arriving")

    # --- probe.Examinable ---

    def examine(self, origins: list[str]) -> list[Finding]:
        signed = self.sign_put(key_for(None, str(uuid.uuid4())), "0" * 64, 0, timedelta(minutes=1))
        return s3_examining.examine(self._client, self.settings.bucket, signed, origins)

    # --- what all of them need ---

    def _sign(
        self,
        method: str,
        key: str,
        lifetime: timedelta,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Signed:
        name = self._where(key)["Key"]
        with store_errors("sign"):
            return self.connection.signer.sign(method, name, lifetime, headers, query)

    @property
    def _client(self) -> Any:
        return self.connection.client

    def _where(self, key: str) -> dict[str, str]:
        return {"Bucket": self.settings.bucket, "Key": self.settings.prefix + check_key(key)}


class _Pieces:
    """*size* bytes of *source*, *length* at a time; the last one comes only if all of them hash to *oid*.

    Of nothing there is one piece, too. ``sha256`` is of what has come.
    """

    def __init__(self, source: Readable, size: int, oid: str | None, length: int):
        self.length = length
        self._source = source
        self._size = size
        self._oid = oid
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        left = self._size
        while True:
            piece = bytearray()
            while left and len(piece) < self.length:
                chunk = read_from(self._source, min(MIB, left, self.length - len(piece)), self._size, left)
                if not chunk:
                    raise errors.WrongSize(self._size, self._size - left)
                piece += chunk
                left -= len(chunk)
            self._digest.update(piece)
            if not left and self._oid is not None and self._oid != self.sha256:
                raise errors.ChecksumMismatch(self._oid, self.sha256)
            yield bytes(piece)
            if not left:
                return


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _sha256_of(head: Mapping[str, Any]) -> str | None:
    """Only FULL_OBJECT is the checksum of the bytes; that of a multipart upload is one of checksums."""
    if head.get("ChecksumType") != "FULL_OBJECT" or "ChecksumSHA256" not in head:
        return None
    return binascii.a2b_base64(head["ChecksumSHA256"]).hex()


def _defect_of(head: Mapping[str, Any]) -> str | None:
    """A client can add headers to a signed PUT that the signature says nothing of."""
    if head.get("ContentEncoding"):
        return "It was sent with a Content-Encoding, so readers would get other bytes. Send it without."
    if head.get("WebsiteRedirectLocation"):
        return "It was sent with a redirect to another address. Send it without."
    return None
