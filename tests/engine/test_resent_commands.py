"""A replaying worker sends the pending batch again: nothing may happen twice."""

from __future__ import annotations

import pytest

from dwserver.engine.commands.batch import Completed
from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.context import Limits, Policy
from dwserver.engine.words import ClosedReason, EventType, RunStatus
from tests.engine.builders import (
    Play,
    after_commands,
)
from tests.engine.children import FAILED, child, stop
from tests.engine.parts import (
    activity,
    group,
    signal,
    timer,
)

A = activity("a", "AA==")
B = activity("b", "BB==")
UNSEEN = frozenset({EventType.ACTIVITY_FAILED, EventType.CHILD_RUN_CANCELLED})
RETRIED = activity("a", max_attempts=3, backoff_seconds=(1,))

BATCHES: list[tuple[WorkflowCommand, ...]] = [
    (A,),
    (activity("a"),),
    (RETRIED,),
    (timer(60),),
    (timer(0),),
    (A, B),
    (A, A),
    (A, timer(60), B),
    (timer(1), timer(2)),
    (
        activity("a", parallel=group(base=1, size=2, index=0)),
        activity("b", parallel=group(base=1, size=2, index=1)),
    ),
]


def resend(play: Play, *commands: WorkflowCommand) -> Completed:
    """Something wakes the run, and the worker answers with ``commands``."""
    play.wake(signal("go"))
    return play.completed(play.poll(), *commands)


@pytest.mark.parametrize("batch", BATCHES)
def test_the_pending_batch_again_changes_nothing(
    batch: tuple[WorkflowCommand, ...],
) -> None:
    play, _ = after_commands(*batch)
    history, activities, timers = play.history(), play.here.activities, play.here.timers
    for _ in range(2):
        reply = resend(play, *batch)
        assert reply == Completed(play.run_id, RunStatus.WAITING, ())
        assert play.history() == history
        assert (play.here.activities, play.here.timers) == (activities, timers)
        assert play.workflow_tasks == []
    assert play.run.last_step == len(batch)


DIFFERENT: list[tuple[tuple[WorkflowCommand, ...], tuple[WorkflowCommand, ...]]] = [
    ((A,), (B,)),
    ((A,), (activity("a", "other"),)),
    ((A,), (activity("a"),)),
    ((A,), (timer(60),)),
    ((timer(60),), (timer(61),)),
    ((timer(60),), (A,)),
    ((A,), (A, A)),
    ((A, B), (A,)),
    ((A, B), (B, A)),
    ((A, B), (A, timer(1))),
]


@pytest.mark.parametrize(("batch", "sent"), DIFFERENT)
def test_anything_else_is_new(
    batch: tuple[WorkflowCommand, ...], sent: tuple[WorkflowCommand, ...]
) -> None:
    play, _ = after_commands(*batch)
    reply = resend(play, *sent)
    assert len(reply.created_task_ids) == len(sent)
    assert play.run.last_step == len(batch) + len(sent)
    assert (play.run.batch_first, play.run.batch_size) == (len(batch) + 1, len(sent))


def test_a_list_of_which_some_members_have_resolved() -> None:
    play, _ = after_commands(A, B, timer(60))
    play.run_activity("a")
    reply = resend(play, A, B, timer(60))
    assert reply.created_task_ids == ()
    # A member held back behind an open one is recognised as well.
    play.advance(60)
    play.fire(3)
    assert play.held() == [3]
    assert resend(play, A, B, timer(60)).created_task_ids == ()
    play.run_activity("b")
    assert play.steps_of("ActivityCompleted", "TimerFired") == [1, 2, 3]


def test_a_list_that_resolves_while_the_worker_replays_an_older_history() -> None:
    play, _ = after_commands(A, B)
    play.wake(signal("go"))
    task = play.poll()
    play.run_activity("a")
    play.run_activity("b")
    reply = play.completed(task, A, B)
    assert reply.created_task_ids == ()
    assert play.run.last_step == 2
    # The resolution is delivered next, and then the same list is meant anew.
    successor = play.poll()
    assert successor.resume["workflow_event_type"] == "ActivityCompleted"
    assert len(play.completed(successor, A, B).created_task_ids) == 2
    assert play.run.last_step == 4


@pytest.mark.parametrize("command", [A, timer(5)])
def test_the_same_step_again_after_its_outcome_was_delivered(
    command: WorkflowCommand,
) -> None:
    play, _ = after_commands(command)
    for step in range(1, 4):
        if command is A:
            play.run_activity("a")
        else:
            play.advance(5)
            assert play.fire(step)
        reply = play.completed(play.poll(), command)
        assert len(reply.created_task_ids) == 1
        assert play.run.last_step == step + 1


def test_the_same_step_again_after_it_failed() -> None:
    """A workflow may catch the failure and try the same thing again."""
    play, _ = after_commands(A)
    play.fail(play.poll_activity("a"))
    assert len(play.completed(play.poll(), A).created_task_ids) == 1
    assert play.event_types().count("ActivityScheduled") == 2


def test_a_redelivered_task_sees_the_outcome() -> None:
    """The snapshot that counts is that of the newest lease."""
    play, _ = after_commands(A)
    play.wake(signal("go"))
    first = play.poll()
    play.run_activity("a")
    assert play.requeue(first)
    second = play.poll()
    assert (second.id, second.snapshot_sequence) == (first.id, play.run.last_sequence)
    assert len(play.completed(second, A).created_task_ids) == 1


def test_the_pending_batch_before_a_terminal_command() -> None:
    play, _ = after_commands(A, timer(60))
    reply = resend(play, A, timer(60), CompleteWorkflow())
    assert reply == Completed(play.run_id, RunStatus.COMPLETED, ())
    assert play.event_types().count("ActivityScheduled") == 1


def test_only_the_newest_batch_is_recognised() -> None:
    play, _ = after_commands(A)
    assert len(resend(play, B).created_task_ids) == 1
    assert resend(play, B).created_task_ids == ()
    assert len(resend(play, A).created_task_ids) == 1


def test_a_worker_that_does_not_replay_may_mean_it() -> None:
    play, _ = after_commands(A, policy=Policy(recognises_resent_commands=False))
    assert len(resend(play, A).created_task_ids) == 1
    assert play.event_types().count("ActivityScheduled") == 2


@pytest.mark.parametrize(
    "configured",
    [
        Limits(pending_activities=1),
        Limits(pending_timers=1),
        Limits(history_events=4),
    ],
)
def test_commands_sent_again_count_towards_no_limit(configured: Limits) -> None:
    batch = (A, timer(60))
    play, _ = after_commands(*batch, policy=Policy(limits=configured))
    assert resend(play, *batch).created_task_ids == ()


def failed_in_parallel() -> Play:
    """``a`` has failed for good, ``b`` has not; both were scheduled at once."""
    play, _ = after_commands(A, B)
    play.succeed(play.poll_activity("b"))
    play.fail(play.poll_activity("a"))
    return play


def test_a_worker_blind_to_failures_ends_its_run_by_asking_again() -> None:
    """Decision 20e: it would ask for the failed step for ever."""
    play = failed_in_parallel()
    reply = play.complete(play.poll(), A, B, unseen=UNSEEN)
    assert reply == Completed(play.run_id, RunStatus.FAILED, ())
    event_type, payload = play.history()[-1]
    assert event_type == "WorkflowFailed"
    assert payload["failure_category"] == "activity"
    assert payload["message"] == "The activity [a] failed."
    assert play.event_types().count("ActivityScheduled") == 2
    assert play.workflow_tasks == []


@pytest.mark.parametrize("how", ["cancelled", "terminated"])
def test_a_worker_blind_to_cancelled_children_ends_its_run_by_asking_again(
    how: str,
) -> None:
    """It would start the child again and again."""
    play, _ = after_commands(child())
    stop(play, 1, RunStatus(how), ClosedReason(how), **FAILED)
    reply = play.complete(play.poll(), child(), unseen=UNSEEN)
    assert reply == Completed(play.run_id, RunStatus.FAILED, ())
    _, payload = play.history()[-1]
    assert payload["failure_category"] == "child_workflow"
    assert payload["message"] == f"The child workflow [kid] was {how}."
    assert play.event_types().count("ChildRunStarted") == 1


def test_a_worker_that_sees_failures_may_try_the_same_again() -> None:
    play = failed_in_parallel()
    assert len(play.completed(play.poll(), A, B).created_task_ids) == 2
    assert play.run.status is RunStatus.WAITING


@pytest.mark.parametrize("commands", [(A,), (B, A), (A, B, A)])
def test_a_blind_worker_may_ask_for_something_else(
    commands: tuple[WorkflowCommand, ...],
) -> None:
    play = failed_in_parallel()
    reply = play.complete(play.poll(), *commands, unseen=UNSEEN)
    assert isinstance(reply, Completed)
    assert len(reply.created_task_ids) == len(commands)


def test_a_blind_worker_may_ask_for_a_successful_step_again() -> None:
    play, _ = after_commands(A)
    play.run_activity("a")
    reply = play.complete(play.poll(), A, unseen=UNSEEN)
    assert isinstance(reply, Completed)
    assert len(reply.created_task_ids) == 1
