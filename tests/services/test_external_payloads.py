"""Payloads outside the database: what is moved there, what is believed of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dwserver.blobs.api import BlobMissing, BlobUnavailable, DriverUnavailable
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.timers import StartTimer
from dwserver.engine.model import Payload
from dwserver.protocol.payloads import reference_payload, stored_reference
from dwserver.services.external_payloads import (
    PayloadStorageUnavailable,
    ReferenceRefused,
)
from dwserver.store.api import Store
from tests.services.storage_room import (
    EXTERNAL_LIMIT,
    INLINE_LIMIT,
    LARGE,
    POLICY,
    SMALL,
    StorageRoom,
    key_of,
)


@pytest.fixture
async def room(sqlite_store: Store, tmp_path: Path) -> StorageRoom:
    return StorageRoom(sqlite_store, tmp_path / "payloads")


# on the way in -----------------------------------------------------------------------


async def test_without_a_policy_nothing_is_moved(room: StorageRoom) -> None:
    assert await room.payloads.kept("default", LARGE) is LARGE
    assert await room.payloads.kept_in("default", [LARGE]) == [LARGE]
    assert room.blobs.calls == []


async def test_that_nothing_is_kept_outside_is_known_when_it_is(
    room: StorageRoom,
) -> None:
    # Nothing is known before the first look.
    assert not room.payloads.is_unused("default")
    assert await room.namespaces.exists("default")
    assert room.payloads.is_unused("default")
    await room.set_policy()
    assert not room.payloads.is_unused("default")
    assert await room.namespaces.exists("default")
    assert not room.payloads.is_unused("default")


@pytest.mark.parametrize(
    "payload",
    [None, SMALL, Payload("json", '"' + "x" * 100 + '"')],
    ids=["none", "at the threshold", "plain"],
)
async def test_what_is_small_or_has_no_bytes_yet_stays(
    room: StorageRoom, payload: Payload | None
) -> None:
    await room.set_policy()
    assert await room.payloads.kept("default", payload) is payload
    assert room.blobs.calls == []


@pytest.mark.parametrize(
    "policy",
    [replace(POLICY, is_enabled=False), replace(POLICY, threshold_bytes=None)],
    ids=["disabled", "no threshold"],
)
async def test_a_policy_may_move_nothing(room: StorageRoom, policy: object) -> None:
    await room.set_policy(policy)  # type: ignore[arg-type]
    assert await room.payloads.kept("default", LARGE) is LARGE
    assert await room.payloads.kept_in("default", [LARGE]) == [LARGE]


async def test_a_large_blob_is_moved_and_a_repetition_is_the_same(
    room: StorageRoom,
) -> None:
    await room.set_policy()
    kept = [await room.payloads.kept("default", LARGE) for _ in range(3)]
    assert kept[0] == kept[1] == kept[2]
    assert kept[0] is not None
    reference = stored_reference(kept[0])
    assert reference is not None
    assert reference.size_bytes == len(LARGE.data)
    assert reference.uri == room.blobs.uri_of(key_of(LARGE))
    assert [path.read_text() for path in room.files()] == [LARGE.data]
    assert room.observed == [("put", "done")] * 3


async def test_every_payload_of_a_record_is_moved(room: StorageRoom) -> None:
    await room.set_policy()
    timer = StartTimer(delay_seconds=1)
    small = ScheduleActivity(activity_type="a", arguments=SMALL)
    large = ScheduleActivity(activity_type="a", arguments=LARGE)
    kept = await room.payloads.kept_in("default", [timer, small, large])
    assert kept[:2] == [timer, small]
    moved = await room.payloads.kept("default", LARGE)
    assert kept[2] == replace(large, arguments=moved)


@pytest.mark.parametrize("is_open", [True, False])
async def test_storage_that_fails_is_told(room: StorageRoom, is_open: bool) -> None:
    await room.set_policy()
    if is_open:
        room.blobs.faults["put"] = BlobUnavailable("it took too long")
    else:
        room.open_error = DriverUnavailable("the bucket has no name")
    with pytest.raises(PayloadStorageUnavailable, match=r"took too long|no name"):
        await room.payloads.kept("default", LARGE)
    command = ScheduleActivity(activity_type="a", arguments=LARGE)
    with pytest.raises(PayloadStorageUnavailable):
        await room.payloads.kept_in("default", [command, command])
    assert room.files() == []


# references of clients ---------------------------------------------------------------


async def test_without_a_policy_no_reference_is_followed(room: StorageRoom) -> None:
    reference = await room.client_puts("AARbXQI=")
    assert await room.payloads.fetched("default", reference) is None
    await room.set_policy(replace(POLICY, is_enabled=False))
    assert await room.payloads.fetched("default", reference) is None
    assert room.blobs.calls == []


async def test_a_reference_is_followed(room: StorageRoom) -> None:
    await room.set_policy()
    reference = await room.client_puts("AARbXQI=")
    assert await room.payloads.fetched("default", reference) == "AARbXQI="
    assert room.observed == [("get", "done")]


async def test_what_is_not_what_was_referred_to_is_refused(room: StorageRoom) -> None:
    await room.set_policy()
    reference = await room.client_puts("AARbXQI=")
    for wrong in (
        replace(reference, size_bytes=7),
        replace(reference, sha256="0" * 64),
        replace(reference, uri=reference.uri + "-other"),
        replace(reference, uri="file:///etc/hostname"),
        replace(reference, uri="s3://bucket/key"),
    ):
        with pytest.raises(ReferenceRefused):
            await room.payloads.fetched("default", wrong)


async def test_a_blob_is_text(room: StorageRoom) -> None:
    await room.set_policy()
    with pytest.raises(ReferenceRefused, match="text"):
        await room.payloads.fetched("default", await room.client_puts("é"))


async def test_a_reference_is_bounded_by_where_its_payload_will_be(
    room: StorageRoom,
) -> None:
    inline = await room.client_puts("A" * INLINE_LIMIT, "inline")
    external = await room.client_puts("A" * EXTERNAL_LIMIT, "external")
    too_large = await room.client_puts("A" * (EXTERNAL_LIMIT + 1), "too-large")
    await room.set_policy()
    assert await room.payloads.fetched("default", external)
    with pytest.raises(ReferenceRefused, match=str(EXTERNAL_LIMIT)):
        await room.payloads.fetched("default", too_large)
    await room.set_policy(replace(POLICY, threshold_bytes=None))
    assert await room.payloads.fetched("default", inline)
    with pytest.raises(ReferenceRefused, match=str(INLINE_LIMIT)):
        await room.payloads.fetched("default", external)


async def test_storage_that_is_away_is_not_the_client_s_fault(
    room: StorageRoom,
) -> None:
    await room.set_policy()
    reference = await room.client_puts("AARbXQI=")
    room.blobs.faults["get"] = BlobUnavailable("it is away")
    with pytest.raises(PayloadStorageUnavailable, match="it is away"):
        await room.payloads.fetched("default", reference)
    assert room.observed == [("get", "failed")]


# shown -------------------------------------------------------------------------------


async def test_a_moved_payload_is_shown_as_what_it_was(room: StorageRoom) -> None:
    await room.set_policy()
    kept = await room.payloads.kept("default", LARGE)
    assert kept is not None
    assert await room.payloads.shown("default", kept) == LARGE
    # Nothing more is moved, but what was moved can still be read.
    await room.set_policy(replace(POLICY, threshold_bytes=None))
    assert await room.payloads.shown("default", kept) == LARGE
    assert await room.payloads.shown("default", SMALL) is SMALL


async def test_what_cannot_be_had_is_shown_as_it_is(room: StorageRoom) -> None:
    await room.set_policy()
    kept = await room.payloads.kept("default", LARGE)
    assert kept is not None
    for fault in (BlobUnavailable("it is away"), BlobMissing("it is gone")):
        room.blobs.faults["get"] = fault
        assert await room.payloads.shown("default", kept) is kept
    room.blobs.faults.clear()
    await room.set_policy(replace(POLICY, is_enabled=False))
    assert await room.payloads.shown("default", kept) is kept


async def test_what_is_too_large_to_be_shown_is_not_fetched(room: StorageRoom) -> None:
    await room.set_policy()
    reference = await room.client_puts("A" * (INLINE_LIMIT + 1))
    payload = reference_payload(reference)
    assert await room.payloads.shown("default", payload) is payload
    assert room.blobs.calls == []
