"""Completing a workflow task: what it writes, who may, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.context import Limits, Policy
from dwserver.engine.model import Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskStatus,
    TimerStatus,
)
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.documents import activity_document, task_document
from tests.engine.parts import (
    NOON,
    activity,
    at,
    avro,
    group,
    signal,
    timer,
)


def test_one_activity_from_start_to_end() -> None:
    """The worked example (a) of spec/engine.md §15, with dense step numbers."""
    play, t1 = begun()
    assert (t1.attempt, t1.snapshot_sequence, t1.resume) == (1, 2, {})

    reply = play.completed(t1, activity("greet", "AA=="))
    assert reply.run_status is RunStatus.WAITING
    [a1] = reply.created_task_ids
    e1 = play.here.activities[1]
    assert play.here.arguments == {e1.id: avro("AA==")}

    play.advance(1)
    held = play.poll_activity("greet", owner="w2")
    assert held.task.id == a1
    assert held.task.lease_expires_at == NOON + 301 * MICROS
    x1 = held.task.attempt_id
    assert x1 is not None
    assert x1 == x1.upper()

    play.advance(1)
    t2_id = play.succeed(held, "BB==")
    t2 = play.poll()
    assert t2.id == t2_id
    assert t2.snapshot_sequence == 5
    assert t2.resume == {
        "workflow_wait_kind": "activity",
        "open_wait_id": f"activity:{e1.id}",
        "resume_source_kind": "activity_execution",
        "resume_source_id": e1.id,
        "activity_execution_id": e1.id,
        "activity_attempt_id": x1,
        "activity_type": "greet",
        "workflow_sequence": 1,
        "workflow_event_type": "ActivityCompleted",
    }

    play.advance(1)
    end = play.completed(t2, CompleteWorkflow(result=avro("CC==")))
    assert end == Completed(play.run_id, RunStatus.COMPLETED, ())
    assert play.run.closed_reason is ClosedReason.COMPLETED
    assert play.run.closed_at == NOON + 3 * MICROS
    assert play.here.output == avro("CC==")
    assert play.state.tasks == {}

    attempt = {
        "activity_execution_id": e1.id,
        "activity_attempt_id": x1,
        "activity_class": "greet",
        "activity_type": "greet",
        "sequence": 1,
        "attempt_number": 1,
    }
    running = {"attempt_id": x1, "attempt_count": 1, "started_at": at(1)}
    assert play.history()[2:] == [
        (
            "ActivityScheduled",
            {
                "activity_execution_id": e1.id,
                "activity_class": "greet",
                "activity_type": "greet",
                "sequence": 1,
                "activity": activity_document(e1, "greet", 1, arguments="AA=="),
                "task": task_document(t1),
            },
        ),
        (
            "ActivityStarted",
            {
                **attempt,
                "activity": activity_document(
                    e1, "greet", 1, status="running", **running
                ),
                "task": task_document(held.task, owner="w2"),
            },
        ),
        (
            "ActivityCompleted",
            {
                **attempt,
                "result": "BB==",
                "output": "BB==",
                "payload_codec": "avro",
                "activity": activity_document(
                    e1, "greet", 1, status="completed", closed_at=at(2), **running
                ),
                "task": task_document(held.task, owner="w2", status="completed"),
            },
        ),
        (
            "WorkflowCompleted",
            {
                "output": "CC==",
                "payload_codec": "avro",
                "task": task_document(t2),
            },
        ),
    ]
    owners = [play.here.events[n].task_id for n in range(3, 7)]
    assert owners == [t1.id, a1, a1, t2.id]


def test_a_failing_workflow() -> None:
    play, task = begun()
    command = FailWorkflow(
        message="no",
        exception_type="ValueError",
        exception_class="builtins.ValueError",
        exception={"message": "worker's own", "line": 7},
        non_retryable=True,
    )
    reply = play.completed(task, command)
    assert reply == Completed(play.run_id, RunStatus.FAILED, ())
    assert play.run.closed_reason is ClosedReason.FAILED
    assert play.task(task).status is TaskStatus.FAILED
    [failure] = play.here.failures
    assert play.history()[-1] == (
        "WorkflowFailed",
        {
            "failure_id": failure.id,
            "source_kind": "workflow_run",
            "source_id": play.run_id,
            "failure_category": "application",
            "non_retryable": True,
            "exception_type": "ValueError",
            "exception_class": "builtins.ValueError",
            "message": "no",
            "exception": {
                "class": "builtins.ValueError",
                "type": "ValueError",
                "message": "worker's own",
                "line": 7,
            },
            "task": task_document(task),
        },
    )
    assert failure.category is FailureCategory.APPLICATION
    assert (failure.source_id, failure.event_sequence) == (play.run_id, 3)
    assert failure.message == "no"


# who may ------------------------------------------------------------------------

Setting = Callable[[], tuple[Play, Task]]


def finished() -> tuple[Play, Task]:
    play, task = begun()
    play.completed(task, activity("a"))
    return play, task


def closed() -> tuple[Play, Task]:
    play, task = begun()
    play.completed(task, CompleteWorkflow())
    return play, task


def failed_run() -> tuple[Play, Task]:
    play, task = begun()
    play.completed(task, FailWorkflow(message="no"))
    return play, task


def lapsed() -> tuple[Play, Task]:
    play, task = begun()
    play.advance(60)
    return play, task


def almost_lapsed() -> tuple[Play, Task]:
    play, task = begun()
    play.advance(59.999999)
    return play, task


def requeued() -> tuple[Play, Task]:
    play, task = lapsed()
    assert play.expire(task)
    return play, task


def taken_over() -> tuple[Play, Task]:
    play, task = requeued()
    play.poll("w2")
    return play, task


def leased_again() -> tuple[Play, Task]:
    play, task = requeued()
    play.poll("w1")
    return play, task


def run_closed(status: str) -> dict[str, Any]:
    return {
        "stop_reason": f"run_{status}",
        "cancel_requested": False,
        "can_continue": False,
        "run_status": status,
        "run_closed_reason": status,
        "run_closed_at": at(0),
        "task_status": status,
        "lease_owner": "w1",
        "lease_expires_at": None,
    }


EXPIRED = {"task_status": "leased", "lease_owner": "w1", "lease_expires_at": at(60)}

GUARD: list[tuple[Setting, dict[str, Any], str | None, dict[str, Any]]] = [
    (closed, {}, "run_closed", run_closed("completed")),
    (failed_run, {}, "run_closed", run_closed("failed")),
    (finished, {}, "task_not_leased", {}),
    (requeued, {}, "task_not_leased", {}),
    (lapsed, {}, "lease_expired", EXPIRED),
    (lapsed, {"owner": "w2", "attempt": 9}, "lease_expired", EXPIRED),
    (almost_lapsed, {}, None, {}),
    (begun, {"owner": "w2"}, "lease_owner_mismatch", {"lease_owner": "w1"}),
    (
        begun,
        {"owner": "w2", "attempt": 9},
        "lease_owner_mismatch",
        {"lease_owner": "w1"},
    ),
    (taken_over, {}, "lease_owner_mismatch", {"lease_owner": "w2"}),
    (begun, {"attempt": 2}, "workflow_task_attempt_mismatch", {"current_attempt": 1}),
    (leased_again, {}, "workflow_task_attempt_mismatch", {"current_attempt": 2}),
]


@pytest.mark.parametrize("verb", ["complete", "fail", "wait"])
@pytest.mark.parametrize(("setting", "claim", "reason", "fields"), GUARD)
def test_the_ownership_guard(
    setting: Setting,
    claim: dict[str, Any],
    reason: str | None,
    fields: dict[str, Any],
    verb: str,
) -> None:
    """Rows 2–7 of spec/worker-protocol.md §6.4, for every verb that they guard."""
    play, task = setting()
    before = play.state
    if verb == "complete":
        reply: object = play.complete(task, activity("late"), **claim)
    else:
        reply = play.fail_task(task, is_waiting=verb == "wait", **claim)
    if reason is None:
        assert not isinstance(reply, Rejection)
        assert play.state != before
        return
    assert isinstance(reply, Rejection)
    assert (reply.reason, dict(reply.fields)) == (reason, fields)
    assert play.state is before


def test_the_guard_speaks_before_the_rules_about_the_list() -> None:
    play, task = begun()
    reply = play.complete(task, CompleteWorkflow(), CompleteWorkflow(), owner="w2")
    assert isinstance(reply, Rejection)
    assert reply.reason == "lease_owner_mismatch"


# the list -----------------------------------------------------------------------

END: list[WorkflowCommand] = [
    CompleteWorkflow(),
    FailWorkflow(message="no"),
    ContinueAsNew(),
]


@pytest.mark.parametrize("end", END)
@pytest.mark.parametrize("other", [*END, activity("a"), timer(1)])
def test_nothing_follows_a_terminal_command(
    end: WorkflowCommand, other: WorkflowCommand
) -> None:
    play, task = begun()
    reply = play.complete(task, activity("a"), end, other)
    assert isinstance(reply, Rejection)
    assert reply.reason == "invalid_commands"
    assert play.event_types() == ["StartAccepted", "WorkflowStarted"]
    assert play.completed(task, end).run_status is not RunStatus.WAITING


def test_commands_before_the_terminal_one_are_recorded_and_left_behind() -> None:
    play, task = begun()
    reply = play.completed(task, activity("a"), timer(5), CompleteWorkflow())
    assert reply.run_status is RunStatus.COMPLETED
    assert play.event_types()[2:] == [
        "ActivityScheduled",
        "TimerScheduled",
        "WorkflowCompleted",
    ]
    assert len(reply.created_task_ids) == 2
    assert play.task(reply.created_task_ids[0]).status is TaskStatus.CANCELLED
    assert play.here.timers[2].status is TimerStatus.CANCELLED
    assert play.here.activities[1].status is ActivityStatus.PENDING
    assert play.state.tasks == {}
    play.advance(5)
    assert not play.fire(2)


def test_created_tasks_are_told_in_command_order() -> None:
    play, reply = after_commands(timer(1), activity("a"), timer(2), activity("b"))
    first, second, third, fourth = reply.created_task_ids
    assert play.here.timers[1].task_id == first
    assert play.task(second).activity_id == play.here.activities[2].id
    assert play.here.timers[3].task_id == third
    assert play.task(fourth).activity_id == play.here.activities[4].id
    assert play.run.last_step == 4
    assert (play.run.batch_first, play.run.batch_size) == (1, 4)


def test_an_activity_is_scheduled_as_the_command_says() -> None:
    command = activity(
        "a",
        queue="gpu",
        max_attempts=4,
        backoff_seconds=(1, 2),
        non_retryable_error_types=("Fatal",),
        start_to_close_timeout=30,
        schedule_to_start_timeout=10,
        schedule_to_close_timeout=300,
        heartbeat_timeout=5,
    )
    play, reply = after_commands(command)
    row = play.here.activities[1]
    task = play.task(reply.created_task_ids[0])
    assert (row.queue, task.queue, task.type_name) == ("gpu", "gpu", "a")
    assert row.schedule_deadline_at == NOON + 10 * MICROS
    assert row.schedule_to_close_deadline_at == NOON + 300 * MICROS
    assert row.close_deadline_at is None
    assert row.heartbeat_deadline_at is None
    assert play.history()[-1][1]["activity"]["retry_policy"] == {
        "snapshot_version": 1,
        "max_attempts": 4,
        "backoff_seconds": [1, 2],
        "start_to_close_timeout": 30,
        "schedule_to_start_timeout": 10,
        "schedule_to_close_timeout": 300,
        "heartbeat_timeout": 5,
        "non_retryable_error_types": ["Fatal"],
    }
    play.advance(7)
    held = play.poll_activity("a")
    assert held.activity is not None
    assert held.activity.close_deadline_at == NOON + 37 * MICROS
    assert held.activity.heartbeat_deadline_at == NOON + 12 * MICROS
    assert held.activity.schedule_to_close_deadline_at == NOON + 300 * MICROS


def test_queue_and_build_come_from_the_run() -> None:
    play, task = begun(compatibility="build-7", priority=1, task_queue="own")
    [created] = play.completed(task, activity("a")).created_task_ids
    row = play.task(created)
    assert (row.queue, row.compatibility, row.priority) == ("own", "build-7", 1)


# limits -------------------------------------------------------------------------


def limits(**fields: int) -> Policy:
    return Policy(limits=Limits(**fields))


A, B, S = activity("a"), activity("b"), timer(1)

EXCEEDED: list[tuple[dict[str, int], tuple[WorkflowCommand, ...], str, int]] = [
    ({"command_batch_size": 1}, (A, S), "command_batch_size", 2),
    ({"command_batch_size": 1}, (A, CompleteWorkflow()), "command_batch_size", 2),
    ({"history_transaction_size": 2}, (A, B, S), "history_transaction_size", 3),
    ({"pending_activities": 1}, (A, B), "pending_activity_count", 2),
    ({"pending_timers": 1}, (S, S, S), "pending_timer_count", 3),
    ({"history_events": 3}, (A, B), "history_event_count", 4),
]


@pytest.mark.parametrize(("configured", "commands", "kind", "value"), EXCEEDED)
def test_a_structural_limit_is_exceeded(
    configured: dict[str, int],
    commands: tuple[WorkflowCommand, ...],
    kind: str,
    value: int,
) -> None:
    play, task = begun(limits(**configured))
    before = play.state
    reply = play.complete(task, *commands)
    assert isinstance(reply, Rejection)
    assert reply.reason == "structural_limit_exceeded"
    [limit] = configured.values()
    assert reply.fields == {
        "limit_kind": kind,
        "current_value": value,
        "configured_limit": limit,
    }
    assert play.state is before
    # The lease stays; what keeps the limit is still welcome.
    play.completed(task, commands[0])


@pytest.mark.parametrize(
    ("configured", "commands"),
    [
        ({"command_batch_size": 2}, (A, S)),
        ({"history_transaction_size": 2}, (A, S)),
        ({"pending_activities": 2}, (A, B, S)),
        ({"pending_timers": 2}, (S, S, A)),
        ({"history_events": 4}, (A, B)),
        ({"command_batch_size": 0}, (A, B, S)),
        ({"pending_activities": 0}, (A, B)),
        ({"pending_timers": 0}, (S, S)),
        ({"history_events": 0}, (A, B)),
    ],
)
def test_a_limit_is_the_last_allowed_value_and_zero_is_none(
    configured: dict[str, int], commands: tuple[WorkflowCommand, ...]
) -> None:
    play, task = begun(limits(**configured))
    assert len(play.completed(task, *commands).created_task_ids) == len(commands)


def test_pending_steps_of_earlier_completions_count() -> None:
    play, _ = after_commands(
        A, S, policy=limits(pending_activities=1, pending_timers=1)
    )
    play.wake(signal("go"))
    task = play.poll()
    for command, kind in ((B, "pending_activity_count"), (S, "pending_timer_count")):
        reply = play.complete(task, command)
        assert isinstance(reply, Rejection)
        assert reply.fields["limit_kind"] == kind
        assert reply.fields["current_value"] == 2


def test_steps_that_closed_do_not_count() -> None:
    play, _ = after_commands(A, policy=limits(pending_activities=1))
    play.run_activity("a")
    assert play.completed(play.poll(), B).run_status is RunStatus.WAITING


@pytest.mark.parametrize("end", END)
def test_a_full_history_still_takes_the_end(end: WorkflowCommand) -> None:
    play, task = begun(limits(history_events=2))
    assert isinstance(play.complete(task, A), Rejection)
    assert play.completed(task, end).run_status.is_terminal


# commands: [] -------------------------------------------------------------------


def test_an_empty_list_keeps_waiting_for_what_is_pending() -> None:
    play, _ = after_commands(A)
    play.wake(signal("go"))
    reply = play.completed(play.poll(), *())
    assert reply == Completed(play.run_id, RunStatus.WAITING, ())
    assert play.workflow_tasks == []
    assert play.run.task_failures == 0


def test_a_run_that_nothing_will_wake_is_delivered_again_ever_more_slowly() -> None:
    play, task = begun()
    waited = []
    for _ in range(7):
        reply = play.completed(task, *())
        assert reply.created_task_ids == ()
        successor = play.workflow_task
        assert (successor.attempt, successor.resume) == (0, task.resume)
        seconds = (successor.available_at - play.now) // MICROS
        assert play.lease(successor) is None
        waited.append(seconds)
        play.advance(seconds)
        task = play.poll()
    assert waited == [3, 6, 12, 24, 48, 60, 60]
    assert play.event_types() == ["StartAccepted", "WorkflowStarted"]
    # Progress forgets the count.
    play.completed(task, A)
    assert play.run.task_failures == 0


def test_metadata_of_a_group_is_stored_with_its_steps() -> None:
    play, _ = after_commands(
        activity("a", parallel=group(base=1, size=2, index=0)),
        activity("b", parallel=group(base=1, size=2, index=1)),
    )
    for step, index in ((1, 0), (2, 1)):
        payload = play.history()[1 + step][1]
        expected = group(base=1, size=2, index=index)
        assert {key: payload[key] for key in expected} == expected
        assert {key: payload["activity"][key] for key in expected} == expected
