"""Outcomes of activity attempts: success, retries, final failures, late reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.context import Limits, Policy
from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
from dwserver.engine.model import ClosedAttempt, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    FailureCategory,
    RunStatus,
    TaskStatus,
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
    plain,
    timer,
)

POLICY_DOCUMENT = {
    "snapshot_version": 1,
    "max_attempts": 3,
    "backoff_seconds": [1, 2],
    "start_to_close_timeout": None,
    "schedule_to_start_timeout": None,
    "schedule_to_close_timeout": None,
    "heartbeat_timeout": None,
    "non_retryable_error_types": [],
}


def test_two_failures_then_success() -> None:
    """The worked example (b) of spec/engine.md §15."""
    play, reply = after_commands(
        activity("greet", max_attempts=3, backoff_seconds=(1, 2))
    )
    [a1] = reply.created_task_ids
    first = play.poll_activity()
    a2 = play.fail(first, "boom", type="ValueError")
    assert a2 is not None
    assert play.workflow_tasks == []
    assert play.lease(play.task(a2)) is None
    play.advance(1)
    second = play.poll_activity()
    assert (second.task.id, second.task.attempt) == (a2, 2)
    a3 = play.fail(second, "boom", type="ValueError")
    assert a3 is not None
    play.advance(1.999999)
    assert play.lease(play.task(a3)) is None
    play.advance(0.000001)
    third = play.poll_activity()
    assert (third.task.id, third.task.attempt) == (a3, 3)
    t2 = play.succeed(third, "BB==")
    assert t2 == play.workflow_task.id
    play.completed(play.poll(), CompleteWorkflow())

    assert play.event_types()[2:] == [
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityRetryScheduled",
        "ActivityStarted",
        "ActivityRetryScheduled",
        "ActivityStarted",
        "ActivityCompleted",
        "WorkflowCompleted",
    ]
    e1 = play.here.activities[1]
    x1, x2 = first.task.attempt_id, second.task.attempt_id
    assert play.history()[4][1] == {
        "activity_execution_id": e1.id,
        "activity_attempt_id": x1,
        "activity_class": "greet",
        "activity_type": "greet",
        "sequence": 1,
        "retry_task_id": a2,
        "retry_of_task_id": a1,
        "retry_available_at": at(1),
        "retry_backoff_seconds": 1,
        "retry_after_attempt_id": x1,
        "retry_after_attempt": 1,
        "max_attempts": 3,
        "retry_policy": POLICY_DOCUMENT,
        "exception_type": "ValueError",
        "exception_class": "ValueError",
        "message": "boom",
        "code": 0,
        "exception": {"type": "ValueError", "message": "boom", "non_retryable": False},
        "activity": activity_document(
            e1,
            "greet",
            1,
            attempt_id=x1,
            attempt_count=1,
            started_at=at(0),
            retry_policy=POLICY_DOCUMENT,
        ),
        "task": task_document(first.task, status="completed"),
    }
    second_retry = play.history()[6][1]
    assert second_retry["retry_backoff_seconds"] == 2
    assert second_retry["retry_after_attempt"] == 2
    assert second_retry["retry_after_attempt_id"] == x2
    assert second_retry["retry_available_at"] == at(3)
    completed = play.history()[8][1]
    assert (completed["attempt_number"], completed["activity_attempt_id"]) == (
        3,
        third.task.attempt_id,
    )
    assert [
        (a.number, a.status, a.task_id)
        for a in play.here.attempts.values()
    ] == [
        (1, AttemptStatus.FAILED, a1),
        (2, AttemptStatus.FAILED, a2),
        (3, AttemptStatus.COMPLETED, a3),
    ]  # fmt: skip


def test_the_last_failure_is_final() -> None:
    play, _ = after_commands(activity("greet", max_attempts=2))
    play.fail(play.poll_activity())
    held = play.poll_activity()
    play.advance(1)
    t2 = play.fail(
        held,
        "boom",
        type="ValueError",
        failure_class="builtins.ValueError",
        code=7,
        stack_trace="line 1",
        details=avro("DD=="),
    )
    e1 = play.here.activities[1]
    policy = {**POLICY_DOCUMENT, "max_attempts": 2, "backoff_seconds": []}
    [failure] = play.here.failures
    assert play.history()[-1] == (
        "ActivityFailed",
        {
            "activity_execution_id": e1.id,
            "activity_attempt_id": held.task.attempt_id,
            "activity_class": "greet",
            "activity_type": "greet",
            "sequence": 1,
            "attempt_number": 2,
            "failure_id": failure.id,
            "failure_category": "activity",
            "non_retryable": False,
            "exception_type": "ValueError",
            "exception_class": "builtins.ValueError",
            "message": "boom",
            "code": 7,
            "exception": {
                "class": "builtins.ValueError",
                "type": "ValueError",
                "message": "boom",
                "code": 7,
                "trace": "line 1",
                "details": "DD==",
                "details_payload_codec": "avro",
                "non_retryable": False,
            },
            "activity": activity_document(
                e1,
                "greet",
                1,
                status="failed",
                attempt_id=held.task.attempt_id,
                attempt_count=2,
                started_at=at(0),
                closed_at=at(1),
                retry_policy=policy,
            ),
            "task": task_document(held.task, status="completed", attempt=2),
        },
    )
    assert (failure.category, failure.source_kind, failure.source_id) == (
        FailureCategory.ACTIVITY,
        "activity_execution",
        e1.id,
    )
    task = play.poll()
    assert task.id == t2
    assert task.resume["workflow_event_type"] == "ActivityFailed"
    assert e1.status is ActivityStatus.FAILED
    assert play.task(held.task).last_error == "boom"


# retry or not -------------------------------------------------------------------

FATAL = ("Fatal", "lib.Fatal")

RETRIES: list[tuple[dict[str, Any], int, dict[str, Any], int | None]] = [
    # policy of the command, attempts made before, failure, seconds until the next
    ({}, 0, {}, None),
    ({"max_attempts": 1}, 0, {}, None),
    ({"heartbeat_timeout": 5}, 0, {}, None),
    ({"max_attempts": 2}, 0, {}, 0),
    ({"max_attempts": 2}, 1, {}, None),
    ({"max_attempts": 5, "backoff_seconds": (1, 2)}, 0, {}, 1),
    ({"max_attempts": 5, "backoff_seconds": (1, 2)}, 1, {}, 2),
    ({"max_attempts": 5, "backoff_seconds": (1, 2)}, 2, {}, 2),
    ({"max_attempts": 5, "backoff_seconds": (1, 2)}, 3, {}, 2),
    ({"max_attempts": 5, "backoff_seconds": (1, 2)}, 4, {}, None),
    ({"max_attempts": 3, "backoff_seconds": (0, 9)}, 0, {}, 0),
    ({"max_attempts": 3}, 0, {"is_non_retryable": True}, None),
    ({"max_attempts": 3, "non_retryable_error_types": FATAL}, 0, {}, 0),
    ({"max_attempts": 3, "non_retryable_error_types": FATAL}, 0, {"type": "Oh"}, 0),
    ({"max_attempts": 3, "non_retryable_error_types": FATAL}, 0, {"type": "fatal"}, 0),
    (
        {"max_attempts": 3, "non_retryable_error_types": FATAL},
        0,
        {"type": "Fatal"},
        None,
    ),
    (
        {"max_attempts": 3, "non_retryable_error_types": FATAL},
        0,
        {"type": "Oh", "failure_class": "lib.Fatal"},
        None,
    ),
    # A retry that could not begin before the step's own deadline is not made.
    (
        {"max_attempts": 3, "backoff_seconds": (9,), "schedule_to_close_timeout": 10},
        0,
        {},
        9,
    ),
    (
        {"max_attempts": 3, "backoff_seconds": (10,), "schedule_to_close_timeout": 10},
        0,
        {},
        None,
    ),
    ({"max_attempts": 3, "schedule_to_close_timeout": 10}, 0, {}, 0),
]


@pytest.mark.parametrize(("policy", "before", "failure", "delay"), RETRIES)
def test_retry_or_final(
    policy: dict[str, Any], before: int, failure: dict[str, Any], delay: int | None
) -> None:
    play, _ = after_commands(activity("a", **policy))
    for _ in range(before):
        next_id = play.fail(play.poll_activity())
        assert next_id is not None
        play.advance((play.task(next_id).available_at - play.now) / MICROS)
    held = play.poll_activity()
    next_id = play.fail(held, **failure)
    assert next_id is not None
    after = play.task(next_id)
    row = play.here.activities[1]
    if delay is None:
        assert after.id == play.workflow_task.id
        assert play.event_types()[-1] == "ActivityFailed"
        assert (row.status, row.closed_at) == (ActivityStatus.FAILED, play.now)
        non_retryable = failure.get("is_non_retryable", False)
        assert play.history()[-1][1]["non_retryable"] is non_retryable
        return
    assert play.workflow_tasks == []
    assert play.event_types()[-1] == "ActivityRetryScheduled"
    assert (after.status, after.activity_id) == (TaskStatus.READY, row.id)
    assert (after.attempt, after.available_at) == (
        before + 1,
        play.now + delay * MICROS,
    )
    assert (row.status, row.closed_at) == (ActivityStatus.PENDING, None)
    assert (row.close_deadline_at, row.heartbeat_deadline_at) == (None, None)


def test_the_deadline_counts_from_scheduling() -> None:
    play, _ = after_commands(
        activity("a", max_attempts=9, schedule_to_close_timeout=10)
    )
    play.advance(9.9)
    assert play.fail(play.poll_activity()) not in (None, "")
    assert play.event_types()[-1] == "ActivityRetryScheduled"
    held = play.poll_activity()
    play.advance(0.1)
    play.fail(held)
    assert play.event_types()[-1] == "ActivityFailed"


def test_redeliveries_use_up_attempts() -> None:
    play, _ = after_commands(activity("a", max_attempts=2))
    first = play.poll_activity()
    play.advance(300)
    assert play.expire(first.task)
    second = play.poll_activity()
    assert second.task.attempt == 2
    play.fail(second)
    assert play.event_types()[-1] == "ActivityFailed"


def test_details_that_were_sent_unencoded_are_marked() -> None:
    play, _ = after_commands(activity("a"))
    play.fail(play.poll_activity(), details=plain('{"n":1}'))
    exception = play.history()[-1][1]["exception"]
    assert exception["details"] == {"$dw.plain": '{"n":1}'}
    assert play.here.events[play.run.last_sequence].has_plain


# size of a result ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "result", "is_refused"),
    [(4, "12345", True), (4, "1234", False), (4, "äöü", True), (0, "x" * 99, False)],
)
def test_a_result_has_a_largest_size(limit: int, result: str, is_refused: bool) -> None:
    policy = Policy(limits=Limits(payload_bytes=limit))
    play, _ = after_commands(activity("a", max_attempts=5), policy=policy)
    held = play.poll_activity()
    next_id = play.succeed(held, result)
    assert next_id == play.workflow_task.id
    event_type, payload = play.history()[-1]
    if not is_refused:
        assert (event_type, payload["result"]) == ("ActivityCompleted", result)
        return
    assert event_type == "ActivityFailed"
    [failure] = play.here.failures
    assert failure.category is FailureCategory.STRUCTURAL_LIMIT
    assert failure.non_retryable
    size = len(result.encode())
    assert {
        key: payload[key]
        for key in payload
        if key.startswith(("structural", "failure_category", "non_retryable"))
    } == {
        "failure_category": "structural_limit",
        "non_retryable": True,
        "structural_limit_kind": "payload_size",
        "structural_limit_value": size,
        "structural_limit_configured": limit,
    }


# late and wrong reports ---------------------------------------------------------

Setting = Callable[[], tuple[Play, Leased]]


def running() -> tuple[Play, Leased]:
    play, _ = after_commands(activity("a", max_attempts=3), timer(99))
    return play, play.poll_activity()


def reported() -> tuple[Play, Leased]:
    play, held = running()
    play.succeed(held)
    return play, held


def reported_failed() -> tuple[Play, Leased]:
    play, _ = after_commands(activity("a"), timer(99))
    held = play.poll_activity()
    play.fail(held)
    return play, held


def retried() -> tuple[Play, Leased]:
    play, held = running()
    play.fail(held)
    return play, held


def retry_running() -> tuple[Play, Leased]:
    play, held = retried()
    play.poll_activity(owner="w2")
    return play, held


def reclaimed() -> tuple[Play, Leased]:
    play, held = running()
    play.advance(300)
    assert play.expire(held.task)
    return play, held


def leased_to_another() -> tuple[Play, Leased]:
    play, held = reclaimed()
    play.poll_activity(owner="w2")
    return play, held


def continued() -> tuple[Play, Leased]:
    play, task = begun()
    play.completed(task, activity("a"))
    held = play.poll_activity()
    play.wake({})
    play.completed(play.poll(), ContinueAsNew())
    play.run_id = held.run.id
    return play, held


LATE: list[tuple[Setting, dict[str, Any], str, dict[str, Any]]] = [
    (reported, {}, "stale_attempt", {}),
    (reported_failed, {}, "stale_attempt", {}),
    (retried, {}, "stale_attempt", {}),
    (retry_running, {}, "stale_attempt", {}),
    (reclaimed, {}, "stale_attempt", {}),
    (leased_to_another, {}, "stale_attempt", {}),
    (continued, {}, "stale_attempt", {}),
    (running, {"owner": "w2"}, "lease_owner_mismatch", {"lease_owner": "w1"}),
    (reported, {"owner": "w2"}, "lease_owner_mismatch", {"lease_owner": "w1"}),
    (retried, {"owner": "w2"}, "lease_owner_mismatch", {"lease_owner": "w1"}),
    (leased_to_another, {"owner": "w2"}, "lease_owner_mismatch", {"lease_owner": "w1"}),
    (running, {"attempt_id": "X9"}, "attempt_not_found", {}),
    (reclaimed, {"attempt_id": "X9"}, "attempt_not_found", {}),
]


@pytest.mark.parametrize("failure", [None, AttemptFailure(message="late")])
@pytest.mark.parametrize(("setting", "fields", "reason", "told"), LATE)
def test_a_report_that_does_not_count(
    setting: Setting,
    fields: dict[str, Any],
    reason: str,
    told: dict[str, Any],
    failure: AttemptFailure | None,
) -> None:
    play, held = setting()
    before = play.state
    reply = play.report(held.task, failure=failure, **fields)
    assert isinstance(reply, Rejection)
    assert (reply.reason, dict(reply.fields)) == (reason, told)
    assert play.state is before


@pytest.mark.parametrize(
    ("owner", "reason"), [("w1", "stale_attempt"), ("w2", "lease_owner_mismatch")]
)
def test_a_report_overtaken_by_the_expiry_of_its_lease(owner: str, reason: str) -> None:
    """The attempt was the current one when it was looked up, but not any more."""
    play, held = running()
    attempt_id = held.task.attempt_id
    assert attempt_id is not None
    report = Report(task=held.task, attempt_id=attempt_id, owner=owner)
    play.advance(300)
    assert play.expire(held.task)
    reply = play.decide(lambda draft: record_outcome(draft, report), play.run_id)
    assert isinstance(reply, Rejection)
    assert reply.reason == reason


@pytest.mark.parametrize("is_closed", [True, False])
def test_an_attempt_of_another_task(is_closed: bool) -> None:
    play, _ = after_commands(activity("a"), activity("b"))
    first, second = play.poll_activity("a"), play.poll_activity("b")
    if is_closed:
        play.succeed(first)
    attempt_id = first.task.attempt_id
    assert attempt_id is not None
    reply = play.report(second.task, attempt_id=attempt_id)
    assert isinstance(reply, Rejection)
    assert reply.reason == "task_mismatch"


def test_an_activity_that_was_closed_under_its_worker() -> None:
    play, held = running()
    draft = play.draft()
    closed = replace(
        draft.activities[1], status=ActivityStatus.FAILED, closed_at=play.now
    )
    draft.activities.put(closed)
    play.commit(draft)
    before = play.state
    reply = play.report(held.task)
    assert isinstance(reply, Rejection)
    assert reply.reason == "stale_attempt"
    assert play.state is before


def test_a_lapsed_lease_that_nobody_took_away_still_counts() -> None:
    play, held = running()
    play.advance(3600)
    assert isinstance(play.report(held.task), Recorded)


def test_the_next_attempt_is_not_disturbed_by_a_late_report() -> None:
    play, held = leased_to_another()
    play.report(held.task)
    current = next(iter(play.state.tasks.values()))
    assert (current.lease_owner, current.attempt) == ("w2", 2)
    assert isinstance(play.report(current), Recorded)


@pytest.mark.parametrize("end", [CompleteWorkflow(), FailWorkflow(message="no")])
@pytest.mark.parametrize("failure", [None, AttemptFailure(message="late")])
def test_an_outcome_after_the_run_ended_is_stored_silently(
    end: CompleteWorkflow | FailWorkflow, failure: AttemptFailure | None
) -> None:
    play, _ = after_commands(activity("a", max_attempts=3))
    held = play.poll_activity()
    play.wake({})
    play.completed(play.poll(), end)
    history = play.history()

    assert play.report(held.task, failure=failure) == Recorded(None)
    status = ActivityStatus.FAILED if failure else ActivityStatus.COMPLETED
    assert play.here.activities[1].status is status
    assert play.task(held.task).status is TaskStatus.COMPLETED
    assert play.history() == history
    assert play.workflow_tasks == []
    again = play.report(held.task, failure=failure)
    assert isinstance(again, Rejection)
    assert again.reason == "stale_attempt"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (RunStatus.CANCELLED, "run_cancelled"),
        (RunStatus.TERMINATED, "run_terminated"),
    ],
)
@pytest.mark.parametrize("task_status", [TaskStatus.LEASED, TaskStatus.CANCELLED])
def test_a_cancelled_run_tells_the_worker_to_stop(
    status: RunStatus, reason: str, task_status: TaskStatus
) -> None:
    play, held = running()
    draft = play.draft()
    draft.set_run(status=status, closed_reason=ClosedReason(status), closed_at=play.now)
    play.commit(draft)
    task = replace(held.task, status=task_status)
    report = Report(task=task, attempt_id=str(task.attempt_id), owner="w1")
    if task_status is not TaskStatus.LEASED:
        close(play, task)
    reply = play.decide(lambda draft: record_outcome(draft, report))
    assert isinstance(reply, Rejection)
    assert reply.reason == reason
    assert reply.fields == {
        "cancel_requested": True,
        "can_continue": False,
        "run_status": status,
        "run_closed_reason": status,
        "run_closed_at": at(0),
        "task_status": task_status,
        "lease_owner": "w1",
        "lease_expires_at": at(300) if task_status is TaskStatus.LEASED else None,
    }


def close(play: Play, task: Task) -> None:
    draft = play.draft()
    draft.tasks.put(replace(task, closed_at=play.now))
    play.commit(draft)


def test_a_closed_attempt_is_archived_whole() -> None:
    play, held = running()
    play.advance(2)
    play.fail(held)
    assert list(play.here.attempts.values()) == [
        ClosedAttempt(
            id=str(held.task.attempt_id),
            activity_id=play.here.activities[1].id,
            task_id=held.task.id,
            run_id=play.run_id,
            number=1,
            status=AttemptStatus.FAILED,
            lease_owner="w1",
            started_at=NOON,
            closed_at=NOON + 2 * MICROS,
        )
    ]
