"""Deadlines of activities (``spec/engine.md §7.1``)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.leases import Leased
from dwserver.engine.lifecycle.activity_timeout import (
    EXCEPTION_CLASS,
    TimeoutSkip,
    expired_kind,
    time_out_activity,
)
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    FailureCategory,
    TaskKind,
    TaskStatus,
    TimeoutKind,
)
from tests.engine.builders import (
    Play,
    after_commands,
)
from tests.engine.documents import activity_document, task_document
from tests.engine.endings import alive, close, time_out_step, timed_out
from tests.engine.parts import (
    activity,
    at,
    group,
    timer,
)

TIMEOUTS = {
    TimeoutKind.SCHEDULE_TO_CLOSE: "schedule_to_close_timeout",
    TimeoutKind.SCHEDULE_TO_START: "schedule_to_start_timeout",
    TimeoutKind.HEARTBEAT: "heartbeat_timeout",
    TimeoutKind.START_TO_CLOSE: "start_to_close_timeout",
}
PENDING = (TimeoutKind.SCHEDULE_TO_CLOSE, TimeoutKind.SCHEDULE_TO_START)
RUNNING = (
    TimeoutKind.SCHEDULE_TO_CLOSE,
    TimeoutKind.HEARTBEAT,
    TimeoutKind.START_TO_CLOSE,
)


def scheduled(**policy: Any) -> Play:
    return after_commands(activity("a", **policy))[0]


def running(**policy: Any) -> tuple[Play, Leased]:
    play = scheduled(**policy)
    return play, play.poll_activity()


# which deadline counts --------------------------------------------------------------


@pytest.mark.parametrize("kind", TimeoutKind)
@pytest.mark.parametrize("is_running", [False, True])
def test_which_deadline_counts_when(kind: TimeoutKind, is_running: bool) -> None:
    play = scheduled(**{TIMEOUTS[kind]: 10})
    if is_running:
        play.poll_activity()
    counts = kind in (RUNNING if is_running else PENDING)
    play.advance(9.999999)
    assert time_out_step(play, 1) is TimeoutSkip.NO_DEADLINE_EXPIRED
    play.advance(0.000001)
    reply = time_out_step(play, 1)
    if not counts:
        assert reply is TimeoutSkip.NO_DEADLINE_EXPIRED
        return
    assert not isinstance(reply, TimeoutSkip)
    assert (reply.kind, reply.is_retried) == (kind, False)
    assert reply.activity == play.here.activities[1]


@pytest.mark.parametrize("kinds", [PENDING, RUNNING])
def test_the_order_of_precedence(kinds: tuple[TimeoutKind, ...]) -> None:
    for index, first in enumerate(kinds):
        passed = kinds[index:]
        play = scheduled(**{TIMEOUTS[kind]: 10 for kind in passed})
        if kinds is RUNNING:
            play.poll_activity()
        play.advance(10)
        [row] = play.here.activities.values()
        assert expired_kind(row, now=play.now) is first


# the last attempt --------------------------------------------------------------------


def test_the_whole_of_a_final_time_out() -> None:
    play, held = running(start_to_close_timeout=10, schedule_to_close_timeout=90)
    play.advance(11)
    reply = timed_out(play, 1)
    step, task = play.here.activities[1], play.task(held.task)
    [failure] = play.here.failures
    message = "Activity a: start-to-close deadline passed at 2026-04-13T12:00:10+00:00."
    assert play.history()[4:] == [
        (
            "ActivityTimedOut",
            {
                "activity_execution_id": step.id,
                "activity_attempt_id": held.task.attempt_id,
                "activity_class": "a",
                "activity_type": "a",
                "sequence": 1,
                "attempt_number": 1,
                "failure_id": failure.id,
                "failure_category": "timeout",
                "timeout_kind": "start_to_close",
                "message": message,
                "exception_class": EXCEPTION_CLASS,
                "schedule_deadline_at": None,
                "close_deadline_at": "2026-04-13T12:00:10+00:00",
                "schedule_to_close_deadline_at": "2026-04-13T12:01:30+00:00",
                "heartbeat_deadline_at": None,
                "activity": activity_document(
                    step,
                    "a",
                    1,
                    status="failed",
                    attempt_id=held.task.attempt_id,
                    attempt_count=1,
                    retry_policy={
                        "snapshot_version": 1,
                        "max_attempts": 1,
                        "backoff_seconds": [],
                        "start_to_close_timeout": 10,
                        "schedule_to_start_timeout": None,
                        "schedule_to_close_timeout": 90,
                        "heartbeat_timeout": None,
                        "non_retryable_error_types": [],
                    },
                    started_at=at(0),
                    closed_at=at(11),
                ),
                "task": task_document(held.task, status="cancelled"),
            },
        )
    ]
    assert (failure.source_kind, failure.source_id) == ("activity_execution", step.id)
    assert (failure.category, failure.propagation_kind) == (
        FailureCategory.TIMEOUT,
        "timeout",
    )
    assert (failure.exception_class, failure.message) == (EXCEPTION_CLASS, message)
    assert (step.status, step.closed_at) == (ActivityStatus.FAILED, play.now)
    assert (task.status, task.last_error) == (TaskStatus.CANCELLED, message)
    assert task.lease_expires_at is None
    [attempt] = play.here.attempts.values()
    assert (attempt.status, attempt.closed_at) == (AttemptStatus.FAILED, play.now)
    resumed = play.workflow_task
    assert reply.next_task_id == resumed.id
    assert resumed.resume["workflow_event_type"] == "ActivityTimedOut"
    assert resumed.resume["activity_attempt_id"] == held.task.attempt_id


def test_nobody_took_it() -> None:
    play = scheduled(schedule_to_start_timeout=10)
    [task] = play.state.tasks.values()
    play.advance(10)
    timed_out(play, 1)
    event, payload = play.history()[-1]
    assert event == "ActivityTimedOut"
    assert (payload["activity_attempt_id"], payload["attempt_number"]) == (None, 1)
    assert payload["activity"]["attempt_count"] == 1
    assert payload["task"] == task_document(
        task, status="cancelled", attempt=0, owner=None
    )
    assert play.here.attempts == {}


@pytest.mark.parametrize("beats", [False, True])
def test_a_silent_activity_says_when_it_was_last_heard_of(beats: bool) -> None:
    play, held = running(heartbeat_timeout=10)
    play.advance(5)
    if beats:
        alive(play, held)
    play.advance(10)
    timed_out(play, 1)
    message = play.history()[-1][1]["message"]
    assert message.endswith(f"last heartbeat: {at(5) if beats else 'never'}.")


# the next attempt --------------------------------------------------------------------


def test_the_whole_of_a_retry() -> None:
    play, held = running(
        max_attempts=3,
        backoff_seconds=(2, 7),
        heartbeat_timeout=10,
        start_to_close_timeout=60,
        schedule_to_start_timeout=30,
    )
    alive(play, held)
    play.advance(10)
    reply = timed_out(play, 1)
    step, task = play.here.activities[1], play.task(held.task)
    [retry] = [t for t in play.state.tasks.values() if t.kind is TaskKind.ACTIVITY]
    assert (reply.is_retried, reply.next_task_id) == (True, retry.id)
    event, payload = play.history()[-1]
    policy = payload.pop("retry_policy")
    assert (policy["max_attempts"], policy["backoff_seconds"]) == (3, [2, 7])
    message = payload.pop("message")
    assert "heartbeat" in message
    assert (event, payload) == (
        "ActivityRetryScheduled",
        {
            "activity_execution_id": step.id,
            "activity_attempt_id": held.task.attempt_id,
            "activity_class": "a",
            "activity_type": "a",
            "sequence": 1,
            "retry_task_id": retry.id,
            "retry_of_task_id": held.task.id,
            "retry_available_at": at(12),
            "retry_backoff_seconds": 2,
            "retry_after_attempt_id": held.task.attempt_id,
            "retry_after_attempt": 1,
            "max_attempts": 3,
            "timeout_kind": "heartbeat",
            "activity": activity_document(
                step,
                "a",
                1,
                attempt_id=held.task.attempt_id,
                attempt_count=1,
                retry_policy=policy,
                started_at=at(0),
            ),
            "task": task_document(held.task, status="cancelled"),
        },
    )
    assert (task.status, task.last_error) == (TaskStatus.CANCELLED, message)
    assert [a.status for a in play.here.attempts.values()] == [AttemptStatus.FAILED]
    assert play.here.failures == []
    assert step.status is ActivityStatus.PENDING
    assert (step.close_deadline_at, step.heartbeat_deadline_at) == (None, None)
    assert step.last_heartbeat_at is None
    assert step.schedule_deadline_at == retry.available_at + 30_000_000
    assert (retry.attempt, retry.status) == (1, TaskStatus.READY)
    assert play.workflow_tasks == []
    play.advance(2)
    again = play.poll_activity()
    assert (again.task.attempt, play.history()[-1][1]["attempt_number"]) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "policy", "is_retried"),
    [
        (TimeoutKind.START_TO_CLOSE, {"max_attempts": 2}, True),
        (TimeoutKind.HEARTBEAT, {"max_attempts": 2}, True),
        (TimeoutKind.SCHEDULE_TO_START, {"max_attempts": 2}, True),
        (TimeoutKind.SCHEDULE_TO_CLOSE, {"max_attempts": 2}, False),
        (TimeoutKind.START_TO_CLOSE, {"max_attempts": 1}, False),
        # Types of errors are not asked about.
        (
            TimeoutKind.START_TO_CLOSE,
            {"max_attempts": 2, "non_retryable_error_types": (EXCEPTION_CLASS,)},
            True,
        ),
        # No attempt begins that has no time left.
        (
            TimeoutKind.START_TO_CLOSE,
            {
                "max_attempts": 2,
                "backoff_seconds": (5,),
                "schedule_to_close_timeout": 15,
            },
            False,
        ),
        (
            TimeoutKind.START_TO_CLOSE,
            {
                "max_attempts": 2,
                "backoff_seconds": (5,),
                "schedule_to_close_timeout": 16,
            },
            True,
        ),
    ],
)
def test_which_time_out_is_retried(
    kind: TimeoutKind, policy: dict[str, Any], is_retried: bool
) -> None:
    play = scheduled(**{TIMEOUTS[kind]: 10, **policy})
    if kind is not TimeoutKind.SCHEDULE_TO_START:
        play.poll_activity()
    play.advance(10)
    reply = timed_out(play, 1)
    assert (reply.kind, reply.is_retried) == (kind, is_retried)
    name = "ActivityRetryScheduled" if is_retried else "ActivityTimedOut"
    assert play.event_types()[-1] == name


def test_attempts_are_numbered_through() -> None:
    """Failures, lost leases and time-outs all spend the number of an attempt."""
    play, first = running(
        max_attempts=4, start_to_close_timeout=10, backoff_seconds=(1, 2, 3, 4)
    )
    play.requeue(first.task)
    second = play.poll_activity()
    play.advance(10)
    timed_out(play, 1)
    assert play.history()[-1][1]["retry_backoff_seconds"] == 2
    play.advance(2)
    third = play.poll_activity()
    play.fail(third)
    play.advance(3)
    fourth = play.poll_activity()
    play.advance(10)
    assert not timed_out(play, 1).is_retried
    attempts = [held.task.attempt for held in (first, second, third, fourth)]
    assert attempts == [1, 2, 3, 4]
    assert [a.status for a in play.here.attempts.values()] == [
        AttemptStatus.EXPIRED,
        AttemptStatus.FAILED,
        AttemptStatus.FAILED,
        AttemptStatus.FAILED,
    ]


def test_an_activity_that_nobody_ever_takes_comes_to_an_end() -> None:
    """Each time it waits in vain spends an attempt."""
    play = scheduled(max_attempts=3, schedule_to_start_timeout=10)
    for made in (1, 2):
        play.advance(10)
        assert timed_out(play, 1).is_retried
        payload = play.history()[-1][1]
        assert payload["retry_after_attempt"] == made
        assert "activity_attempt_id" not in payload
    play.advance(10)
    assert not timed_out(play, 1).is_retried
    assert play.history()[-1][1]["attempt_number"] == 3
    assert play.here.attempts == {}
    assert play.workflow_task.resume["workflow_event_type"] == "ActivityTimedOut"


def test_an_attempt_after_one_that_nobody_took() -> None:
    play = scheduled(max_attempts=3, schedule_to_start_timeout=10)
    play.advance(10)
    timed_out(play, 1)
    held = play.poll_activity()
    assert (held.task.attempt, play.history()[-1][1]["attempt_number"]) == (2, 2)


# while the lease is lost ---------------------------------------------------------


def test_a_lost_attempt_still_has_its_deadline() -> None:
    play, held = running(max_attempts=2, heartbeat_timeout=10)
    play.requeue(held.task)
    play.advance(10)
    assert timed_out(play, 1).is_retried
    assert [a.status for a in play.here.attempts.values()] == [AttemptStatus.EXPIRED]
    assert play.task(held.task).status is TaskStatus.CANCELLED
    again = play.poll_activity()
    assert again.task.attempt == 2


def test_a_late_outcome_of_a_timed_out_attempt_is_stale() -> None:
    play, held = running(max_attempts=2, start_to_close_timeout=10)
    play.advance(10)
    timed_out(play, 1)
    history = play.history()
    for report in (play.report(held.task), play.report(held.task)):
        assert isinstance(report, Rejection)
        assert report.reason == "stale_attempt"
    assert play.history() == history
    play.succeed(play.poll_activity())


# barriers ------------------------------------------------------------------------


def test_a_time_out_waits_for_its_place_in_the_batch() -> None:
    play, _ = after_commands(timer(60), activity("b", schedule_to_start_timeout=10))
    play.advance(10)
    assert timed_out(play, 2).next_task_id is None
    assert play.held() == [2]
    assert play.workflow_tasks == []
    play.advance(50)
    play.fire(1)
    assert play.steps_of("TimerFired", "ActivityTimedOut") == [1, 2]
    assert play.workflow_task.resume["workflow_event_type"] == "TimerFired"


def test_a_member_of_a_group_keeps_its_metadata() -> None:
    parallel = group(base=1, size=2, index=1)
    play, _ = after_commands(
        activity("a", parallel=group(base=1, size=2, index=0)),
        activity("b", parallel=parallel, schedule_to_start_timeout=10),
    )
    play.advance(10)
    timed_out(play, 2)
    event, payload = play.history()[-1]
    assert event == "ActivityTimedOut"
    assert payload.items() >= parallel.items()


def test_a_leased_workflow_task_is_followed_up() -> None:
    play, _ = after_commands(activity("a", schedule_to_start_timeout=10))
    play.wake({"workflow_wait_kind": "signal"})
    task = play.poll()
    play.advance(10)
    assert timed_out(play, 1).next_task_id is None
    play.completed(task)
    assert play.workflow_task.resume["workflow_event_type"] == "ActivityTimedOut"


# what is left alone --------------------------------------------------------------


def test_an_unknown_activity() -> None:
    play = scheduled()
    version = play.run.version
    assert time_out_step(play, 7) is TimeoutSkip.EXECUTION_NOT_FOUND
    assert play.run.version == version


def test_a_closed_activity() -> None:
    play = scheduled(schedule_to_close_timeout=10)
    play.run_activity("a")
    play.advance(10)
    version = play.run.version
    assert time_out_step(play, 1) is TimeoutSkip.EXECUTION_ALREADY_TERMINAL
    assert play.run.version == version


def test_an_activity_that_heartbeats_keep_alive_is_written_again() -> None:
    """By then the deadline under which a sweep found it is behind the real one."""
    play, held = running(heartbeat_timeout=10)
    play.advance(5)
    alive(play, held)
    play.advance(5)
    before, version = play.here.activities[1], play.run.version
    assert time_out_step(play, 1) is TimeoutSkip.NO_DEADLINE_EXPIRED
    assert play.run.version == version + 1
    assert play.here.activities[1] == before
    assert play.event_types()[-1] == "ActivityHeartbeatRecorded"


def test_a_time_out_yields_to_a_renewal() -> None:
    """Heartbeats do not touch the version of the run: the lease itself is guarded."""
    play, held = running(heartbeat_timeout=10)
    play.advance(10)
    draft = play.draft()
    time_out_activity(draft, 1)
    [guard] = draft.freeze().lease_guards
    assert guard.task_id == held.task.id
    assert guard.lease_expires_at == held.task.lease_expires_at


@pytest.mark.parametrize("is_held", [False, True])
def test_what_a_closed_run_left_is_settled_without_a_trace(is_held: bool) -> None:
    play = scheduled(schedule_to_close_timeout=10)
    held = play.poll_activity()
    play.wake({"workflow_wait_kind": "signal"})
    play.completed(play.poll(), CompleteWorkflow())
    if not is_held:
        play.requeue(held.task)
    history = play.history()
    assert play.here.activities[1].is_open
    play.advance(10)
    assert time_out_step(play, 1) is TimeoutSkip.RUN_ALREADY_TERMINAL
    assert play.history() == history
    assert play.here.activities[1].status is ActivityStatus.CANCELLED
    assert play.state.tasks == {}
    assert play.here.failures == []


def test_a_cancelled_run_has_nothing_left() -> None:
    play = scheduled(schedule_to_close_timeout=10)
    close(play)
    play.advance(10)
    assert time_out_step(play, 1) is TimeoutSkip.EXECUTION_ALREADY_TERMINAL
