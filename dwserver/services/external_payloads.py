"""Payloads outside the database (``spec/control-plane-api.md §13.4``).

What clients refer to is fetched and checked before anything is decided on it; blobs
above the threshold of their namespace are put into its storage, and what is recorded is
their reference. Values that came as plain JSON stay in the database: they have no bytes
before their reader is known (decision 9).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol, TypeVar

from dwserver.blobs.api import (
    BlobError,
    BlobMissing,
    BlobStore,
    BlobUnavailable,
    DriverUnavailable,
    ForeignUri,
    StoragePolicy,
    object_key,
)
from dwserver.engine.model import Payload
from dwserver.engine.payloads import PLAIN_CODEC
from dwserver.protocol.payloads.external import reference_payload, stored_reference
from dwserver.protocol.payloads.records import ExternalReference
from dwserver.services.namespaces import Namespaces

# Blobs that this process holds in memory at once on their way from or to storage.
MAX_TRANSFERS: Final = 8

Record = TypeVar("Record")
Result = TypeVar("Result")


class ReferenceRefused(Exception):
    """The reference of a client leads to nothing usable; the text says why."""


class PayloadStorageUnavailable(Exception):
    """Storage cannot be used now; the text says why and holds no secret."""


class OpenBlobStore(Protocol):
    def __call__(self, namespace: str, policy: StoragePolicy) -> BlobStore:
        """Raises :class:`DriverUnavailable`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TransferLimits:
    """Sizes in bytes. ``external``: the largest blob that is fetched. ``inline``: the
    largest that then goes into the database, and the largest that is shown decoded."""

    external: int
    inline: int


class ExternalPayloads:
    """``observe`` is told of every transfer: ``put`` or ``get``, ``done`` or
    ``failed``."""

    def __init__(
        self,
        namespaces: Namespaces,
        *,
        open_store: OpenBlobStore,
        limits: TransferLimits,
        observe: Callable[[str, str], None],
    ) -> None:
        self._namespaces = namespaces
        self._open_store = open_store
        self._limits = limits
        self._observe = observe
        self._transfers = asyncio.Semaphore(MAX_TRANSFERS)

    def is_unused(self, namespace: str) -> bool:
        """Known to keep nothing outside; costs nothing."""
        return self._namespaces.has_no_storage(namespace)

    async def fetched(self, namespace: str, reference: ExternalReference) -> str | None:
        """The blob that a client refers to; None when the namespace has no storage.

        Raises :class:`ReferenceRefused`, :class:`PayloadStorageUnavailable`.
        """
        policy = await self._policy(namespace)
        if policy is None:
            return None
        is_kept_outside = policy.threshold_bytes is not None
        limit = self._limits.external if is_kept_outside else self._limits.inline
        if reference.size_bytes > limit:
            raise ReferenceRefused(
                f"The external payload is larger than {limit} bytes."
            )
        return await self._get(self._opened(namespace, policy), reference)

    async def kept(self, namespace: str, payload: Payload | None) -> Payload | None:
        """``payload`` as it is to be recorded. Repeating it changes nothing.

        Raises :class:`PayloadStorageUnavailable`.
        """
        policy = await self._policy(namespace)
        if payload is None or policy is None:
            return payload
        return await self._moved(namespace, policy, payload)

    async def kept_in(
        self, namespace: str, records: Sequence[Record]
    ) -> Sequence[Record]:
        """``records`` with each of their payloads as :meth:`kept` gives it."""
        policy = await self._policy(namespace)
        if policy is None or policy.threshold_bytes is None:
            return records
        moved = await asyncio.gather(
            *(self._with_moved(namespace, policy, record) for record in records),
            return_exceptions=True,
        )
        for outcome in moved:
            if isinstance(outcome, BaseException):
                raise outcome
        return [outcome for outcome in moved if not isinstance(outcome, BaseException)]

    async def shown(self, namespace: str, payload: Payload) -> Payload:
        """``payload`` to be shown decoded: the blob itself, where it lies outside and
        can be had; else ``payload``."""
        reference = stored_reference(payload)
        if reference is None or reference.size_bytes > self._limits.inline:
            return payload
        policy = await self._policy(namespace)
        if policy is None:
            return payload
        try:
            blob = await self._get(self._opened(namespace, policy), reference)
        except (ReferenceRefused, PayloadStorageUnavailable):
            return payload
        return Payload(reference.codec, blob)

    async def _policy(self, namespace: str) -> StoragePolicy | None:
        """The policy, if it is enabled."""
        stored = await self._namespaces.storage(namespace)
        policy = StoragePolicy.of(stored) if stored else None
        return policy if policy is not None and policy.is_enabled else None

    def _opened(self, namespace: str, policy: StoragePolicy) -> BlobStore:
        try:
            return self._open_store(namespace, policy)
        except DriverUnavailable as error:
            raise PayloadStorageUnavailable(
                f"External payload storage cannot be used: {error}."
            ) from None

    async def _get(self, store: BlobStore, reference: ExternalReference) -> str:
        try:
            data = await self._transferred(
                "get", lambda: store.get(reference.uri, size=reference.size_bytes)
            )
        except (BlobMissing, ForeignUri) as error:
            raise ReferenceRefused(
                f"The external payload cannot be read: {error}."
            ) from None
        if await _sha256(data) != reference.sha256:
            raise ReferenceRefused("The external payload is not the one referred to.")
        try:
            return data.decode("ascii")
        except UnicodeDecodeError:
            raise ReferenceRefused("The external payload is not blob text.") from None

    async def _with_moved(
        self, namespace: str, policy: StoragePolicy, record: Record
    ) -> Record:
        moved: dict[str, Any] = {}
        for each in fields(record):  # type: ignore[arg-type]
            value = getattr(record, each.name)
            if isinstance(value, Payload):
                payload = await self._moved(namespace, policy, value)
                if payload is not value:
                    moved[each.name] = payload
        return replace(record, **moved) if moved else record  # type: ignore[type-var]

    async def _moved(
        self, namespace: str, policy: StoragePolicy, payload: Payload
    ) -> Payload:
        threshold = policy.threshold_bytes
        is_small = threshold is None or len(payload.data) <= threshold
        if is_small or payload.codec == PLAIN_CODEC:
            return payload
        store = self._opened(namespace, policy)
        data = payload.data.encode()
        sha256 = await _sha256(data)
        key = object_key(payload.codec, sha256)
        await self._transferred("put", lambda: store.put(key, data))
        return reference_payload(
            ExternalReference(
                codec=payload.codec,
                uri=store.uri_of(key),
                sha256=sha256,
                size_bytes=len(data),
            )
        )

    async def _transferred(
        self, verb: str, transfer: Callable[[], Awaitable[Result]]
    ) -> Result:
        """Raises :class:`BlobMissing`, :class:`ForeignUri`,
        :class:`PayloadStorageUnavailable`."""
        try:
            async with self._transfers:
                result = await transfer()
        except BlobUnavailable as error:
            self._observe(verb, "failed")
            raise PayloadStorageUnavailable(
                f"External payload storage failed: {error}."
            ) from None
        except BlobError:
            self._observe(verb, "failed")
            raise
        self._observe(verb, "done")
        return result


async def _sha256(data: bytes) -> str:
    """Hashing lets other threads run; the event loop need not wait for it."""
    return await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
