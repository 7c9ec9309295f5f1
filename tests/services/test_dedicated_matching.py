"""A node that leaves the sweep to a dedicated process: its polls work, and what no news
told of is found by a repair pass (``spec/topology-and-operations.md`` §6.1, V5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dwserver.loops.matching import sweep_loop
from dwserver.services.task_repair import RepairScopeFilter
from dwserver.store.api import Store
from dwserver.store.opening import open_store
from tests.support.builders import NOON, SECOND, a_run, a_start_transition, a_task
from tests.support.small_server import LONG, SmallServer, a_poll, small_server
from tests.support.waiting import eventually

NO_SWEEP = {"DW_V2_MATCHING_ROLE_QUEUE_WAKE": "0"}


@pytest.fixture
async def lone(any_store: Store) -> AsyncIterator[SmallServer]:
    """A node without a sweep that hears of no other process."""
    async with small_server(any_store, environ=NO_SWEEP) as server:
        await server.register()
        yield server


async def a_task_nobody_told_of(store: Store) -> str:
    """As if its announcement had been lost."""
    run = a_run(started_at=NOON - 60 * SECOND)
    task = a_task(run, available_at=NOON - 60 * SECOND)
    assert await store.commit(a_start_transition(run, new_tasks=(task,)))
    return task.id


async def test_every_poll_looks_for_itself(lone: SmallServer) -> None:
    assert await lone.poll() is None
    task_id = await a_task_nobody_told_of(lone.faults.real)
    delivery = await lone.poll(a_poll(wait_seconds=LONG))
    assert delivery is not None
    assert delivery.leased.task.id == task_id


async def test_what_is_made_here_still_reaches_a_waiting_poll(
    lone: SmallServer,
) -> None:
    poll = asyncio.create_task(lone.poll(a_poll(wait_seconds=LONG)))
    await eventually(lambda: lone.core.matcher.pollers.queues())
    run_id = (await lone.start()).run.id
    delivery = await poll
    assert delivery is not None
    assert delivery.leased.task.run_id == run_id


async def test_its_loop_counts_polls_and_asks_for_nothing(lone: SmallServer) -> None:
    poll = asyncio.create_task(lone.poll(a_poll(wait_seconds=LONG)))
    await eventually(lambda: lone.faults.calls["ready_tasks"] == 1)
    counted: list[int] = []
    loop = sweep_loop(
        lone.core.matcher,
        lone.supervisor,
        interval_seconds=0.001,
        is_sweeping=False,
        observe_waiting=lambda kind, count: counted.append(count),
    )
    await loop.start()
    await eventually(lambda: len(counted) > 10)
    await loop.drain()
    assert 1 in counted
    assert lone.faults.calls["ready_tasks"] == 1
    lone.core.release_waits()
    assert await poll is None


async def test_a_repair_pass_of_another_process_wakes_its_polls(
    postgres_url: str, redis_url: str
) -> None:
    store = open_store(postgres_url)
    await store.open()
    redis = {"DW_REDIS_URL": redis_url}
    try:
        async with (
            small_server(store, environ={**NO_SWEEP, **redis}) as node,
            small_server(store, environ=redis, first_id=10**9) as matching,
        ):
            await node.register()
            poll = asyncio.create_task(node.poll(a_poll(wait_seconds=LONG)))
            await eventually(lambda: node.faults.calls["ready_tasks"] == 1)
            task_id = await a_task_nobody_told_of(store)
            report = await matching.services.task_repair.run_pass(
                RepairScopeFilter("default"), respects_throttle=True
            )
            assert report.repaired == 1
            delivery = await poll
            assert delivery is not None
            assert delivery.leased.task.id == task_id
            assert delivery.leased.task.repair_count == 1
    finally:
        await store.close()
