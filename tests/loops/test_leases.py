"""Expired leases return to their queue, silently (decision 14)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import structlog

from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.loops import leases as lease_module
from dwserver.loops.leases import lease_loop
from dwserver.matching.pollers import Delivery
from dwserver.services import sweeps
from dwserver.store.api import StoreUnavailable
from tests.support.builders import SECOND, a_renewal
from tests.support.small_server import (
    CHARGE,
    LONG,
    SmallServer,
    a_poll,
    ref_of,
    small_server,
)
from tests.support.waiting import eventually

LEASES = {TaskKind.WORKFLOW: 60, TaskKind.ACTIVITY: 300}


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


async def leased(server: SmallServer, kind: TaskKind) -> Delivery:
    await server.start()
    task = await server.leased()
    if kind is TaskKind.WORKFLOW:
        return task
    await server.complete(task, [CHARGE])
    return await server.leased(kind)


async def status_of(server: SmallServer, delivery: Delivery) -> TaskStatus:
    state = await server.state(delivery.leased.run.id)
    return state.tasks[delivery.leased.task.id].status


@pytest.mark.parametrize("kind", TaskKind)
async def test_a_lease_is_taken_away_when_it_expires_and_not_before(
    server: SmallServer, kind: TaskKind
) -> None:
    delivery = await leased(server, kind)
    before = await server.event_types(delivery.leased.run.id)
    server.clock.advance(seconds=LEASES[kind], microseconds=-1)
    await server.core.leases.requeue_expired()
    assert await status_of(server, delivery) is TaskStatus.LEASED
    server.clock.advance(microseconds=1)
    await server.core.leases.requeue_expired()
    assert await status_of(server, delivery) is TaskStatus.READY
    assert await server.event_types(delivery.leased.run.id) == before
    again = await server.leased(kind)
    assert again.leased.task.id == delivery.leased.task.id
    assert again.leased.task.attempt == 2


async def test_a_poll_that_waits_gets_the_task_at_once(server: SmallServer) -> None:
    delivery = await leased(server, TaskKind.WORKFLOW)
    poll = asyncio.create_task(server.poll(a_poll(wait_seconds=LONG)))
    await eventually(server.core.matcher.pollers.queues)
    server.clock.advance(seconds=60)
    await server.core.leases.requeue_expired()
    again = await poll
    assert again is not None
    assert again.leased.task.id == delivery.leased.task.id


async def test_a_renewal_by_another_process_is_respected(
    server: SmallServer, other: SmallServer
) -> None:
    delivery = await leased(server, TaskKind.WORKFLOW)
    server.clock.advance(seconds=30)
    await other.services.workflow_tasks.heartbeat(ref_of(delivery))
    server.clock.advance(seconds=30)
    await server.core.leases.requeue_expired()
    assert await status_of(server, delivery) is TaskStatus.LEASED


async def test_a_renewal_between_look_and_write_is_respected(
    server: SmallServer,
) -> None:
    """The renewal does not touch the run: the lease itself is guarded."""
    delivery = await leased(server, TaskKind.ACTIVITY)
    task = delivery.leased.task
    server.clock.advance(seconds=300)

    async def renewed() -> None:
        renewal = a_renewal(
            task,
            lease_expires_at=server.clock.now() + 300 * SECOND,
            attempt=None,
            attempt_id=task.attempt_id,
            activity_id=task.activity_id,
        )
        [is_renewed] = await server.faults.real.renew_leases([renewal])
        assert is_renewed

    server.faults.before_next("commit", renewed)
    await server.core.leases.requeue_expired()
    assert await status_of(server, delivery) is TaskStatus.LEASED


async def test_two_processes_take_a_lease_away_once(
    server: SmallServer, other: SmallServer
) -> None:
    delivery = await leased(server, TaskKind.WORKFLOW)
    server.clock.advance(seconds=60)
    await server.core.leases.requeue_expired()
    await other.core.leases.requeue_expired()
    [task] = (await server.state(delivery.leased.run.id)).tasks.values()
    assert task.repair_count == 1


async def test_full_batches_are_followed_at_once(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "BATCH", 2)
    for number in range(3):
        await server.start(f"order-{number}")
        await server.leased()
    server.clock.advance(seconds=60)
    assert await server.core.leases.requeue_expired() == 0.0
    assert await server.core.leases.requeue_expired() is None
    assert len([await server.poll() for _ in range(3)]) == 3


async def test_a_run_that_is_contended_is_left_for_the_next_pass(
    server: SmallServer,
) -> None:
    delivery = await leased(server, TaskKind.WORKFLOW)
    server.clock.advance(seconds=60)
    server.faults.refuse_next_commits(10)
    assert await server.core.leases.requeue_expired() is None
    assert await status_of(server, delivery) is TaskStatus.LEASED
    await server.core.leases.requeue_expired()
    assert await status_of(server, delivery) is TaskStatus.READY


async def test_what_is_taken_away_is_counted(server: SmallServer) -> None:
    await leased(server, TaskKind.ACTIVITY)
    server.clock.advance(seconds=300)
    await server.core.leases.requeue_expired()
    text = server.metrics.exposition().decode()
    [line] = [
        line
        for line in text.splitlines()
        if "leases_expired" in line
        and 'kind="activity"' in line
        and "_created" not in line
    ]
    assert float(line.split()[-1]) == 1.0


@pytest.mark.parametrize("kind", TaskKind)
async def test_what_is_taken_away_is_logged(
    server: SmallServer, kind: TaskKind
) -> None:
    delivery = await leased(server, kind)
    server.clock.advance(seconds=LEASES[kind])
    with structlog.testing.capture_logs() as logs:
        await server.core.leases.requeue_expired()
        await server.core.leases.requeue_expired()
    assert logs == [
        {
            "event": "lease_expired",
            "log_level": "info",
            "run_id": delivery.leased.run.id,
            "task_id": delivery.leased.task.id,
            "kind": kind,
            "lease_owner": "worker-1",
        }
    ]


async def test_what_is_left_alone_is_not_logged(server: SmallServer) -> None:
    await leased(server, TaskKind.WORKFLOW)
    server.clock.advance(seconds=60)
    server.faults.refuse_next_commits(10)
    with structlog.testing.capture_logs() as logs:
        await server.core.leases.requeue_expired()
    assert logs == []


async def test_a_mass_expiry_is_logged_as_a_few_and_a_count(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "LISTED", 2)
    for number in range(5):
        await server.start(f"order-{number}")
        await server.leased()
    server.clock.advance(seconds=60)
    with structlog.testing.capture_logs() as logs:
        await server.core.leases.requeue_expired()
    assert [log["event"] for log in logs] == [
        "lease_expired",
        "lease_expired",
        "more_leases_expired",
    ]
    assert logs[-1]["count"] == 3


async def test_what_is_taken_away_beside_a_failure_is_logged(
    server: SmallServer,
) -> None:
    for number in range(2):
        await server.start(f"order-{number}")
        await server.leased()
    server.clock.advance(seconds=60)

    server.faults.fail_next("commit", StoreUnavailable("gone"))
    with (
        structlog.testing.capture_logs() as logs,
        pytest.raises(StoreUnavailable),
    ):
        await server.core.leases.requeue_expired()
    assert [log["event"] for log in logs] == ["lease_expired"]


async def test_the_loop_survives_a_database_that_is_away(server: SmallServer) -> None:
    delivery = await leased(server, TaskKind.WORKFLOW)
    server.clock.advance(seconds=60)
    server.faults.fail_next("expired_leases", StoreUnavailable("gone"))
    loop = lease_loop(server.core.leases, server.supervisor)
    await loop.start()

    async def is_ready() -> bool:
        return await status_of(server, delivery) is TaskStatus.READY

    await eventually(is_ready)
    await loop.drain()
