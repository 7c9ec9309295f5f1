"""Leases: who may claim what, when they lapse, and what taking one away leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dwserver.engine import leases
from dwserver.engine.background import Background
from dwserver.engine.commands.batch import Completion, complete_workflow_task
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.context import Policy
from dwserver.engine.leases import check_workflow_task, run_closed_fields
from dwserver.engine.model import RunInput
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import LeaseGuard
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    RunStatus,
    TaskStatus,
)
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.parts import (
    NOON,
    activity,
    at,
    signal,
    timer,
)


def test_a_workflow_lease_changes_the_task_alone() -> None:
    play = Play()
    play.start()
    ready = play.workflow_task
    before = play.run
    play.advance(2)
    leased = play.lease(ready, "w7")
    assert leased is not None
    assert leased.activity is None
    assert leased.task == replace(
        ready,
        status=TaskStatus.LEASED,
        lease_owner="w7",
        leased_at=NOON + 2 * MICROS,
        lease_expires_at=NOON + 62 * MICROS,
        attempt=1,
        snapshot_sequence=2,
    )
    assert play.workflow_task == leased.task
    assert len(play.history()) == 2
    assert play.run == replace(
        before, version=before.version + 1, last_progress_at=play.now
    )


def test_lease_durations_follow_the_policy() -> None:
    policy = Policy(workflow_task_lease=7 * MICROS, activity_task_lease=9 * MICROS)
    play, task = begun(policy)
    assert task.lease_expires_at == NOON + 7 * MICROS
    play.completed(task, activity("a"))
    assert play.poll_activity().task.lease_expires_at == NOON + 9 * MICROS


def test_a_leased_task_cannot_be_claimed() -> None:
    play, task = begun()
    before = play.state
    assert play.lease(task, "w2") is None
    assert play.state is before


def test_a_task_cannot_be_claimed_before_it_is_due() -> None:
    play, task = begun()
    play.fail_task(task)
    play.fail_task(play.poll())
    successor = play.workflow_task
    assert successor.available_at == NOON + 3 * MICROS
    play.advance(2.999999)
    before = play.state
    assert play.lease(successor) is None
    assert play.state is before
    play.advance(0.000001)
    assert play.lease(successor) is not None


def test_an_activity_lease_begins_an_attempt() -> None:
    play, _ = after_commands(activity("a", start_to_close_timeout=30))
    play.advance(3)
    held = play.poll_activity(owner="w7")
    row = play.here.activities[1]
    assert held.activity == row
    assert (row.status, row.attempt_count) == (ActivityStatus.RUNNING, 1)
    assert row.started_at == NOON + 3 * MICROS
    assert row.close_deadline_at == NOON + 33 * MICROS
    assert (held.task.attempt, held.task.lease_owner) == (1, "w7")
    assert play.event_types()[-1] == "ActivityStarted"
    assert play.here.attempts == {}


def test_a_ready_task_of_a_closed_run_is_cancelled_instead() -> None:
    play, _ = after_commands(activity("a"))
    draft = play.draft()
    draft.set_run(status=RunStatus.TERMINATED, closed_at=play.now)
    play.commit(draft)
    [task] = play.state.tasks.values()
    assert play.lease(task) is None
    assert play.task(task).status is TaskStatus.CANCELLED
    assert play.event_types()[-1] == "ActivityScheduled"


def test_a_ready_task_of_a_closed_activity_is_cancelled_instead() -> None:
    play, _ = after_commands(activity("a"))
    draft = play.draft()
    closed = replace(draft.activities[1], status=ActivityStatus.FAILED)
    draft.activities.put(closed)
    play.commit(draft)
    [task] = play.state.tasks.values()
    assert play.lease(task) is None
    assert play.task(task).status is TaskStatus.CANCELLED


# taking a lease away ------------------------------------------------------------


@pytest.mark.parametrize(
    ("elapsed", "expires"), [(59.999999, False), (60, True), (999, True)]
)
def test_a_workflow_lease_lapses(elapsed: float, expires: bool) -> None:
    play, task = begun()
    history, before = play.history(), play.state
    play.advance(elapsed)
    assert play.expire(task) is expires
    assert play.history() == history
    if not expires:
        assert play.state is before
        return
    assert play.workflow_task == replace(
        task,
        status=TaskStatus.READY,
        available_at=play.now,
        lease_owner=None,
        leased_at=None,
        lease_expires_at=None,
        repair_count=1,
    )
    again = play.poll("w2")
    assert (again.id, again.attempt, again.repair_count) == (task.id, 2, 1)


def test_an_activity_lease_lapses_silently() -> None:
    play, _ = after_commands(activity("a", heartbeat_timeout=5))
    held = play.poll_activity()
    history = play.history()
    play.advance(300)
    assert play.expire(held.task)
    assert play.history() == history
    [attempt] = play.here.attempts.values()
    assert (attempt.id, attempt.number) == (held.task.attempt_id, 1)
    assert (attempt.status, attempt.closed_at) == (AttemptStatus.EXPIRED, play.now)
    ready = play.task(held.task)
    assert (ready.status, ready.attempt_id, ready.attempt) == (
        TaskStatus.READY,
        None,
        1,
    )
    assert play.here.activities[1].status is ActivityStatus.RUNNING

    second = play.poll_activity(owner="w2")
    assert second.task.id == held.task.id
    assert second.task.attempt_id != held.task.attempt_id
    assert play.history()[-1][1]["attempt_number"] == 2
    assert play.here.activities[1].attempt_count == 2


def test_a_lease_whose_answer_got_lost_is_returned_before_it_lapses() -> None:
    play, task = begun()
    assert not play.expire(task)
    assert play.requeue(task)
    assert play.poll("w2").attempt == 2


def test_taking_a_lease_away_is_guarded_against_a_renewal() -> None:
    play, task = begun()
    draft = play.draft()
    leases.requeue(draft, draft.tasks[task.id])
    change = play.commit(draft)
    assert change.lease_guards == (LeaseGuard(task.id, NOON + 60 * MICROS),)


def test_there_is_nothing_to_take_away_from_a_ready_or_closed_task() -> None:
    play, task = begun()
    play.completed(task, activity("a"))
    before = play.state
    [ready] = before.tasks.values()
    assert not play.requeue(ready)
    assert not play.requeue(play.task(task))
    assert not play.expire(ready)
    assert play.state is before


def test_a_lapsed_lease_of_a_closed_run_ends() -> None:
    play, _ = after_commands(activity("a"))
    held = play.poll_activity()
    play.wake(signal("go"))
    play.completed(play.poll(), CompleteWorkflow())
    play.advance(300)
    assert play.expire(held.task)
    assert play.task(held.task).status is TaskStatus.CANCELLED
    assert play.state.tasks == {}


def test_what_waited_behind_a_lapsed_lease_is_covered_by_the_redelivery() -> None:
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    [cause] = play.run.wakes
    assert cause.resume["workflow_wait_kind"] == "activity"
    play.requeue(task)
    assert not play.run.wakes
    again = play.poll()
    assert again.snapshot_sequence == play.run.last_sequence
    play.completed(again, timer(1))
    assert play.workflow_tasks == []


# looking a task up --------------------------------------------------------------


def test_a_task_that_was_found_open_but_closed_since() -> None:
    """A request may look its task up just before somebody else completes it."""
    play, task = begun()
    play.completed(task, activity("a"))
    stale = Completion(
        task=task,
        owner="w1",
        attempt=1,
        commands=[CompleteWorkflow()],
        background=Background(
            input=RunInput(arguments=None), instance=play.instances["wf"]
        ),
    )
    before = play.state
    reply = play.decide(lambda draft: complete_workflow_task(draft, stale))
    assert isinstance(reply, Rejection)
    assert reply.reason == "task_not_leased"
    assert play.state is before


def test_a_task_that_was_found_before_its_lease_moved_on() -> None:
    play, task = begun()
    play.requeue(task)
    newest = play.poll("w2")
    assert leases.current(play.draft(), task) == newest


def test_a_lease_without_owner_or_end_is_none() -> None:
    play, task = begun()
    for broken in (
        replace(task, lease_owner=None),
        replace(task, lease_expires_at=None),
    ):
        refused = check_workflow_task(
            play.run, broken, owner="w1", attempt=1, context=play.context()
        )
        assert refused is not None
        assert refused.reason == "task_not_leased"


@pytest.mark.parametrize(
    ("status", "reason", "stop_reason", "is_requested"),
    [
        (RunStatus.COMPLETED, ClosedReason.COMPLETED, "run_completed", False),
        (RunStatus.COMPLETED, ClosedReason.CONTINUED, "run_completed", False),
        (RunStatus.FAILED, ClosedReason.FAILED, "run_failed", False),
        (RunStatus.FAILED, ClosedReason.TIMED_OUT, "run_failed", False),
        (RunStatus.CANCELLED, ClosedReason.CANCELLED, "run_cancelled", True),
        (RunStatus.TERMINATED, ClosedReason.TERMINATED, "run_terminated", True),
    ],
)
def test_why_a_worker_must_stop(
    status: RunStatus, reason: ClosedReason, stop_reason: str, is_requested: bool
) -> None:
    play, task = begun()
    run = replace(play.run, status=status, closed_reason=reason, closed_at=NOON)
    cancelled = replace(task, status=TaskStatus.CANCELLED)
    assert run_closed_fields(run, cancelled) == {
        "stop_reason": stop_reason,
        "cancel_requested": is_requested,
        "can_continue": False,
        "run_status": status,
        "run_closed_reason": reason,
        "run_closed_at": at(0),
        "task_status": "cancelled",
        "lease_owner": "w1",
        "lease_expires_at": None,
    }
