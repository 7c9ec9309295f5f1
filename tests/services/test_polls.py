"""Polls on a real database: who is refused, what is leased, what is given back (§5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import TaskKind, TaskStatus
from dwserver.matching.pollers import Delivery
from dwserver.store.api import QueueKey, StoreUnavailable
from tests.support.small_server import (
    ARGUMENTS,
    CHARGE,
    LONG,
    QUEUE,
    SECOND,
    SmallServer,
    a_poll,
    ref_of,
    small_server,
)
from tests.support.waiting import eventually

WORKFLOWS = QueueKey("default", "orders", TaskKind.WORKFLOW)


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


def polling(server: SmallServer, **fields: Any) -> asyncio.Task[Delivery | None]:
    return asyncio.create_task(server.poll(a_poll(wait_seconds=LONG, **fields)))


async def waiting(server: SmallServer, **fields: Any) -> asyncio.Task[Delivery | None]:
    """A poll that has looked and found nothing."""
    count = sum(server.core.matcher.pollers.counts().values())
    poll = polling(server, **fields)
    await eventually(
        lambda: sum(server.core.matcher.pollers.counts().values()) == count + 1
    )
    return poll


# refusals ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_fields", "reason", "shown"),
    [
        ({"worker_id": "nobody"}, "worker_not_registered", {"worker_id": "nobody"}),
        (
            {"namespace": "other"},
            "worker_not_registered",
            {"worker_id": "worker-1"},
        ),
        (
            {"task_queue": "bills"},
            "task_queue_mismatch",
            {
                "worker_id": "worker-1",
                "registered_task_queue": QUEUE,
                "requested_task_queue": "bills",
            },
        ),
        (
            {"worker_id": "built", "build_id": "b2"},
            "build_id_mismatch",
            {
                "worker_id": "built",
                "registered_build_id": "b1",
                "requested_build_id": "b2",
            },
        ),
    ],
)
@pytest.mark.parametrize("kind", TaskKind)
async def test_refusals(
    server: SmallServer,
    kind: TaskKind,
    request_fields: dict[str, Any],
    reason: str,
    shown: dict[str, str],
) -> None:
    await server.register("built", build_id="b1")
    answer = await server.services.polls.poll(a_poll(kind, **request_fields))
    assert isinstance(answer, Rejection)
    assert answer.reason == reason
    assert answer.fields == shown


@pytest.mark.parametrize(
    ("worker_id", "build_id"),
    [("worker-1", "b2"), ("built", None), ("built", ""), ("built", "b1")],
)
async def test_build_ids_that_do_not_contradict(
    server: SmallServer, worker_id: str, build_id: str | None
) -> None:
    await server.register("built", build_id="b1")
    await server.start()
    found = await server.poll(a_poll(worker_id=worker_id, build_id=build_id))
    assert found is not None


# what is leased ----------------------------------------------------------------------


async def test_the_registered_build_decides(server: SmallServer) -> None:
    await server.register("b1", build_id="b1")
    await server.register("b2", build_id="b2")
    await server.start(compatibility="b1")
    assert await server.poll(a_poll()) is None
    assert await server.poll(a_poll(worker_id="b2")) is None
    assert await server.poll(a_poll(worker_id="b1")) is not None


async def test_the_registered_types_decide(server: SmallServer) -> None:
    await server.register("ships", workflow_types=("orders.Ship",))
    await server.register("bills", workflow_types=("orders.Bill",))
    await server.start()
    assert await server.poll(a_poll(worker_id="bills")) is None
    found = await server.poll(a_poll(worker_id="ships"))
    assert found is not None
    await server.complete(found, [CHARGE])
    await server.register("refunds", activity_types=("orders.Refund",))
    activity_poll = a_poll(TaskKind.ACTIVITY, worker_id="refunds")
    assert await server.poll(activity_poll) is None
    # Workflow types say nothing about activities.
    activity_poll = a_poll(TaskKind.ACTIVITY, worker_id="bills")
    await server.register("bills", workflow_types=("orders.Bill",), activity_types=())
    assert await server.poll(activity_poll) is not None


async def test_a_start_is_handed_to_the_poll_that_waits(server: SmallServer) -> None:
    poll = await waiting(server)
    commits = server.faults.calls["commit"]
    started = await server.start()
    delivery = await poll
    assert delivery is not None
    assert delivery.leased.run.id == started.run.id
    assert server.faults.calls["commit"] == commits + 1
    [task] = (await server.state(started.run.id)).tasks.values()
    assert task == delivery.leased.task
    assert task.lease_expires_at == server.clock.now() + 60 * SECOND


async def test_a_hand_off_carries_the_arguments(server: SmallServer) -> None:
    poll = await waiting(server, kind=TaskKind.ACTIVITY)
    await server.start()
    await server.complete(await server.leased(), [CHARGE])
    delivery = await poll
    assert delivery is not None
    assert delivery.has_arguments
    assert delivery.arguments == ARGUMENTS


async def test_tasks_of_another_process_are_claimed_once(
    server: SmallServer, other: SmallServer
) -> None:
    for number in range(6):
        await other.start(f"order-{number}")
    polls = [polling(server) for _ in range(3)] + [polling(other) for _ in range(3)]
    found = await asyncio.gather(*polls)
    owners = [each.leased.task.id for each in found if each is not None]
    assert len(set(owners)) == 6


async def test_the_oldest_task_first(server: SmallServer, other: SmallServer) -> None:
    runs = []
    for number in range(3):
        runs.append((await other.start(f"order-{number}")).run.id)
        server.clock.advance(seconds=1)
    found = [await server.leased() for _ in range(3)]
    assert [delivery.leased.run.id for delivery in found] == runs


async def test_a_claim_that_cannot_be_committed_loses_nothing(
    server: SmallServer, other: SmallServer
) -> None:
    poll = await waiting(server)
    await other.start()
    server.faults.fail_next("commit", StoreUnavailable("gone"))
    server.core.matcher.sweep()
    await eventually(lambda: server.faults.calls["commit"])
    server.core.matcher.sweep()
    assert await poll is not None


async def test_a_candidate_that_others_keep_changing_is_left_for_later(
    server: SmallServer,
) -> None:
    await server.start()
    server.faults.refuse_next_commits(10)
    assert await polling(server) is not None
    assert server.faults.calls["ready_tasks"] == 1


async def test_a_candidate_that_is_gone_is_skipped(
    server: SmallServer, other: SmallServer
) -> None:
    """Another process was faster with the first of two known tasks."""
    await server.start("order-1")
    await server.start("order-2")
    taken = await other.poll()
    assert taken is not None
    found = await server.leased()
    assert found.leased.run.id != taken.leased.run.id


async def test_a_draining_worker_gets_nothing(server: SmallServer) -> None:
    await server.drain("old")
    await server.register("leaves", build_id="old")
    await server.start()
    assert await server.poll(a_poll(worker_id="leaves")) is None
    assert await server.poll() is not None


async def test_a_poll_that_waits_gets_nothing_after_a_drain(
    server: SmallServer,
) -> None:
    """From the heartbeat on that takes the drain over, not before."""
    await server.register("leaves", build_id="old")
    leaving = asyncio.create_task(
        server.poll(a_poll(worker_id="leaves", wait_seconds=30))
    )
    await eventually(lambda: server.core.matcher.pollers.count(WORKFLOWS) == 1)
    await server.drain("old")
    worker = await server.services.workers.heartbeat("default", "leaves", {})
    assert worker is not None
    assert worker.status == "draining"
    await server.start("order-1")
    assert await leaving is None
    assert await server.poll() is not None


async def test_a_resumed_worker_polls_at_once(
    server: SmallServer, other: SmallServer
) -> None:
    """Wherever it was resumed."""
    await server.drain("old")
    await server.register("leaves", build_id="old")
    await server.start()
    assert await server.poll(a_poll(worker_id="leaves")) is None
    await other.resume("old")
    assert await server.poll(a_poll(worker_id="leaves")) is not None


async def test_polls_alone_tell_a_worker_of_a_drain(server: SmallServer) -> None:
    """Workers of early releases send no heartbeats."""
    await server.register("leaves", build_id="old")
    await server.drain("old")
    assert await server.poll(a_poll(worker_id="leaves")) is None
    await server.services.workers.write_seen()
    await server.start()
    assert await server.poll(a_poll(worker_id="leaves")) is None
    assert await server.poll() is not None


async def test_a_poll_is_a_sign_of_life(server: SmallServer) -> None:
    server.clock.advance(seconds=30)
    await server.poll()
    await server.services.workers.write_seen()
    stored = await server.faults.real.find_worker("default", "worker-1")
    assert stored is not None
    assert stored.last_heartbeat_at == server.clock.now()


# given back --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", TaskKind)
async def test_a_lease_that_did_not_reach_the_client_is_ready_at_once(
    server: SmallServer, kind: TaskKind
) -> None:
    await server.start()
    delivery = await server.leased()
    if kind is TaskKind.ACTIVITY:
        await server.complete(delivery, [CHARGE])
        delivery = await server.leased(kind)
    await server.services.polls.undeliverable(delivery)
    [task] = (await server.state(delivery.leased.run.id)).tasks.values()
    assert (task.status, task.lease_owner) == (TaskStatus.READY, None)
    again = await server.leased(kind)
    assert again.leased.task.id == delivery.leased.task.id
    assert again.leased.task.attempt == 2
    if kind is TaskKind.ACTIVITY:
        assert again.leased.task.attempt_id != delivery.leased.task.attempt_id


async def test_only_the_lease_that_was_lost_is_given_back(server: SmallServer) -> None:
    await server.start()
    first = await server.leased()
    await server.services.polls.undeliverable(first)
    second = await server.leased()
    await server.services.polls.undeliverable(first)
    [task] = (await server.state(first.leased.run.id)).tasks.values()
    assert task == second.leased.task


async def test_nothing_is_given_back_of_a_completed_task(server: SmallServer) -> None:
    await server.start()
    delivery = await server.leased()
    await server.complete(delivery, [CHARGE])
    before = await server.state(delivery.leased.run.id)
    await server.services.polls.undeliverable(delivery)
    assert await server.state(delivery.leased.run.id) == before


# repeated polls (§5.1) ---------------------------------------------------------------


async def test_a_repeated_poll_gets_the_same_lease(server: SmallServer) -> None:
    await server.start("order-1")
    await server.start("order-2")
    request = a_poll(poll_request_id="r1")
    first = await server.poll(request)
    assert first is not None
    again = await server.poll(request)
    assert again is not None
    assert again.leased.task == first.leased.task
    second = await server.poll(a_poll(poll_request_id="r2"))
    assert second is not None
    assert second.leased.run.id != first.leased.run.id


@pytest.mark.parametrize("how", ["expired", "given back", "completed", "leased anew"])
async def test_a_lease_that_is_over_is_not_repeated(
    server: SmallServer, other: SmallServer, how: str
) -> None:
    await server.start("order-1")
    request = a_poll(poll_request_id="r1")
    first = await server.poll(request)
    assert first is not None
    match how:
        case "expired":
            server.clock.advance(seconds=60)
        case "given back":
            await server.services.polls.undeliverable(first)
        case "completed":
            await server.complete(first, [CHARGE])
        case "leased anew":
            await server.services.polls.undeliverable(first)
            await other.poll()
    again = await server.poll(request)
    assert again is not first
    if how == "given back":
        assert again is not None
        assert ref_of(again).attempt == 2
    else:
        assert again is None


async def test_an_empty_poll_is_repeated_empty(server: SmallServer) -> None:
    request = a_poll(poll_request_id="r1")
    assert await server.poll(request) is None
    await server.start()
    assert await server.poll(request) is None
    assert await server.poll(a_poll(poll_request_id="r2")) is not None


async def test_workflow_and_activity_polls_do_not_share_ids(
    server: SmallServer,
) -> None:
    await server.start()
    workflow = await server.poll(a_poll(poll_request_id="r1"))
    assert workflow is not None
    await server.complete(workflow, [CHARGE])
    activity = await server.poll(a_poll(TaskKind.ACTIVITY, poll_request_id="r1"))
    assert activity is not None
    assert activity.leased.task.kind is TaskKind.ACTIVITY


async def test_a_long_queue_of_another_process_is_worked_off_without_the_sweep(
    node: SmallServer, second_node: SmallServer
) -> None:
    """Longer than what one round takes; every poll would wait for the sweep."""
    for number in range(150):
        await second_node.start(f"order-{number}")
    taken = set()
    for _ in range(150):
        delivery = await node.poll(a_poll(wait_seconds=LONG))
        assert delivery is not None
        taken.add(delivery.leased.run.workflow_id)
    assert len(taken) == 150
