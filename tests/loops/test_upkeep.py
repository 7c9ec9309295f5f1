"""The loops that sweep, forget and write down signs of life."""

from __future__ import annotations

import asyncio

from dwserver.engine.words import TaskKind
from dwserver.loops.matching import sweep_loop, upkeep_loop
from dwserver.loops.worker_liveness import liveness_loop
from tests.support.small_server import (
    LONG,
    SmallServer,
    a_poll,
    small_server,
)
from tests.support.waiting import eventually


async def one_pass() -> None:
    """A loop that has been started makes its first pass."""
    for _ in range(3):
        await asyncio.sleep(0)


async def test_the_sweep_finds_tasks_of_another_process(server: SmallServer) -> None:
    poll = asyncio.create_task(server.poll(a_poll(wait_seconds=LONG)))
    await eventually(lambda: server.faults.calls["ready_tasks"])
    waiting: list[tuple[TaskKind, int]] = []
    loop = sweep_loop(
        server.core.matcher,
        server.supervisor,
        interval_seconds=0.02,
        observe_waiting=lambda kind, count: waiting.append((kind, count)),
    )
    await loop.start()
    async with small_server(server.faults.real, first_id=10**9) as other:
        await other.start()
    assert await poll is not None
    assert (TaskKind.WORKFLOW, 1) in waiting
    assert (TaskKind.ACTIVITY, 0) in waiting
    await loop.drain()


async def test_the_sweep_without_pollers_costs_nothing(server: SmallServer) -> None:
    loop = sweep_loop(
        server.core.matcher,
        server.supervisor,
        interval_seconds=0.001,
        observe_waiting=lambda kind, count: None,
    )
    await loop.start()
    await one_pass()
    await server.start()
    await loop.drain()
    assert server.faults.calls["ready_tasks"] == 0


async def test_upkeep_forgets_idle_queues_and_loses_no_task(
    server: SmallServer,
) -> None:
    await server.start()
    loop = upkeep_loop(server.core.matcher, server.supervisor)
    await loop.start()
    await one_pass()
    await loop.drain()
    assert await server.poll() is not None
    assert server.faults.calls["ready_tasks"] == 1


async def test_signs_of_life_are_written(server: SmallServer) -> None:
    server.clock.advance(seconds=20)
    await server.poll()
    loop = liveness_loop(server.services.workers, server.supervisor)
    await loop.start()
    await eventually(lambda: server.faults.calls["touch_workers"])
    await loop.drain()
    [worker] = await server.services.workers.find_all("default")
    assert worker.last_heartbeat_at == server.clock.now()
