"""External payload storage of a process, with a driver whose faults a test chooses."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from dwserver.blobs.api import (
    BlobError,
    BlobStore,
    Driver,
    StoragePolicy,
    object_key,
)
from dwserver.blobs.local import LocalBlobs
from dwserver.engine.model import Payload
from dwserver.protocol.payloads import ExternalReference
from dwserver.runtime.clock import ManualClock
from dwserver.services.external_payloads import ExternalPayloads, TransferLimits
from dwserver.services.namespaces import Namespaces
from dwserver.services.storage_diagnosis import StorageDiagnosis
from dwserver.store.api import Store
from tests.support.builders import NOON, SECOND

THRESHOLD = 16
POLICY = StoragePolicy(driver=Driver.LOCAL, threshold_bytes=THRESHOLD)
EXTERNAL_LIMIT = 4096
INLINE_LIMIT = 1024
SMALL = Payload("avro", "A" * THRESHOLD)
LARGE = Payload("avro", "A" * (THRESHOLD + 4))


@dataclass
class WatchedBlobs:
    """The local driver; what stands in ``faults`` by verb is raised instead."""

    inner: LocalBlobs
    faults: dict[str, BlobError] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def uri_of(self, key: str) -> str:
        return self.inner.uri_of(key)

    async def put(self, key: str, data: bytes) -> None:
        self._noted("put")
        await self.inner.put(key, data)

    async def get(self, uri: str, *, size: int) -> bytes:
        self._noted("get")
        return await self.inner.get(uri, size=size)

    async def delete(self, uri: str) -> None:
        self._noted("delete")
        await self.inner.delete(uri)

    def _noted(self, verb: str) -> None:
        self.calls.append(verb)
        if verb in self.faults:
            raise self.faults[verb]


class StorageRoom:
    def __init__(self, store: Store, root: Path) -> None:
        self.blobs = WatchedBlobs(LocalBlobs(root, timeout_seconds=10))
        self.root = root
        self.observed: list[tuple[str, str]] = []
        self.open_error: BlobError | None = None
        self.namespaces = Namespaces(
            store, now=ManualClock(NOON).now, cache_ttl=5 * SECOND
        )
        self.payloads = ExternalPayloads(
            self.namespaces,
            open_store=self.open,
            limits=TransferLimits(external=EXTERNAL_LIMIT, inline=INLINE_LIMIT),
            observe=lambda verb, outcome: self.observed.append((verb, outcome)),
        )
        self.diagnosis = StorageDiagnosis(self.namespaces, open_store=self.open)

    def open(self, namespace: str, policy: StoragePolicy) -> BlobStore:
        if self.open_error is not None:
            raise self.open_error
        return self.blobs

    async def set_policy(self, policy: StoragePolicy = POLICY) -> None:
        assert await self.namespaces.set_storage("default", policy.as_json())

    def files(self) -> list[Path]:
        return [path for path in self.root.rglob("*") if path.is_file()]

    async def client_puts(self, text: str, name: str = "mine") -> ExternalReference:
        """A blob that a client has put where it likes."""
        data = text.encode()
        self.root.mkdir(exist_ok=True)
        (self.root / name).write_bytes(data)
        return ExternalReference(
            codec="avro",
            uri=(self.root / name).as_uri(),
            sha256=hashlib.sha256(data).hexdigest(),
            size_bytes=len(data),
        )


def key_of(payload: Payload) -> str:
    return object_key("avro", hashlib.sha256(payload.data.encode()).hexdigest())
