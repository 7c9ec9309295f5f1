"""One open workflow task for each run, and no cause that gets lost."""

from __future__ import annotations

import pytest

from dwserver.engine.commands.batch import Completed, Completion, complete_workflow_task
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.activity_outcome import (
    AttemptFailure,
    Recorded,
    Report,
    record_outcome,
)
from dwserver.engine.model import JsonMap, Wake
from dwserver.engine.words import TaskStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.parts import (
    activity,
    signal,
    timer,
)


def waiting(play: Play) -> list[Wake]:
    """Causes that wait behind the leased task."""
    return list(play.run.wakes)


def test_a_cause_without_an_open_task_makes_one() -> None:
    play, _ = after_commands(activity("a"))
    assert play.workflow_tasks == []
    task_id = play.wake(signal("go"))
    task = play.workflow_task
    assert (task.id, task.resume) == (task_id, signal("go"))
    assert (task.status, task.available_at) == (TaskStatus.READY, play.now)


@pytest.mark.parametrize(
    ("known", "arriving", "shown"),
    [
        ({}, signal("late"), signal("late")),
        (signal("early"), signal("late"), signal("early")),
        (signal("early"), {}, signal("early")),
        ({}, {}, {}),
    ],
)
def test_a_cause_while_the_task_is_ready_is_covered_by_it(
    known: JsonMap, arriving: JsonMap, shown: JsonMap
) -> None:
    play, _ = after_commands(activity("a"))
    task_id = play.wake(known)
    assert play.wake(arriving) == task_id
    assert play.workflow_task.resume == shown
    assert waiting(play) == []


def test_an_outcome_while_the_task_is_ready_is_covered_by_it() -> None:
    play, _ = after_commands(activity("a"))
    task_id = play.wake(signal("go"))
    assert play.run_activity("a") == task_id
    task = play.poll()
    assert task.resume == signal("go")
    assert task.snapshot_sequence == play.run.last_sequence
    play.completed(task, timer(9))
    assert play.workflow_tasks == []


def test_an_outcome_while_the_task_is_leased_is_followed_up() -> None:
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    assert play.run_activity("a") is None
    assert play.workflow_task.id == task.id
    assert [cause.resume["workflow_wait_kind"] for cause in waiting(play)] == [
        "activity"
    ]
    play.completed(task, activity("a"))
    successor = play.workflow_task
    assert successor.id != task.id
    assert successor.resume["workflow_event_type"] == "ActivityCompleted"
    assert waiting(play) == []
    play.completed(play.poll(), CompleteWorkflow())


def test_several_causes_while_leased_need_one_task_with_the_first_as_its_cause() -> (
    None
):
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    for name in ("x", "y", "z"):
        assert play.wake(signal(name)) is None
    play.completed(task)
    assert play.workflow_task.resume == signal("x")
    assert waiting(play) == []
    play.completed(play.poll())
    assert play.workflow_tasks == []


def test_a_task_that_is_not_due_yet_covers_as_well() -> None:
    play, task = begun()
    play.completed(task)
    [delayed] = play.workflow_tasks
    assert delayed.available_at > play.now
    assert play.wake(signal("go")) == delayed.id
    assert play.workflow_task.resume == signal("go")


def test_a_partly_resolved_batch_is_no_cause() -> None:
    play, _ = after_commands(activity("a"), activity("b"))
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    assert waiting(play) == []
    play.completed(task, activity("a"), activity("b"))
    assert play.workflow_tasks == []


def test_waiting_causes_end_with_the_run() -> None:
    play, _ = after_commands(activity("a"))
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    play.completed(task, CompleteWorkflow())
    assert waiting(play) == []
    assert play.state.tasks == {}


def test_tasks_that_a_draft_leaves_ready_for_a_hand_off() -> None:
    play, task = begun()
    assert play.draft().ready_tasks() == []
    draft = play.draft()
    command = activity("a", max_attempts=2, backoff_seconds=(5,))
    completion = Completion(
        task=task, owner="w1", attempt=1, commands=[command, timer(0)]
    )
    reply = complete_workflow_task(draft, completion)
    assert isinstance(reply, Completed)
    assert [ready.id for ready in draft.ready_tasks()] == [reply.created_task_ids[0]]
    play.commit(draft)

    # A retry that has to wait is not for handing off.
    held = play.poll_activity("a")
    draft = play.draft()
    report = Report(
        task=held.task,
        attempt_id=str(held.task.attempt_id),
        owner="w1",
        failure=AttemptFailure(message="boom"),
    )
    assert isinstance(record_outcome(draft, report), Recorded)
    assert draft.ready_tasks() == []
