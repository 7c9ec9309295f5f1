"""Lease renewals of many tasks in one statement."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import cast

import pytest

from dwserver.runtime.supervisor import Supervisor
from dwserver.services.renewals import MAX_BATCH, Renewals
from dwserver.store.api import LeaseRenewal, Store, StoreUnavailable
from tests.support.waiting import eventually


class Leases:
    """The statement, on memory. ``held``: tasks whose lease is still held."""

    def __init__(self) -> None:
        self.held: set[str] = set()
        self.batches: list[list[str]] = []
        self.errors: list[Exception] = []
        self.may_answer = asyncio.Event()
        self.supervisor = Supervisor()
        self.renewals = Renewals(cast(Store, self), spawn=self.supervisor.spawn)

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool]:
        self.batches.append([renewal.task_id for renewal in renewals])
        await self.may_answer.wait()
        if self.errors:
            raise self.errors.pop()
        return [renewal.task_id in self.held for renewal in renewals]

    def renew(self, *task_ids: str) -> list[asyncio.Task[bool]]:
        return [
            asyncio.create_task(
                self.renewals.renew(LeaseRenewal(task_id, "worker-1", 1, attempt=1))
            )
            for task_id in task_ids
        ]


@pytest.fixture
async def leases() -> AsyncIterator[Leases]:
    leases = Leases()
    yield leases
    await leases.supervisor.stop()


async def test_renewals_collect_while_a_statement_is_under_way(
    leases: Leases,
) -> None:
    leases.held = {"t1", "t3"}
    asked = leases.renew("t1")
    await eventually(lambda: leases.batches)
    asked += leases.renew("t2", "t3")
    await asyncio.sleep(0)
    leases.may_answer.set()
    assert await asyncio.gather(*asked) == [True, False, True]
    assert leases.batches == [["t1"], ["t2", "t3"]]


async def test_a_statement_is_bounded(leases: Leases) -> None:
    leases.may_answer.set()
    task_ids = [f"t{number}" for number in range(MAX_BATCH + 10)]
    leases.held = set(task_ids)
    assert all(await asyncio.gather(*leases.renew(*task_ids)))
    assert max(map(len, leases.batches)) <= MAX_BATCH
    assert [task for batch in leases.batches for task in batch] == task_ids


async def test_a_failure_reaches_those_of_its_statement(leases: Leases) -> None:
    leases.held = {"t1", "t2", "t3"}
    leases.errors = [StoreUnavailable("gone")]
    first = leases.renew("t1")
    await eventually(lambda: leases.batches)
    later = leases.renew("t2", "t3")
    await asyncio.sleep(0)
    leases.may_answer.set()
    with pytest.raises(StoreUnavailable):
        await first[0]
    assert await asyncio.gather(*later) == [True, True]


async def test_a_worker_that_stops_waiting_does_not_stop_the_others(
    leases: Leases,
) -> None:
    leases.held = {"t1", "t2"}
    gone, stays = leases.renew("t1", "t2")
    await eventually(lambda: leases.batches)
    gone.cancel()
    await asyncio.sleep(0)
    leases.may_answer.set()
    assert await stays
