"""Outcomes and heartbeats of activity attempts (``spec/worker-protocol.md §9``)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import orjson
import pytest

from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.draft import Draft
from dwserver.engine.lifecycle.activity_outcome import AttemptFailure, Recorded
from dwserver.engine.lifecycle.close import CloseRequest, close_on_request
from dwserver.engine.lifecycle.heartbeat import HeartbeatState
from dwserver.engine.model import JsonMap, RetryPolicy
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    CommandType,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from dwserver.matching.pollers import Delivery
from dwserver.store.api import Store
from tests.services.run_room import RunRoom
from tests.support.builders import NOON
from tests.support.small_server import (
    ARGUMENTS,
    SECOND,
    SmallServer,
    attempt_of,
    small_server,
)

LEASE = 300 * SECOND
FAILURE = AttemptFailure(message="no stock")


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


async def rewrite(store: Store, run_id: str, **fields: Any) -> None:
    """Somebody else changes the run row."""
    room = RunRoom(store, first_id=2 * 10**9)

    def change(draft: Draft) -> None:
        draft.set_run(**fields)

    await room.runs.decide(run_id, change)
    await room.supervisor.stop()


async def beat(
    server: SmallServer, delivery: Delivery, progress: JsonMap | None = None
) -> HeartbeatState:
    answer = await server.services.activity_tasks.heartbeat(
        attempt_of(delivery), progress
    )
    assert isinstance(answer, HeartbeatState), answer
    return answer


def stop_of(state: HeartbeatState) -> tuple[bool, bool, str | None]:
    """``cancel_requested``, ``can_continue``, ``reason``."""
    return state.cancel_requested, state.can_continue, state.reason


# outcomes ----------------------------------------------------------------------------


async def test_a_result_wakes_the_workflow(
    server: SmallServer, other: SmallServer
) -> None:
    activity = await server.with_activity()
    recorded = await other.complete_activity(activity)
    task = await other.poll()
    assert task is not None
    assert recorded.next_task_id == task.leased.task.id


async def test_the_same_result_twice(server: SmallServer, other: SmallServer) -> None:
    activity = await server.with_activity()
    await server.complete_activity(activity)
    for each in (server, other):
        again = await each.services.activity_tasks.complete(
            attempt_of(activity), ARGUMENTS
        )
        assert isinstance(again, Rejection)
        assert again.reason == "stale_attempt"


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("task_id", "nobody", "task_not_found"),
        ("namespace", "other", "task_not_found"),
        ("attempt_id", "nobody", "attempt_not_found"),
        ("owner", "worker-9", "lease_owner_mismatch"),
    ],
)
async def test_whose_attempt_it_is(
    server: SmallServer, field: str, value: str, reason: str
) -> None:
    activity = await server.with_activity()
    ref = replace(attempt_of(activity), **{field: value})
    tasks = server.services.activity_tasks
    for answer in (
        await tasks.complete(ref, ARGUMENTS),
        await tasks.fail(ref, FAILURE),
        await tasks.heartbeat(ref),
    ):
        assert isinstance(answer, Rejection)
        assert answer.reason == reason
    # The attempt is still good.
    await server.complete_activity(activity)


async def test_a_workflow_task_is_no_activity_task(server: SmallServer) -> None:
    activity = await server.with_activity()
    await server.complete_activity(activity)
    workflow_task = await server.leased()
    ref = replace(attempt_of(activity), task_id=workflow_task.leased.task.id)
    answer = await server.services.activity_tasks.complete(ref, None)
    assert isinstance(answer, Rejection)
    assert answer.reason == "task_not_found"


async def test_an_expired_lease_that_nobody_took_still_counts(
    server: SmallServer,
) -> None:
    activity = await server.with_activity()
    server.clock.advance(microseconds=LEASE + 1)
    await server.complete_activity(activity)


async def test_an_attempt_whose_lease_was_taken_away_is_stale(
    server: SmallServer,
) -> None:
    activity = await server.with_activity()
    server.clock.advance(microseconds=LEASE)
    await server.core.leases.requeue_expired()
    answer = await server.services.activity_tasks.complete(
        attempt_of(activity), ARGUMENTS
    )
    assert isinstance(answer, Rejection)
    assert answer.reason == "stale_attempt"
    second = await server.leased(TaskKind.ACTIVITY)
    assert second.leased.task.attempt == 2
    assert second.leased.task.attempt_id != activity.leased.task.attempt_id
    await server.complete_activity(second)


async def test_a_failure_is_retried_by_policy_after_its_backoff(
    server: SmallServer,
) -> None:
    await server.start()
    policy = RetryPolicy(max_attempts=2, backoff_seconds=(5,))
    command = ScheduleActivity(activity_type="orders.Charge", retry_policy=policy)
    await server.complete(await server.leased(), [command])
    first = await server.leased(TaskKind.ACTIVITY)
    recorded = await server.services.activity_tasks.fail(attempt_of(first), FAILURE)
    assert isinstance(recorded, Recorded)
    assert recorded.next_task_id is not None
    assert await server.poll() is None
    server.clock.advance(seconds=5)
    server.core.matcher.sweep()
    state = await server.state(first.leased.run.id)
    retry = state.tasks[recorded.next_task_id]
    assert (retry.status, retry.available_at) == (
        TaskStatus.READY,
        server.clock.now(),
    )


# heartbeats (§9.5) -------------------------------------------------------------------


async def test_a_heartbeat_renews_the_lease_and_its_deadline(
    server: SmallServer,
) -> None:
    await server.start()
    policy = RetryPolicy(heartbeat_timeout=20)
    command = ScheduleActivity(activity_type="orders.Charge", retry_policy=policy)
    await server.complete(await server.leased(), [command])
    activity = await server.leased(TaskKind.ACTIVITY)
    server.clock.advance(seconds=10)
    now = server.clock.now()
    answer = await beat(server, activity)
    assert stop_of(answer) == (False, True, None)
    assert (answer.task.lease_expires_at, answer.heartbeat_at) == (now + LEASE, now)
    state = await server.state(activity.leased.run.id)
    [task] = state.tasks.values()
    [row] = state.activities.values()
    assert task.lease_expires_at == now + LEASE
    assert row.heartbeat_deadline_at == now + 20 * SECOND
    assert row.last_heartbeat_at == now


async def test_history_shows_one_heartbeat_a_second(server: SmallServer) -> None:
    """Those between renew the lease and its deadline without touching the run."""
    await server.start()
    policy = RetryPolicy(heartbeat_timeout=20)
    command = ScheduleActivity(activity_type="orders.Charge", retry_policy=policy)
    await server.complete(await server.leased(), [command])
    activity = await server.leased(TaskKind.ACTIVITY)
    run_id = activity.leased.run.id
    await beat(server, activity, {"current": 1})
    before = (await server.state(run_id)).run
    commits = server.faults.calls["commit"]
    for _ in range(9):
        server.clock.advance(microseconds=SECOND // 10)
        answer = await beat(server, activity, {"current": 2})
        assert answer.heartbeat_at == server.clock.now()
    state = await server.state(run_id)
    assert state.run == before
    assert server.faults.calls["commit"] == commits
    [task], [row] = state.tasks.values(), state.activities.values()
    assert task.lease_expires_at == server.clock.now() + LEASE
    assert row.heartbeat_deadline_at == server.clock.now() + 20 * SECOND
    server.clock.advance(microseconds=SECOND // 10)
    await beat(server, activity, {"current": 3})
    types = await server.event_types(run_id)
    assert types[-3:] == ["ActivityStarted", *["ActivityHeartbeatRecorded"] * 2]
    events = await server.faults.real.history(run_id, after=5, upto=None, limit=9)
    assert [orjson.loads(e.payload)["progress"] for e in events] == [{"current": 3}]


async def test_after_a_heartbeat_a_renewed_lease_is_not_taken_away(
    server: SmallServer, other: SmallServer
) -> None:
    activity = await server.with_activity()
    server.clock.advance(seconds=200)
    await beat(other, activity)
    server.clock.advance(seconds=200)
    await server.core.leases.requeue_expired()
    await server.complete_activity(activity)


@pytest.mark.parametrize(
    ("command_type", "reason"),
    [
        (CommandType.CANCEL, "run_cancelled"),
        (CommandType.TERMINATE, "run_terminated"),
    ],
)
async def test_a_run_ended_from_outside_tells_the_activity_to_stop(
    server: SmallServer, other: SmallServer, command_type: CommandType, reason: str
) -> None:
    """The other process does not know of it yet."""
    activity = await server.with_activity()
    await beat(other, activity)
    request = CloseRequest(namespace="default", command_type=command_type)
    room = RunRoom(server.faults.real, first_id=2 * 10**9)
    room.clock.advance(seconds=5)
    closed = await room.runs.decide(
        activity.leased.run.id, lambda draft: close_on_request(draft, request)
    )
    await room.supervisor.stop()
    for each in (other, server):
        each.clock.advance(seconds=1)
        answer = await beat(each, activity)
        assert stop_of(answer) == (True, False, reason)
        assert answer.run.closed_at == closed.run.closed_at
        assert (answer.heartbeat_at, answer.task.lease_expires_at) == (NOON, None)
        outcome = await each.services.activity_tasks.complete(
            attempt_of(activity), ARGUMENTS
        )
        assert isinstance(outcome, Rejection)
        assert outcome.reason == reason
        assert outcome.fields["task_status"] == "cancelled"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (RunStatus.COMPLETED, (False, False, "run_closed")),
        (RunStatus.FAILED, (False, False, "run_closed")),
    ],
)
async def test_a_closed_run_tells_the_activity_to_stop(
    server: SmallServer,
    other: SmallServer,
    status: RunStatus,
    told: tuple[bool, bool, str],
) -> None:
    activity = await server.with_activity()
    run_id = activity.leased.run.id
    closed_at = server.clock.now()
    await rewrite(server.faults.real, run_id, status=status, closed_at=closed_at)
    answer = await beat(other, activity)
    assert stop_of(answer) == told
    assert answer.run.closed_at == closed_at
    assert answer.heartbeat_at is None


async def test_a_closed_attempt_is_told_so(
    server: SmallServer, other: SmallServer
) -> None:
    activity = await server.with_activity()
    await server.complete_activity(activity)
    for each in (server, other):
        answer = await beat(each, activity)
        assert stop_of(answer) == (False, False, "attempt_closed")


async def test_an_attempt_that_was_taken_away_is_told_so(server: SmallServer) -> None:
    activity = await server.with_activity()
    server.clock.advance(microseconds=LEASE)
    await server.core.leases.requeue_expired()
    answer = await beat(server, activity)
    assert stop_of(answer) == (False, False, "attempt_closed")


async def test_a_lease_lost_between_look_and_renewal(
    server: SmallServer, other: SmallServer
) -> None:
    activity = await server.with_activity()

    async def taken_away() -> None:
        other.clock.advance(microseconds=LEASE)
        await other.core.leases.requeue_expired()

    await beat(server, activity)
    server.faults.before_next("renew_leases", taken_away)
    answer = await beat(server, activity)
    assert stop_of(answer) == (False, False, "attempt_closed")
    assert answer.heartbeat_at == NOON
    [task] = (await server.state(activity.leased.run.id)).tasks.values()
    assert task.status is TaskStatus.READY
