"""Does the external storage of a namespace work (``spec/control-plane-api.md §7``)."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from enum import StrEnum

from dwserver.blobs.api import (
    BlobError,
    BlobStore,
    Driver,
    DriverUnavailable,
    StoragePolicy,
    object_key,
)
from dwserver.services.external_payloads import OpenBlobStore
from dwserver.services.namespaces import Namespaces


class Finding(StrEnum):
    """Why there was nothing to test, or what failed; the first that applies."""

    NOT_CONFIGURED = "not_configured"
    DISABLED = "disabled"
    OTHER_DRIVER = "other_driver"
    UNUSABLE = "unusable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Problem:
    """``driver``: the one asked for, else that of the policy. ``detail`` holds no
    secret."""

    finding: Finding
    driver: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class Probe:
    """A blob that was put, read back, compared and deleted."""

    byte_count: int
    sha256: str
    uri: str


@dataclass(frozen=True, slots=True)
class Passed:
    driver: str
    small: Probe
    large: Probe


class StorageDiagnosis:
    def __init__(self, namespaces: Namespaces, *, open_store: OpenBlobStore) -> None:
        self._namespaces = namespaces
        self._open_store = open_store
        # The blobs of all tests have the same names.
        self._one_at_a_time = asyncio.Lock()

    async def run(
        self,
        namespace: str,
        *,
        driver: Driver | None,
        small_bytes: int,
        large_bytes: int,
    ) -> Passed | Problem:
        """Try the policy as it is now. Repeating it leaves nothing behind."""
        found = await self._namespaces.find(namespace)
        stored = found.external_storage if found else None
        policy = StoragePolicy.of(stored) if stored else None
        checked = _checked(policy, driver)
        if isinstance(checked, Problem):
            return checked
        word = checked.driver.value
        try:
            store = self._open_store(namespace, checked)
            async with self._one_at_a_time:
                small = await _probe(store, "small", b"s" * small_bytes)
                large = await _probe(store, "large", b"l" * large_bytes)
        except DriverUnavailable as error:
            return Problem(Finding.UNUSABLE, word, str(error))
        except BlobError as error:
            return Problem(Finding.FAILED, word, str(error))
        return Passed(word, small, large)


def _checked(
    policy: StoragePolicy | None, asked_for: Driver | None
) -> StoragePolicy | Problem:
    word = asked_for.value if asked_for else None
    if policy is None:
        if asked_for is None:
            return Problem(Finding.NOT_CONFIGURED, None, "there is no policy")
        return Problem(Finding.OTHER_DRIVER, word, "there is no policy")
    if not policy.is_enabled:
        return Problem(
            Finding.DISABLED, word or policy.driver.value, "the policy is disabled"
        )
    if asked_for is not None and asked_for is not policy.driver:
        return Problem(
            Finding.OTHER_DRIVER, word, f"the policy names {policy.driver.value}"
        )
    return policy


async def _probe(store: BlobStore, size_word: str, data: bytes) -> Probe:
    sha256 = await asyncio.to_thread(lambda: hashlib.sha256(data).hexdigest())
    key = object_key(f"storage-test-{size_word}", sha256)
    uri = store.uri_of(key)
    await store.put(key, data)
    try:
        if await store.get(uri, size=len(data)) != data:
            raise BlobError("what was read back is not what was written")
    finally:
        await store.delete(uri)
    return Probe(len(data), sha256, uri)
