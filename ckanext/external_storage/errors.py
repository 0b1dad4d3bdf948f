"""What can go wrong with stored bytes.

Each error carries its evidence as attributes and the HTTP status (RFC 9110, and the git-lfs API for
507) with which every HTTP face of this plugin answers it: this file is the only such table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType


class StorageError(Exception):
    """Root. ``status`` is the HTTP status, ``str()`` the sentence a user may read, ``code`` the same for
    programs.

    ``headers`` of the answer are for protocols that want some with every error.
    """

    status = 500
    headers: Mapping[str, str] = MappingProxyType({})

    @property
    def code(self) -> str:
        """The name of the class as ``lower_case_words``: part of what clients rely on."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class BadRequest(StorageError):
    """The request itself is malformed."""

    status = 400

    def __init__(self, message: str, status: int = 400):
        super().__init__(message)
        self.status = status


class NotAuthenticated(StorageError):
    """No credential, or one that does not verify."""

    status = 401


class TooManyFailures(StorageError):
    """Too many wrong passwords from one address. ``retry_after``: seconds."""

    status = 429

    def __init__(self, retry_after: int):
        super().__init__(
            f"Too many wrong passwords came from your address. Try again in {retry_after} seconds with an API"
            " token as the password."
        )
        self.retry_after = retry_after
        self.headers = {"Retry-After": str(retry_after)}


class Forbidden(StorageError):
    """The caller may see the dataset but not do this."""

    status = 403


class DatasetNotFound(StorageError):
    """No such dataset for this caller; missing and hidden answer alike."""

    status = 404

    def __init__(self) -> None:
        super().__init__("Dataset not found, or the token does not open it.")


class ObjectNotFound(StorageError):
    """No object with this sha256 belongs to the dataset."""

    status = 404

    def __init__(self, oid: str):
        super().__init__(f"No object {oid} belongs to this dataset. Upload it first.")
        self.oid = oid


class UploadNotFound(StorageError):
    """The upload expired or never existed; asking the batch API again opens a new one."""

    status = 404

    def __init__(self) -> None:
        super().__init__("This upload has ended. Ask the batch API for a new one.")


class LengthRequired(StorageError):
    """A body without Content-Length cannot be checked before it is read (RFC 9110 §15.5.12)."""

    status = 411

    def __init__(self) -> None:
        super().__init__("Send a Content-Length header: chunked uploads are not accepted.")


class WrongOffset(StorageError):
    """Bytes for another place than where the upload has got to. ``offset`` in bytes: where that is."""

    status = 409

    def __init__(self, offset: int):
        super().__init__(f"{offset} bytes have arrived: go on from there.")
        self.offset = offset


class UploadBusy(StorageError):
    """Another connection writes to the same upload, or its bytes are being checked."""

    status = 423

    def __init__(self, message: str = "Another connection goes on with this upload. Ask again in a moment."):
        super().__init__(message)


class BeingChecked(UploadBusy):
    """All bytes are there, and nobody has hashed them yet."""

    def __init__(self):
        super().__init__("All bytes have arrived and are being checked. Ask again in a moment.")


class UploadOver(StorageError):
    """The upload took bytes once and does so no more. ``reason``: a sentence, where there is one."""

    status = 410

    def __init__(self, reason: str | None = None):
        super().__init__(f"{reason or 'This upload has ended.'} Begin a new one.")
        self.reason = reason


class UploadRejected(StorageError):
    """All bytes came, and they are not what may be kept. ``reason``: a sentence."""

    status = 422

    def __init__(self, reason: str):
        super().__init__(f"{reason} Nothing was kept; upload the file again.")
        self.reason = reason


class BytesMissing(StorageError):
    """The upload was said to be complete, and is not."""

    status = 409

    def __init__(self, declared: int, received: int):
        super().__init__(f"{declared} bytes were declared, {received} have arrived. Send the rest first.")
        self.declared = declared
        self.received = received


class HashNeeded(StorageError):
    """The store takes a file whose sha256 is known only."""

    status = 428

    def __init__(self) -> None:
        super().__init__(
            "This site's file server needs to know a file's sha256 before the file is sent: begin again with"
            ' "oid".'
        )


class FileTooLarge(StorageError):
    """More than one file may have. Both in bytes."""

    status = 413

    def __init__(self, size: int, limit: int):
        super().__init__(f"The file has {size} bytes; this site takes files of at most {limit} bytes.")
        self.size = size
        self.limit = limit


class TypeRefused(StorageError):
    """The site does not take files whose names end so. ``ending``: in lower case, without a dot."""

    status = 415

    def __init__(self, ending: str):
        super().__init__(f"This site does not take files whose names end in .{ending}. Nothing was stored.")
        self.ending = ending


class TooManyUploads(StorageError):
    """One user has more unfinished uploads than allowed."""

    status = 429

    def __init__(self, limit: int):
        super().__init__(
            f"You have {limit} unfinished uploads, the most this site allows. Finish or discard some of them"
            " (external_storage_upload_list shows them); those that get no bytes end after a day."
        )
        self.limit = limit


class NoWorker(StorageError):
    """Received bytes wait to be checked, and nobody is there to do it."""

    status = 503

    def __init__(self) -> None:
        super().__init__(
            "The file has arrived and must be checked before it can be used, but no background worker is"
            " running. The site's administrator must start one: ckan jobs worker"
        )


class WrongSize(StorageError):
    """Fewer or more bytes than declared. Sizes are in bytes."""

    def __init__(self, declared: int, received: int):
        super().__init__(f"{declared} bytes were declared, {received} arrived. Nothing was stored.")
        self.declared = declared
        self.received = received
        self.status = 413 if received > declared else 400


class UploadElsewhere(StorageError):
    """The same user is sending the same content in another way, and both would write the same key."""

    status = 409

    def __init__(self) -> None:
        super().__init__(
            "You are uploading this file to the dataset in another way, in a browser perhaps. Finish or"
            " discard that upload, then send again."
        )


class ChecksumMismatch(StorageError):
    """The bytes that arrived are not the declared object."""

    status = 422

    def __init__(self, declared: str, received: str):
        super().__init__(
            f"The bytes have sha256 {received}, not {declared}. Nothing was stored; send the file again."
        )
        self.declared = declared
        self.received = received


class StoreUnavailable(StorageError):
    """The store could not be read or written; the cause is chained and belongs into the log only."""

    status = 503

    def __init__(self) -> None:
        super().__init__("The file store cannot be reached. Nothing was changed; try again later.")


class StoreDenied(StoreUnavailable):
    """The store knows nobody by the site's credential, or does not let it do this."""

    def __init__(self) -> None:
        super().__init__()
        self.args = (
            "The file store refuses the site's access. Nothing was changed; tell the site's administrator"
            " to run: ckan external-storage check",
        )


class AtFormerServer(StoreUnavailable):
    """The bytes are at an external LFS server that the site had before."""

    def __init__(self) -> None:
        super().__init__()
        self.args = (
            "This file is at a server that the site does not use any more, and has not been brought over yet."
            " Whoever has it can upload it again.",
        )


class ServerRefused(StorageError):
    """The external LFS server does not accept what CKAN sends; ``answered`` is its HTTP status."""

    status = 502

    def __init__(self, answered: int, what: str):
        super().__init__(
            f"The site's file server refuses {what} with status {answered}. Its administrator compares the"
            " key it trusts with what `ckan authz giftless-key` prints, and both clocks."
        )
        self.answered = answered


class ServerAnswer(StorageError):
    """The external LFS server answers what no LFS server should. ``problem`` says what."""

    status = 502

    def __init__(self, problem: str):
        super().__init__(f"The site's file server answers in a way that cannot be used: {problem}.")
        self.problem = problem


class ServerKeyMissing(StorageError):
    """CKAN has no key to sign what the external LFS server wants to see; the cause is the key's error."""

    status = 503


class OtherBytesThere(StorageError):
    """The external LFS server has other bytes of the same size where an object belongs."""

    status = 409

    def __init__(self, oid: str):
        super().__init__(
            f"The site's file server has other bytes under {oid} for this dataset, and does not take the"
            " right ones instead. Its administrator must remove them there."
        )
        self.oid = oid


class StoreNotConfigured(StorageError):
    """No place for bytes has been named, or not completely."""

    status = 503

    def __init__(self, advice: str) -> None:
        super().__init__(f"The site has no file store yet. {advice}")


class StoreFull(StorageError):
    """No space left on the store."""

    status = 507

    def __init__(self) -> None:
        super().__init__(
            "The file store is full, and the file is not complete. Tell the site's administrator."
        )


class QuotaExceeded(StorageError):
    """The organisation would have more bytes than it may. All three numbers are bytes."""

    status = 507

    def __init__(self, used: int, limit: int, needed: int):
        super().__init__(
            f"The organisation may keep {limit:,} bytes in the file store; {used:,} are used or promised to"
            f" uploads under way, and {needed:,} more are needed. Nothing was stored. Discard unfinished"
            " uploads, remove files, or ask the site's administrator for a higher quota."
        )
        self.used, self.limit, self.needed = used, limit, needed


class ReferencesUnknown(StorageError):
    """Somebody who may still need files cannot be asked; the cause is chained where there is one."""

    status = 503

    def __init__(self, why: str):
        super().__init__(f"{why} No file was removed.")


class SecretMissing(StorageError):
    """The secret that signs per-object capabilities is not there."""

    status = 503

    def __init__(self, path: str | None):
        set_it = "" if path else "Set ckanext.external_storage.capability_secret_file to a place for it. "
        where = f" in {path}" if path else ""
        super().__init__(f"No capability secret{where}. {set_it}Run: ckan external-storage keygen")
        self.path = path


class SecretUnreadable(StorageError):
    """That secret is there, and is somebody else's."""

    status = 503

    def __init__(self, path: str):
        super().__init__(
            f"The capability secret in {path} cannot be read by the user that this process runs as. Run it as"
            " the user CKAN runs as, or give that user the file."
        )
        self.path = path


class TokensUnusable(StorageError):
    """The site's verification keys cannot be read; the cause is chained and belongs into the log only."""

    status = 503

    def __init__(self) -> None:
        super().__init__("The site cannot check tokens at the moment. Tell its administrator.")


class MetricsMissing(StorageError):
    """The library that counts is not installed."""

    status = 501

    def __init__(self) -> None:
        super().__init__("This server counts nothing. Install ckanext-publish[metrics] and restart it.")
