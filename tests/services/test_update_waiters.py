"""Waiting for an update: news of this process at once, of others by looking."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from dwserver.engine.model import RunState, Update
from dwserver.engine.words import UpdateStatus
from dwserver.services.hot_runs import HotRuns
from dwserver.services.update_waiters import UpdateWaiters
from dwserver.store.api import Store, StoreError
from tests.support.builders import (
    NOON,
    a_change,
    a_run,
    a_start_transition,
    a_transition,
    an_update,
)
from tests.support.faulty_store import FaultyStore
from tests.support.waiting import eventually

LONG = 60.0
RUN = a_run()
UPDATE = an_update(RUN, sequence=2)
OTHER = an_update(RUN, sequence=3)
CLOSED = replace(UPDATE, status=UpdateStatus.COMPLETED, applied_at=NOON, closed_at=NOON)


class Room:
    """Waiters on a store that has the open update, which this process knows of."""

    def __init__(self, store: Store, *, recheck_seconds: float = LONG) -> None:
        self.faults = FaultyStore(store)
        self.hot = HotRuns(max_runs=10, max_bytes=1_000_000)
        self.hot.loaded(RunState(RUN, updates={2: UPDATE}))
        self.waiters = UpdateWaiters(
            self.faults.store, self.hot, recheck_seconds=recheck_seconds
        )

    def waiting(
        self,
        *,
        seconds: float = LONG,
        is_connected: Callable[[], bool] = lambda: True,
    ) -> asyncio.Task[Update]:
        return asyncio.create_task(
            self.waiters.closed(UPDATE, seconds=seconds, is_connected=is_connected)
        )


@pytest.fixture
async def store(sqlite_store: Store) -> Store:
    await sqlite_store.commit(a_start_transition(RUN, new_updates=(UPDATE, OTHER)))
    return sqlite_store


async def test_a_commit_here_ends_the_wait_without_a_look(store: Store) -> None:
    room = Room(store)
    waiting = [room.waiting() for _ in range(3)]
    await asyncio.sleep(0)
    room.waiters.committed(a_change(RUN, updates=(OTHER,)))
    room.waiters.committed(a_change(RUN, updates=(CLOSED,)))
    assert await asyncio.gather(*waiting) == [CLOSED] * 3
    assert not room.faults.calls
    room.waiters.committed(a_change(RUN, updates=(CLOSED,)))


async def test_what_happened_before_the_wait_is_looked_up(store: Store) -> None:
    room = Room(store)
    await store.commit(a_transition(RUN, updates=(CLOSED,)))
    room.hot.drop(RUN.id)
    assert await room.waiting() == CLOSED


async def test_another_process_is_noticed_by_looking_again(store: Store) -> None:
    room = Room(store, recheck_seconds=0.001)
    waiting = room.waiting()
    await eventually(lambda: room.faults.calls["find_update"] >= 2)
    await store.commit(a_transition(RUN, updates=(CLOSED,)))
    assert await waiting == CLOSED


async def test_the_wait_ends_in_time_or_with_its_client(store: Store) -> None:
    room = Room(store)
    assert await room.waiting(seconds=0) == UPDATE
    assert await room.waiting(seconds=0.01) == UPDATE
    assert await room.waiting(is_connected=lambda: False) == UPDATE


async def test_shutdown_ends_every_wait(store: Store) -> None:
    room = Room(store)
    waiting = room.waiting()
    await asyncio.sleep(0)
    room.waiters.release_all()
    assert await waiting == UPDATE
    assert await room.waiting() == UPDATE


async def test_a_database_that_does_not_answer_is_told(store: Store) -> None:
    room = Room(store, recheck_seconds=0.001)
    room.faults.fail_next("find_update", StoreError("gone"))
    with pytest.raises(StoreError):
        await room.waiting()
    waiting = room.waiting()
    await asyncio.sleep(0)
    room.waiters.committed(a_change(RUN, updates=(CLOSED,)))
    assert await waiting == CLOSED
