"""The test of a namespace's storage."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from dwserver.blobs.api import BlobMissing, BlobUnavailable, Driver, DriverUnavailable
from dwserver.services.storage_diagnosis import Finding, Passed, Problem
from dwserver.store.api import Store
from tests.services.storage_room import POLICY, StorageRoom


@pytest.fixture
async def room(sqlite_store: Store, tmp_path: Path) -> StorageRoom:
    return StorageRoom(sqlite_store, tmp_path / "payloads")


async def outcome_of(
    room: StorageRoom, driver: Driver | None = None
) -> Passed | Problem:
    return await room.diagnosis.run(
        "default", driver=driver, small_bytes=10, large_bytes=2000
    )


async def finding(room: StorageRoom, driver: Driver | None = None) -> Problem:
    found = await outcome_of(room, driver)
    assert isinstance(found, Problem)
    return found


async def test_findings_in_their_order(room: StorageRoom) -> None:
    assert (await finding(room)).finding is Finding.NOT_CONFIGURED
    assert (await finding(room, Driver.LOCAL)).finding is Finding.OTHER_DRIVER
    await room.set_policy(replace(POLICY, is_enabled=False))
    assert (await finding(room, Driver.S3)).finding is Finding.DISABLED
    await room.set_policy()
    other = await finding(room, Driver.S3)
    assert (other.finding, other.driver) == (Finding.OTHER_DRIVER, "s3")
    room.open_error = DriverUnavailable("no bucket")
    unusable = await finding(room)
    assert (unusable.finding, unusable.driver) == (Finding.UNUSABLE, "local")
    assert unusable.detail == "no bucket"


async def test_two_blobs_come_back_and_are_gone(room: StorageRoom) -> None:
    await room.set_policy()
    passed = await outcome_of(room, Driver.LOCAL)
    assert isinstance(passed, Passed)
    sha256 = hashlib.sha256(b"s" * 10).hexdigest()
    assert (passed.small.byte_count, passed.small.sha256) == (10, sha256)
    assert passed.small.uri.endswith(f"/storage-test-small/{sha256[:2]}/{sha256}")
    assert passed.large.sha256 == hashlib.sha256(b"l" * 2000).hexdigest()
    assert room.files() == []


async def test_many_tests_at_once_do_not_disturb_each_other(room: StorageRoom) -> None:
    await room.set_policy()
    results = await asyncio.gather(*(outcome_of(room) for _ in range(5)))
    assert all(isinstance(result, Passed) for result in results)


@pytest.mark.parametrize(
    ("verb", "error"),
    [
        ("put", BlobUnavailable("it is away")),
        ("get", BlobUnavailable("it is away")),
        ("get", BlobMissing("it is away")),
        ("delete", BlobUnavailable("it is away")),
    ],
)
async def test_what_fails_is_told_and_what_was_put_is_deleted(
    room: StorageRoom, verb: str, error: BlobUnavailable
) -> None:
    await room.set_policy()
    room.blobs.faults[verb] = error
    found = await finding(room)
    assert (found.finding, found.detail) == (Finding.FAILED, "it is away")
    assert verb == "delete" or room.files() == []


async def test_bytes_that_changed_are_found(
    room: StorageRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def changed(uri: str, *, size: int) -> bytes:
        return b"x" * size

    await room.set_policy()
    monkeypatch.setattr(room.blobs.inner, "get", changed)
    assert (await finding(room)).finding is Finding.FAILED
