"""Runs and activities end when their deadline passes (§7.1, §11)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import structlog

from dwserver.engine.closing import close_run
from dwserver.engine.commands.activities import ScheduleActivity
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.model import RetryPolicy
from dwserver.engine.outcome import Rejection
from dwserver.engine.run_timeout import RunTimedOut
from dwserver.engine.words import (
    ClosedReason,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from dwserver.loops.deadlines import deadline_loop
from dwserver.matching.pollers import Delivery
from dwserver.services import deadlines as deadline_module
from dwserver.services import sweeps
from dwserver.store.api import StoreUnavailable
from tests.services.run_room import RunRoom
from tests.support.builders import SECOND, a_renewal
from tests.support.small_server import (
    ARGUMENTS,
    CHARGE,
    SmallServer,
    attempt_of,
    ref_of,
    small_server,
)
from tests.support.waiting import eventually

HEARTBEAT = 20


@pytest.fixture
async def other(server: SmallServer) -> AsyncIterator[SmallServer]:
    """Another process on the same database."""
    store, clock = server.faults.real, server.clock
    async with small_server(store, clock=clock, first_id=10**9) as other:
        yield other


async def with_policy(
    server: SmallServer, workflow_id: str = "order-1", **policy: int
) -> Delivery:
    """A leased activity."""
    await server.start(workflow_id)
    command = ScheduleActivity(
        activity_type="orders.Charge", retry_policy=RetryPolicy(**policy)
    )
    await server.complete(await server.leased(), [command])
    return await server.leased(TaskKind.ACTIVITY)


async def with_heartbeat(
    server: SmallServer, workflow_id: str = "order-1", **policy: int
) -> Delivery:
    return await with_policy(server, workflow_id, heartbeat_timeout=HEARTBEAT, **policy)


async def beat(server: SmallServer, activity: Delivery) -> None:
    answer = await server.services.activity_tasks.heartbeat(attempt_of(activity))
    assert not isinstance(answer, Rejection)
    assert answer.can_continue


async def renewed(server: SmallServer, activity: Delivery) -> None:
    """A heartbeat that is no transition: sweeps look where it does not write."""
    task = activity.leased.task
    renewal = a_renewal(
        task,
        lease_expires_at=server.clock.now() + 300 * SECOND,
        attempt=None,
        attempt_id=task.attempt_id,
        activity_id=task.activity_id,
        heartbeat_deadline_at=server.clock.now() + HEARTBEAT * SECOND,
    )
    assert await server.faults.real.renew_leases([renewal]) == [True]


def timeouts(server: SmallServer, kind: str) -> float:
    lines = server.metrics.exposition().decode().splitlines()
    counted = [
        float(line.split()[-1])
        for line in lines
        if line.startswith("dw_timeouts_total") and f'kind="{kind}"' in line
    ]
    return sum(counted)


# runs --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["run_timeout", "execution_timeout"])
async def test_a_run_ends_at_its_deadline_and_not_before(
    server: SmallServer, name: str
) -> None:
    started = await server.start(**{f"{name}_seconds": 60})
    task = await server.leased()
    server.clock.advance(seconds=60, microseconds=-1)
    await server.core.deadlines.enforce()
    assert not (await server.state(started.run.id)).run.status.is_terminal
    server.clock.advance(microseconds=1)
    await server.core.deadlines.enforce()
    state = await server.state(started.run.id)
    assert (state.run.status, state.run.closed_reason) == (
        RunStatus.FAILED,
        ClosedReason.TIMED_OUT,
    )
    assert state.tasks == {}
    assert (await server.event_types(started.run.id))[-1] == "WorkflowTimedOut"
    assert timeouts(server, name) == 1
    late = await server.services.workflow_tasks.complete(ref_of(task), [])
    assert isinstance(late, Rejection)
    assert (late.reason, late.fields["task_status"]) == ("run_closed", "cancelled")


async def test_a_completion_between_deadline_and_sweep(
    server: SmallServer, other: SmallServer
) -> None:
    started = await server.start(run_timeout_seconds=30)
    task = await server.leased()
    server.clock.advance(seconds=30)
    reply = await other.services.workflow_tasks.complete(
        ref_of(task), [CompleteWorkflow()]
    )
    assert isinstance(reply, RunTimedOut)
    assert (await server.event_types(started.run.id))[-1] == "WorkflowTimedOut"
    await server.core.deadlines.enforce()
    assert (await server.event_types(started.run.id)).count("WorkflowTimedOut") == 1
    assert timeouts(server, "run_timeout") == 0


async def test_a_poll_between_deadline_and_sweep(
    server: SmallServer, other: SmallServer
) -> None:
    """Nobody begins to work for a run whose time is over."""
    started = await server.start(run_timeout_seconds=30)
    server.clock.advance(seconds=30)
    assert await other.poll() is None
    assert (await server.event_types(started.run.id))[-1] == "WorkflowTimedOut"


async def test_a_run_takes_its_activities_along(server: SmallServer) -> None:
    """What is due at the same moment is cancelled, not timed out."""
    await server.start(run_timeout_seconds=30)
    command = ScheduleActivity(
        activity_type="orders.Charge",
        retry_policy=RetryPolicy(schedule_to_close_timeout=30),
    )
    completed = await server.complete(await server.leased(), [command])
    server.clock.advance(seconds=30)
    await server.core.deadlines.enforce()
    types = await server.event_types(completed.run_id)
    assert types[-2:] == ["ActivityCancelled", "WorkflowTimedOut"]
    assert timeouts(server, "schedule_to_close") == 0


# activities --------------------------------------------------------------------------


async def test_an_attempt_ends_at_its_deadline_and_is_retried(
    server: SmallServer,
) -> None:
    activity = await with_policy(server, start_to_close_timeout=10, max_attempts=2)
    run_id = activity.leased.run.id
    server.clock.advance(seconds=10, microseconds=-1)
    await server.core.deadlines.enforce()
    assert (await server.event_types(run_id))[-1] == "ActivityStarted"
    server.clock.advance(microseconds=1)
    await server.core.deadlines.enforce()
    assert (await server.event_types(run_id))[-1] == "ActivityRetryScheduled"
    late = await server.services.activity_tasks.complete(
        attempt_of(activity), ARGUMENTS
    )
    assert isinstance(late, Rejection)
    assert late.reason == "stale_attempt"
    again = await server.leased(TaskKind.ACTIVITY)
    assert again.leased.task.attempt == 2
    server.clock.advance(seconds=10)
    await server.core.deadlines.enforce()
    assert (await server.event_types(run_id))[-1] == "ActivityTimedOut"
    assert timeouts(server, "start_to_close") == 2
    resumed = await server.leased()
    assert resumed.leased.task.resume["workflow_event_type"] == "ActivityTimedOut"


async def test_an_activity_that_nobody_takes(server: SmallServer) -> None:
    await server.start()
    command = ScheduleActivity(
        activity_type="orders.Charge",
        queue="nobody",
        retry_policy=RetryPolicy(schedule_to_start_timeout=10),
    )
    completed = await server.complete(await server.leased(), [command])
    server.clock.advance(seconds=10)
    await server.core.deadlines.enforce()
    assert (await server.event_types(completed.run_id))[-1] == "ActivityTimedOut"
    state = await server.state(completed.run_id)
    assert [task.kind for task in state.tasks.values()] == [TaskKind.WORKFLOW]
    assert timeouts(server, "schedule_to_start") == 1


async def test_a_silent_activity_ends_and_one_that_is_heard_of_does_not(
    server: SmallServer, other: SmallServer
) -> None:
    silent = await with_heartbeat(server, "silent")
    chatty = await with_heartbeat(server, "chatty")
    for _ in range(8):
        server.clock.advance(seconds=HEARTBEAT / 4)
        await beat(other, chatty)
        # A renewal within the same second is no transition.
        await beat(other, chatty)
        await server.core.deadlines.enforce()
    assert (await server.event_types(silent.leased.run.id))[-1] == "ActivityTimedOut"
    types = await server.event_types(chatty.leased.run.id)
    assert types[-1] == "ActivityHeartbeatRecorded"
    await server.complete_activity(chatty)


async def test_a_deadline_that_only_renewals_moved_is_found_once(
    server: SmallServer, other: SmallServer
) -> None:
    """They move it where sweeps do not look; the first sweep puts that right."""
    activity = await with_heartbeat(server)
    server.clock.advance(seconds=HEARTBEAT)
    task = activity.leased.task
    await renewed(server, activity)
    store, now = server.faults.real, server.clock.now()
    assert len((await store.overdue(now=now, limit=9)).activities) == 1
    await server.core.deadlines.enforce()
    assert (await store.overdue(now=now, limit=9)).activities == []
    assert (await server.event_types(task.run_id))[-1] == "ActivityStarted"
    server.clock.advance(seconds=HEARTBEAT)
    await server.core.deadlines.enforce()
    assert (await server.event_types(task.run_id))[-1] == "ActivityTimedOut"


async def test_a_heartbeat_between_look_and_write_is_respected(
    server: SmallServer,
) -> None:
    activity = await with_heartbeat(server)
    task = activity.leased.task
    server.clock.advance(seconds=HEARTBEAT)

    server.faults.before_next("commit", lambda: renewed(server, activity))
    await server.core.deadlines.enforce()
    assert (await server.event_types(task.run_id))[-1] == "ActivityStarted"
    assert timeouts(server, "heartbeat") == 0
    await server.complete_activity(activity)


async def test_what_a_completed_run_left_open_is_looked_at_once(
    server: SmallServer,
) -> None:
    await server.start()
    command = ScheduleActivity(
        activity_type="orders.Charge",
        retry_policy=RetryPolicy(start_to_close_timeout=10),
    )
    await server.complete(await server.leased(), [command, CHARGE])
    first = await server.leased(TaskKind.ACTIVITY)
    second = await server.leased(TaskKind.ACTIVITY)
    run_id = first.leased.run.id
    room = RunRoom(server.faults.real, first_id=2 * 10**9)
    await room.runs.decide(
        run_id,
        lambda draft: close_run(draft, RunStatus.COMPLETED, ClosedReason.COMPLETED),
    )
    await room.supervisor.stop()
    before = await server.event_types(run_id)
    server.clock.advance(seconds=10)
    await server.core.deadlines.enforce()
    store, now = server.faults.real, server.clock.now()
    assert (await store.overdue(now=now, limit=9)).activities == []
    assert await server.event_types(run_id) == before
    [task] = (await server.state(run_id)).tasks.values()
    open_one = first if first.leased.task.id == task.id else second
    assert task.status is TaskStatus.LEASED
    await server.complete_activity(open_one)


# several at once ---------------------------------------------------------------------


async def test_two_processes_end_it_once(
    server: SmallServer, other: SmallServer
) -> None:
    activity = await with_policy(server, start_to_close_timeout=10)
    run = (await server.start("order-2", run_timeout_seconds=10)).run
    server.clock.advance(seconds=10)

    async def beaten() -> None:
        await other.core.deadlines.enforce()

    server.faults.before_next("commit", beaten)
    await server.core.deadlines.enforce()
    for run_id, name in (
        (activity.leased.run.id, "ActivityTimedOut"),
        (run.id, "WorkflowTimedOut"),
    ):
        assert (await server.event_types(run_id)).count(name) == 1
    for kind in ("start_to_close", "run_timeout"):
        assert timeouts(server, kind) + timeouts(other, kind) == 1


async def test_full_batches_are_followed_at_once(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadline_module, "BATCH", 2)
    runs = [
        (await server.start(f"order-{number}", run_timeout_seconds=10)).run.id
        for number in range(3)
    ]
    server.clock.advance(seconds=10)
    assert await server.core.deadlines.enforce() == 0.0
    assert await server.core.deadlines.enforce() is None
    for run_id in runs:
        assert (await server.state(run_id)).run.status is RunStatus.FAILED


async def test_activities_that_are_alive_are_passed_over_at_once(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They must not hold up those behind them that have timed out."""
    monkeypatch.setattr(deadline_module, "BATCH", 2)
    alive = [await with_heartbeat(server, f"order-{number}") for number in range(2)]
    server.clock.advance(seconds=1)
    dead = await with_heartbeat(server, "order-2")
    server.clock.advance(seconds=HEARTBEAT)
    for activity in alive:
        await renewed(server, activity)
    assert await server.core.deadlines.enforce() == 0.0
    assert timeouts(server, "heartbeat") == 0
    assert await server.core.deadlines.enforce() is None
    assert (await server.event_types(dead.leased.run.id))[-1] == "ActivityTimedOut"
    assert timeouts(server, "heartbeat") == 1


async def test_a_run_that_is_contended_is_left_for_the_next_pass(
    server: SmallServer,
) -> None:
    run = (await server.start(run_timeout_seconds=10)).run
    server.clock.advance(seconds=10)
    server.faults.refuse_next_commits(10)
    assert await server.core.deadlines.enforce() is None
    assert not (await server.state(run.id)).run.status.is_terminal
    await server.core.deadlines.enforce()
    assert (await server.state(run.id)).run.status is RunStatus.FAILED


# lines and the loop ------------------------------------------------------------------


async def test_what_ends_is_logged(server: SmallServer) -> None:
    activity = await with_policy(server, start_to_close_timeout=10)
    run = (await server.start("order-2", run_timeout_seconds=10)).run
    server.clock.advance(seconds=10)
    with structlog.testing.capture_logs() as logs:
        await server.core.deadlines.enforce()
        await server.core.deadlines.enforce()
    assert logs == [
        {
            "event": "run_timed_out",
            "log_level": "info",
            "run_id": run.id,
            "kind": "run_timeout",
        },
        {
            "event": "activity_timed_out",
            "log_level": "info",
            "run_id": activity.leased.run.id,
            "activity_id": activity.leased.task.activity_id,
            "kind": "start_to_close",
            "is_retried": False,
        },
    ]


async def test_many_are_logged_as_a_few_and_a_count(
    server: SmallServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "LISTED", 2)
    for number in range(5):
        await server.start(f"order-{number}", run_timeout_seconds=10)
    server.clock.advance(seconds=10)
    with structlog.testing.capture_logs() as logs:
        await server.core.deadlines.enforce()
    names = ["run_timed_out", "run_timed_out", "more_timed_out"]
    assert [log["event"] for log in logs] == names
    assert logs[-1]["count"] == 3
    assert timeouts(server, "run_timeout") == 5


async def test_the_loop_survives_a_database_that_is_away(server: SmallServer) -> None:
    run = (await server.start(run_timeout_seconds=10)).run
    server.clock.advance(seconds=10)
    server.faults.fail_next("overdue", StoreUnavailable("gone"))
    loop = deadline_loop(server.core.deadlines, server.supervisor)
    await loop.start()

    async def is_closed() -> bool:
        return (await server.state(run.id)).run.status.is_terminal

    await eventually(is_closed)
    await loop.drain()
