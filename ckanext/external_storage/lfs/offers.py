"""The batch API (git-lfs docs/api/batch.md): a caller asks about objects and gets a capability for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import Any, NamedTuple

import sqlalchemy as sa
from werkzeug.wrappers import Request, Response

from ckanext.external_storage import errors
from ckanext.external_storage.lfs import batch, callers, datasets, forwarding
from ckanext.external_storage.lfs.access import Access
from ckanext.external_storage.lfs.batch import Pointer
from ckanext.external_storage.lfs.capability import Capability
from ckanext.external_storage.lfs.messages import answer, body, now
from ckanext.external_storage.lfs.settings import Settings
from ckanext.external_storage.storage.base import AppendingStore, ObjectStore, ServerStore, SigningStore
from ckanext.external_storage.transfer import beginning, links, uploads
from ckanext.external_storage.transfer.uploads import Upload

#: How long a transfer may take to begin.
LIFETIME = timedelta(minutes=15)

#: This transaction is committed without waiting for the disk; those that follow it wait for it, too.
_WITHOUT_WAITING = sa.text("SET LOCAL synchronous_commit TO off")


def batch_objects(settings: Settings, request: Request, organization: str, dataset: str) -> Response:
    caller = callers.caller(settings, request)
    message = batch.parse_request(body(request))
    oids = {pointer.oid for pointer in message.pointers}
    with callers.opened(settings, caller, organization, dataset, oids) as (connection, found, granted):
        if message.operation == "upload" and not granted.write:
            raise callers.no_writing(caller)
        store = settings.store()
        transfer = batch.choose_transfer(message, isinstance(store, AppendingStore))
        offer = _Offer(settings, store, found, granted, transfer, settings.secret(), now() + LIFETIME)
        # All that the database is asked; the signatures are made when its connection is back.
        if message.operation == "upload":
            opened = offer.open(connection, {pointer.oid: pointer.size for pointer in message.pointers})
            answer_one = partial(offer.upload, opened)
        else:
            answer_one = partial(offer.download, offer.readable(connection, oids))
    answers = {pointer: answer_one(pointer) for pointer in message.pointers}
    if isinstance(store, ServerStore):
        forwarding.forward(settings, store, granted.user_id, found.id, answers)
    objects = [answers[item] if isinstance(item, Pointer) else item for item in message.objects]
    return answer({"transfer": transfer, "objects": objects, "hash_algo": "sha256"})


@dataclass(frozen=True)
class _Opened:
    """Of the oids of a batch: sizes (bytes) of what need not be sent, an upload for each other one, or why
    there is none: some of a batch may not fit."""

    here: Mapping[str, int]
    uploads: Mapping[str, Upload]
    refused: Mapping[str, errors.StorageError]


@dataclass(frozen=True)
class _Offer:
    """``until``: when what is offered ends, but for the word that a file has arrived."""

    settings: Settings
    store: ObjectStore
    dataset: datasets.Dataset
    granted: Access
    transfer: str
    secret: bytes
    until: datetime

    def readable(self, connection: sa.Connection, oids: Collection[str]) -> dict[str, int]:
        """Those of *oids* that the caller may read: oid → bytes."""
        with connection.begin():
            here = links.linked(connection, self.dataset.id, oids)
            readable = set(here) if self.granted.write else set(self.granted.read_oids)
            if self.granted.read_current and not self.granted.write:
                readable |= datasets.current_oids(connection, self.dataset)
        return {oid: stored.size for oid, stored in here.items() if oid in readable}

    def download(self, readable: Mapping[str, int], pointer: Pointer) -> dict[str, Any]:
        if readable.get(pointer.oid) != pointer.size:
            text = "The dataset has no such object that you may read."
            return batch.object_error(pointer.oid, pointer.size, 404, text)
        action = self._action("GET", f"{self._href}/{pointer.oid}", pointer, self._end)
        return batch.object_actions(pointer, {"download": action})

    def upload(self, opened: _Opened, pointer: Pointer) -> dict[str, Any]:
        """What is in the dataset, or on its way to be, has no actions: nothing is to be sent."""
        upload = opened.uploads.get(pointer.oid)
        if opened.here.get(pointer.oid) == pointer.size:
            return batch.object_actions(pointer)
        if pointer.oid in opened.refused:
            return _error(pointer, opened.refused[pointer.oid])
        if upload is None or upload.size != pointer.size:  # a batch may name it with two sizes
            text = "This sha256 is known here with another size."
            return batch.object_error(pointer.oid, pointer.size, 422, text)
        if upload.transfer == "multipart":
            return _error(pointer, errors.UploadElsewhere())
        action = self._upload_action(pointer, upload)
        confirm = self._action("VERIFY", f"{self._href}/verify", pointer, self._end_of_uploads)
        return batch.object_actions(pointer, {"upload": action, "verify": confirm})

    def open(self, connection: sa.Connection, asked: Mapping[str, int]) -> _Opened:
        """*asked*: oid → bytes."""
        most = beginning.largest(self.store, self.settings.limits())
        refused: dict[str, errors.StorageError] = {
            oid: errors.FileTooLarge(size, int(most)) for oid, size in asked.items() if size > most
        }
        here: dict[str, int] = {}
        wanted = dict(asked)
        for _ in range(2):
            try:
                with connection.begin():
                    here = uploads.known(connection, self.dataset.id, asked, self.store)
                    told = here.keys() | refused.keys()
                    wanted = {oid: size for oid, size in asked.items() if oid not in told}
                    return _Opened(here, self._opened(connection, wanted), refused)
            except errors.QuotaExceeded as error:
                refused |= dict.fromkeys(_overflow(wanted, error.limit - error.used) or wanted, error)
            except errors.TooManyUploads as error:
                refused |= dict.fromkeys(wanted, error)
        busy = errors.UploadBusy("Others are filling the quota.")
        return _Opened(here, {}, {**dict.fromkeys(wanted, busy), **refused})

    def _opened(self, connection: sa.Connection, wanted: Mapping[str, int]) -> dict[str, Upload]:
        if not wanted:
            return {}
        if not isinstance(self.store, SigningStore):
            # Should the database stop in this second, a client may be sent for bytes that nobody expects any
            # more: it is told so, and asks again. Where it brings them past us, they would stay for ever.
            connection.execute(_WITHOUT_WAITING)
        user_id = self.granted.user_id or ""  # who may write has one
        opened = uploads.open_uploads(
            connection, user_id, self.dataset.id, wanted, now(), self._transfer_of(), self.store, self.until
        )
        beginning.check_room(connection, user_id, self.settings.limits())
        return opened

    def _transfer_of(self) -> Callable[[int], str]:
        put_limit = self.store.put_limit if isinstance(self.store, SigningStore) else -1
        through_us = "tus" if self.transfer == "tus" else "stream"
        return lambda size: "put" if size <= put_limit else through_us

    def _upload_action(self, pointer: Pointer, upload: Upload) -> dict[str, Any]:
        if upload.transfer == "put" and isinstance(self.store, SigningStore):
            signed = self.store.sign_put(upload.key, pointer.oid, pointer.size, self.until - now())
            return batch.action(signed.href, dict(signed.header), signed.expires_at)
        if upload.transfer == "tus":
            return self._action("TUS", f"{self.settings.url}/uploads/{upload.id}/tus", pointer, self._end)
        action = self._action("PUT", f"{self._href}/{pointer.oid}", pointer, self._end)
        action["header"]["Content-Type"] = "application/octet-stream"
        return action

    @cached_property
    def _href(self) -> str:
        """By the id, which stays: a dataset may be renamed or moved while its files are on their way."""
        return f"{self.settings.url}/{self.settings.namespace}/{self.dataset.id}.git/info/lfs/objects"

    # Once for all objects of the batch, because to write a time costs as much as to sign it.
    @cached_property
    def _end(self) -> _End:
        return _End.of(self.until)

    @cached_property
    def _end_of_uploads(self) -> _End:
        """A file may take hours to arrive, and this is only to say that it has."""
        return _End.of(self.until - LIFETIME + uploads.LIFETIME)

    def _action(self, method: str, href: str, pointer: Pointer, end: _End) -> dict[str, Any]:
        granted = self.granted
        permit = Capability(
            method, self.dataset.id, pointer.oid, pointer.size, granted.user_id, granted.jti, end.seconds
        )
        return {"href": href, "header": permit.header(self.secret), **end.told}


class _End(NamedTuple):
    """``seconds`` since the epoch; ``told``: the same as clients are told."""

    seconds: int
    told: dict[str, Any]

    @classmethod
    def of(cls, when: datetime) -> _End:
        whole = when.replace(microsecond=0)
        return cls(int(whole.timestamp()), batch.ends(whole))


def _error(pointer: Pointer, error: errors.StorageError) -> dict[str, Any]:
    return batch.object_error(pointer.oid, pointer.size, error.status, str(error))


def _overflow(wanted: Mapping[str, int], room: int) -> list[str]:
    """Those that do not fit into *room* bytes, if they come in this order."""
    overflow = []
    for oid, size in wanted.items():
        if size > room:
            overflow.append(oid)
        else:
            room -= size
    return overflow
