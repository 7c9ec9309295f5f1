"""Workflow tasks that a worker gives back: failed, or waiting for history."""

from __future__ import annotations

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.context import Policy
from dwserver.engine.lifecycle.task_failure import TaskFailed
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import RunStatus, TaskStatus
from tests.engine.builders import (
    Play,
    after_commands,
)
from tests.engine.parts import (
    activity,
    signal,
    timer,
)


def fail_again_and_again(play: Play, times: int) -> list[int]:
    """Seconds until each successor may be claimed."""
    waited = []
    for _ in range(times):
        failed = play.poll()
        assert play.fail_task(failed) == TaskFailed("failed")
        seconds = (play.workflow_task.available_at - play.now) // MICROS
        waited.append(seconds)
        play.advance(seconds)
    return waited


def test_the_task_is_replaced_from_the_same_cause() -> None:
    play, _ = after_commands(activity("a"))
    play.run_activity("a")
    task = play.poll()
    history, status = play.history(), play.run.status
    assert play.fail_task(task) == TaskFailed("failed")
    successor = play.workflow_task
    assert successor.id != task.id
    assert (successor.resume, successor.attempt) == (task.resume, 0)
    assert (successor.queue, successor.available_at) == (task.queue, play.now)
    assert play.task(task).status is TaskStatus.FAILED
    assert play.task(task).last_error == "cannot replay"
    assert play.task(task).closed_at == play.now
    assert (play.history(), play.run.status) == (history, status)
    assert play.poll().attempt == 1


def test_the_back_off() -> None:
    play = Play()
    play.start()
    assert fail_again_and_again(play, 9) == [0, 3, 6, 12, 24, 48, 60, 60, 60]
    assert play.event_types() == ["StartAccepted", "WorkflowStarted"]
    assert play.run.status is RunStatus.PENDING


def test_the_back_off_begins_anew_after_a_completion() -> None:
    play = Play()
    play.start()
    fail_again_and_again(play, 3)
    play.completed(play.poll(), timer(0))
    assert play.run.task_failures == 0
    play.fire(1)
    assert fail_again_and_again(play, 2) == [0, 3]


def test_the_back_off_follows_the_policy() -> None:
    policy = Policy(redispatch_after=10 * MICROS, failure_backoff_max=15 * MICROS)
    play = Play(policy)
    play.start()
    assert fail_again_and_again(play, 4) == [0, 10, 15, 15]


def test_a_huge_count_of_failures_is_no_problem() -> None:
    assert Policy().task_failure_backoff(10_000) == 60 * MICROS


def test_what_waited_behind_a_failed_task_is_covered_by_its_successor() -> None:
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    play.fail_task(task)
    assert play.run.wakes == ()
    successor = play.poll()
    assert successor.resume == signal("go")
    assert successor.snapshot_sequence == play.run.last_sequence
    play.completed(successor, CompleteWorkflow())


# waiting for history ------------------------------------------------------------


def test_a_worker_that_waits_leaves_no_trace() -> None:
    """Decision 20d."""
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    history = play.history()
    assert play.fail_task(task, is_waiting=True) == TaskFailed("waiting_for_history")
    assert play.workflow_tasks == []
    assert play.history() == history
    assert play.run.task_failures == 0
    assert play.task(task).status is TaskStatus.COMPLETED
    assert play.task(task).last_error is None
    play.run_activity("a")
    assert play.workflow_task.resume["workflow_wait_kind"] == "activity"


def test_what_it_waits_for_may_have_happened_meanwhile() -> None:
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    play.fail_task(task, is_waiting=True)
    assert play.workflow_task.resume["workflow_wait_kind"] == "activity"
    assert play.run.wakes == ()


def test_waiting_with_nothing_pending_is_delivered_again_with_back_off() -> None:
    play = Play()
    play.start()
    task = play.poll()
    play.fail_task(task, is_waiting=True)
    again = play.workflow_task
    assert again.id != task.id
    assert again.available_at - task.available_at == 3 * MICROS
    assert again.resume == task.resume
