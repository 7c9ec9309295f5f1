"""Query-task polls: who may poll, repeated polls, leases that do not arrive."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwserver.coordination.query_tasks import Answered, QueryLease
from dwserver.engine.outcome import Rejection
from tests.services.query_room import LEASE_SECONDS, QueryRoom, a_query_poll, ref_of
from tests.support.small_server import QUEUE, SmallServer

YES = Answered(b'"yes"', None)


@pytest.fixture
async def room(server: SmallServer) -> QueryRoom:
    await server.start()
    return QueryRoom(server)


@pytest.mark.parametrize(
    ("fields", "reason", "shown"),
    [
        ({"worker_id": "ghost"}, "worker_not_registered", {"worker_id": "ghost"}),
        ({"namespace": "other"}, "worker_not_registered", {"worker_id": "worker-1"}),
        (
            {"task_queue": "bills"},
            "task_queue_mismatch",
            {
                "worker_id": "worker-1",
                "registered_task_queue": QUEUE,
                "requested_task_queue": "bills",
            },
        ),
    ],
)
async def test_refusals(
    room: QueryRoom, fields: dict[str, Any], reason: str, shown: dict[str, str]
) -> None:
    refused = await room.tasks.poll(a_query_poll(**fields))
    assert isinstance(refused, Rejection)
    assert (refused.reason, refused.fields) == (reason, shown)


async def test_a_worker_that_registered_elsewhere_meanwhile_is_known(
    room: QueryRoom,
) -> None:
    poll = a_query_poll(worker_id="worker-2")
    assert isinstance(await room.tasks.poll(poll), Rejection)
    await room.server.register("worker-2")
    assert await room.tasks.poll(poll) is None


async def test_a_poll_is_a_sign_of_life(room: QueryRoom) -> None:
    server = room.server
    server.clock.advance(seconds=30)
    await room.tasks.poll(a_query_poll())
    await server.services.workers.write_seen()
    stored = await server.faults.real.find_worker("default", "worker-1")
    assert stored is not None
    assert stored.last_heartbeat_at == server.clock.now()


async def test_a_draining_worker_gets_nothing(room: QueryRoom) -> None:
    await room.server.drain("old")
    await room.server.register("leaves", build_id="old")
    asking = room.asking()
    lost = await room.tasks.poll(a_query_poll(worker_id="leaves", wait_seconds=7))
    assert lost is None
    assert room.idle.seconds == [7]
    await room.tasks.settle(ref_of(await room.leased()), YES)
    assert await asking == YES


async def test_a_repeated_poll_gets_the_same_lease(room: QueryRoom) -> None:
    asking = [room.asking(), room.asking()]
    first = await room.leased(poll_request_id="r1")
    assert await room.leased(poll_request_id="r1") == first
    second = await room.leased(poll_request_id="r2")
    assert second.task.id != first.task.id
    for lease in (first, second):
        await room.tasks.settle(ref_of(lease), YES)
    assert await asyncio.gather(*asking) == [YES, YES]


@pytest.mark.parametrize("how", ["answered", "given back", "expired"])
async def test_a_lease_that_is_over_is_not_repeated(room: QueryRoom, how: str) -> None:
    asking = room.asking()
    first = await room.leased(poll_request_id="r1")
    match how:
        case "answered":
            await room.tasks.settle(ref_of(first), YES)
        case "given back":
            await room.tasks.undeliverable(first)
        case "expired":
            room.timers.advance(LEASE_SECONDS)
    again = await room.tasks.poll(a_query_poll(poll_request_id="r1"))
    if how == "answered":
        assert again is None
    else:
        assert isinstance(again, QueryLease)
        assert (again.task, again.attempt) == (first.task, 2)
    room.exchange.drain()
    await asking


async def test_an_empty_poll_is_repeated_empty(room: QueryRoom) -> None:
    poll = a_query_poll(poll_request_id="r1")
    assert await room.tasks.poll(poll) is None
    asking = room.asking()
    await room.tasks.undeliverable(await room.leased(poll_request_id="r2"))
    assert await room.tasks.poll(poll) is None
    room.exchange.drain()
    await asking
