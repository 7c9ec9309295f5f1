"""Queries on a real database: who is asked, what a worker is shown, who hears of it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from dwserver.coordination.query_tasks import (
    Answered,
    Failed,
    QueryExchangeUnavailable,
    QueryLease,
)
from dwserver.engine.model import Payload, RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import RunStatus, TaskKind
from dwserver.protocol.payloads.framing import Framing
from dwserver.services.runs import RunNotFound
from dwserver.store.api import Store
from tests.http.handler_stage import recordings
from tests.services.query_room import (
    COMPLETE,
    LEASE_SECONDS,
    TIMEOUT_SECONDS,
    QueryRoom,
    a_query_poll,
    ref_of,
)
from tests.support.builders import SECOND
from tests.support.small_server import (
    ARGUMENTS,
    CHARGE,
    NAMESPACE,
    SmallServer,
    small_server,
)
from tests.support.waiting import eventually
from tests.support.wrapper_payloads import wrapper_value

YES = Answered(b'"yes"', None)
PLAIN = Payload("json", '["a",{"b":1}]')


@pytest.fixture
async def room(server: SmallServer) -> QueryRoom:
    await server.start()
    return QueryRoom(server)


@pytest.fixture
async def other(sqlite_store: Store) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    async with small_server(sqlite_store, first_id=10**9) as other:
        yield other


async def shown(
    server: SmallServer, lease: QueryLease, framing: Framing = Framing.WRAPPER
) -> dict[str, Any]:
    text = await server.services.deliveries.query_task(lease, framing=framing)
    task: dict[str, Any] = orjson.loads(text)
    return task


# the way of a query ------------------------------------------------------------------


async def test_a_worker_answers_a_caller(room: QueryRoom) -> None:
    asking = room.asking(arguments=ARGUMENTS)
    lease = await room.leased()
    run = await room.run()
    task = lease.task
    assert (task.run_id, task.workflow_type) == (run.id, run.workflow_type)
    assert (task.namespace, task.queue) == (NAMESPACE, run.task_queue)
    assert (task.query_name, task.arguments) == ("state", ARGUMENTS)
    assert task.id == task.id.upper()
    assert await room.tasks.settle(ref_of(lease), YES) is None
    assert await asking == YES
    assert room.outcomes == ["answered"]


async def test_a_query_leaves_no_trace(room: QueryRoom) -> None:
    run = await room.run()
    before = await room.server.event_types(run.id), await room.server.state(run.id)
    commits = room.server.faults.calls["commit"]
    asking = room.asking()
    lease = await room.leased()
    await room.tasks.settle(ref_of(lease), Failed("query_rejected", "no"))
    assert await asking == Failed("query_rejected", "no")
    assert room.outcomes == ["failed"]
    after = await room.server.event_types(run.id), await room.server.state(run.id)
    assert after == before
    assert room.server.faults.calls["commit"] == commits


async def test_a_closed_run_is_asked_like_an_open_one(room: QueryRoom) -> None:
    server = room.server
    await server.complete(await server.leased(), [COMPLETE])
    asking = room.asking()
    lease = await room.leased()
    task = await shown(server, lease)
    assert task["run_status"] == RunStatus.COMPLETED
    assert task["history_events"][-1]["event_type"] == "WorkflowCompleted"
    await room.tasks.settle(ref_of(lease), YES)
    assert await asking == YES


async def test_an_unknown_workflow_has_no_run(room: QueryRoom) -> None:
    assert await room.queries.current_run(NAMESPACE, "nope") is None
    assert await room.queries.current_run("other", "order-1") is None


# what a worker is shown --------------------------------------------------------------


async def test_the_task_has_the_recorded_members(room: QueryRoom) -> None:
    room.asking(arguments=ARGUMENTS)
    lease = await room.leased()
    task = await shown(room.server, lease)
    recorded = next(
        each.answer["task"]
        for each in recordings("worker", "query_tasks")
        if each.name == "poll_query_task"
    )
    assert task.keys() - recorded.keys() == {"namespace"}
    assert recorded.keys() <= task.keys()
    run = await room.run()
    del task["history_events"]
    assert task == {
        "query_task_id": lease.task.id,
        "query_task_attempt": 1,
        "namespace": NAMESPACE,
        "workflow_id": "order-1",
        "run_id": run.id,
        "workflow_type": run.workflow_type,
        "query_name": "state",
        "payload_codec": "avro",
        "workflow_arguments": {"codec": "avro", "blob": ARGUMENTS.data},
        "query_arguments": {"codec": "avro", "blob": ARGUMENTS.data},
        "run_status": "pending",
        "last_history_sequence": 2,
        "task_queue": run.task_queue,
        "lease_owner": "worker-1",
        "lease_expires_at": "2026-04-13T12:00:20.000000Z",
    }


async def test_no_arguments_are_an_empty_envelope(server: SmallServer) -> None:
    await server.start(input=RunInput(arguments=None))
    room = QueryRoom(server)
    room.asking()
    task = await shown(server, await room.leased())
    assert task["query_arguments"] == {"codec": "avro", "blob": None}
    assert task["workflow_arguments"] is None


@pytest.mark.parametrize("framing", Framing)
async def test_values_that_came_unencoded_are_framed_for_the_worker(
    server: SmallServer, framing: Framing
) -> None:
    await server.start(input=RunInput(arguments=PLAIN))
    room = QueryRoom(server)
    await server.complete(await server.leased(), [CHARGE])
    activity = await server.leased(TaskKind.ACTIVITY)
    await server.complete_activity(activity, PLAIN)
    room.asking(arguments=PLAIN)
    task = await shown(server, await room.leased(), framing)
    assert b"$dw.plain" not in orjson.dumps(task)
    [done] = [
        event["payload"]
        for event in task["history_events"]
        if event["event_type"] == "ActivityCompleted"
    ]
    blobs = [
        task["workflow_arguments"]["blob"],
        task["query_arguments"]["blob"],
        done["result"],
    ]
    if framing is Framing.WRAPPER:
        assert [wrapper_value(blob) for blob in blobs] == [["a", {"b": 1}]] * 3
    else:
        assert all(b64decode(blob).startswith(b"\xc3\x01") for blob in blobs)


async def test_the_history_is_whole_and_of_the_moment_of_the_lease(
    room: QueryRoom, other: SmallServer
) -> None:
    asking = room.asking()
    await eventually(lambda: room.timers.live, what="the question")
    # More than the largest page; committed after the question was asked.
    server = room.server
    await server.complete(await server.leased(), [CHARGE] * 1000)
    lease = await room.leased()
    task = await shown(server, lease)
    sequences = [event["sequence"] for event in task["history_events"]]
    assert sequences == [*range(1, task["last_history_sequence"] + 1)]
    assert len(sequences) > 1000
    assert await shown(other, lease) == task
    await room.tasks.settle(ref_of(lease), YES)
    await asking


async def test_a_run_that_is_gone_ends_the_query(room: QueryRoom) -> None:
    asking = room.asking()
    lease = await room.leased()

    with pytest.raises(RunNotFound):
        await shown(
            room.server, replace(lease, task=replace(lease.task, run_id="gone"))
        )
    await room.tasks.run_is_gone(lease)
    reply = await asking
    assert isinstance(reply, Failed)
    assert reply.reason == "query_rejected"


# who could answer --------------------------------------------------------------------


@pytest.mark.parametrize(
    "worker",
    [
        None,
        {"task_queue": "bills"},
        {"namespace": "other"},
        {"workflow_types": ("orders.Bill",)},
        {"build_id": "old"},
    ],
)
async def test_without_a_worker_nobody_waits(
    sqlite_store: Store, worker: dict[str, Any] | None
) -> None:
    async with small_server(sqlite_store) as server:
        await server.start()
        await server.drain("old")
        if worker is not None:
            await server.register(**worker)
        room = QueryRoom(server)
        assert (await room.refused()).reason == "query_worker_unavailable"
        assert room.outcomes == ["no_worker"]
        assert not await room.queries.can_answer(await room.run())
        # One that comes is noticed by the next question.
        await server.register("worker-2", workflow_types=("orders.Ship",))
        room.asking()
        assert await room.leased(worker_id="worker-2")


async def test_a_worker_that_is_not_heard_of_cannot_answer(
    server: SmallServer,
) -> None:
    await server.start()
    server.clock.advance(seconds=61)
    assert (await QueryRoom(server).refused()).reason == "query_worker_unavailable"


async def test_a_marked_run_needs_a_worker_of_its_build(server: SmallServer) -> None:
    await server.start(compatibility="b1")
    room = QueryRoom(server)
    assert (await room.refused()).reason == "query_worker_incompatible"
    await server.register("built", build_id="b1")
    room.asking()
    await eventually(lambda: room.timers.live, what="the question")
    assert await room.tasks.poll(a_query_poll()) is None
    assert await room.leased(worker_id="built")


async def test_workers_are_read_once_in_a_while(room: QueryRoom) -> None:
    calls = room.server.faults.calls
    for _ in range(3):
        asking = room.asking()
        await room.tasks.settle(ref_of(await room.leased()), YES)
        await asking
        assert await room.queries.can_answer(await room.run())
    assert calls["list_workers"] == 1
    room.timers.advance(5)
    assert await room.queries.can_answer(await room.run())
    assert calls["list_workers"] == 2


# nobody answers ----------------------------------------------------------------------


async def test_a_query_that_nobody_takes_times_out(room: QueryRoom) -> None:
    asking = room.asking()
    await eventually(lambda: room.timers.live, what="the question")
    room.timers.advance(TIMEOUT_SECONDS)
    reply = await asking
    assert isinstance(reply, Rejection)
    assert reply.reason == "query_worker_timeout"
    assert room.outcomes == ["not_claimed"]


async def test_a_query_that_nobody_answers_times_out(room: QueryRoom) -> None:
    asking = room.asking()
    first = await room.leased()
    room.timers.advance(LEASE_SECONDS)
    second = await room.leased()
    assert (second.task, second.attempt) == (first.task, 2)
    assert second.expires_at == room.timers.now() + LEASE_SECONDS * SECOND
    room.timers.advance(TIMEOUT_SECONDS - LEASE_SECONDS)
    reply = await asking
    assert isinstance(reply, Rejection)
    assert reply.reason == "query_worker_timeout"
    assert room.outcomes == ["timed_out"]
    refused = await room.tasks.settle(ref_of(second), YES)
    assert refused is not None
    assert refused.reason == "query_task_timed_out"


async def test_a_full_queue_refuses(room: QueryRoom) -> None:
    waiting = [room.asking() for _ in range(2)]
    await eventually(lambda: room.timers.live == 2, what="two questions")
    assert (await room.refused()).reason == "query_task_queue_full"
    assert room.outcomes == ["queue_full"]
    assert not any(asking.done() for asking in waiting)


async def test_a_caller_that_has_gone_is_counted(room: QueryRoom) -> None:
    asking = room.asking(is_there=False)
    await eventually(lambda: room.timers.live, what="the question")
    assert await room.tasks.poll(a_query_poll()) is None
    await asking
    assert room.outcomes == ["caller_gone"]


async def test_without_an_exchange_queries_are_refused(room: QueryRoom) -> None:
    room.exchange.drain()
    assert (await room.refused()).reason == "query_task_queue_unavailable"
    assert room.outcomes == ["unavailable"]


async def test_without_an_exchange_workers_are_refused(
    room: QueryRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_args: object, **_options: object) -> None:
        raise QueryExchangeUnavailable("no route")

    asking = room.asking()
    lease = await room.leased()
    monkeypatch.setattr(room.exchange, "lease", down)
    monkeypatch.setattr(room.exchange, "settle", down)
    monkeypatch.setattr(room.exchange, "give_back", down)
    for request_id in (None, "r1"):
        refused = await room.tasks.poll(a_query_poll(poll_request_id=request_id))
        assert isinstance(refused, Rejection)
        assert refused.reason == "query_task_queue_unavailable"
        assert refused.fields == {
            "task": None,
            "namespace": NAMESPACE,
            "task_queue": lease.task.queue,
        }
    refused = await room.tasks.settle(ref_of(lease), YES)
    assert refused is not None
    assert refused.reason == "query_task_queue_unavailable"
    await room.tasks.undeliverable(lease)
    room.exchange.drain()
    await asking
