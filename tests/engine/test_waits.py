"""Condition waits: opened once, opened again, satisfied, timed out (§9.1–9.4)."""

from __future__ import annotations

import pytest

from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.markers import RecordSideEffect
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.context import Policy
from dwserver.engine.words import RunStatus, TimerStatus, WaitStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.endings import close
from tests.engine.parts import (
    activity,
    avro,
    condition,
    timer,
)

OPENED = "ConditionWaitOpened"
SATISFIED = "ConditionWaitSatisfied"
START = ["StartAccepted", "WorkflowStarted"]


def events_after_start(play: Play) -> list[str]:
    return play.event_types()[2:]


def status_of(play: Play, step: int = 1) -> WaitStatus:
    return play.here.waits[step].status


def test_a_wait_takes_a_step_and_needs_no_task() -> None:
    play, reply = after_commands(condition())
    assert reply.created_task_ids == ()
    assert events_after_start(play) == [OPENED]
    assert play.steps_of(OPENED) == [1]
    assert play.workflow_tasks == []
    assert play.run.task_failures == 0


def test_a_time_out_has_the_step_of_its_wait() -> None:
    play, reply = after_commands(condition(timeout=30), timer(9))
    assert play.steps_of(OPENED, "TimerScheduled") == [1, 1, 2]
    assert len(reply.created_task_ids) == 2
    assert reply.created_task_ids[0] == play.here.timers[1].task_id
    assert play.here.timers[1].kind == "condition_timeout"


# opened again ------------------------------------------------------------------------


@pytest.mark.parametrize("timeout", [None, 30])
def test_a_wait_that_is_opened_again_leaves_no_trace(timeout: int | None) -> None:
    play, _ = after_commands(condition(timeout=timeout))
    for name in ("a", "b"):
        play.signalled(name)
        play.advance(1)
        before = play.run.last_sequence
        play.completed(play.poll(), condition(timeout=timeout))
        assert play.run.last_sequence == before
        assert play.workflow_tasks == []
    assert play.event_types().count(OPENED) == 1
    assert play.run.last_step == 1
    assert status_of(play) is WaitStatus.OPEN


@pytest.mark.parametrize(
    ("first", "again", "is_same"),
    [
        (condition("k"), condition("k"), True),
        (condition("k", 5), condition("k", 7), True),
        (condition("k"), condition("other"), False),
        (condition(None), condition(None), True),
        (condition(None), condition("k"), False),
        (condition("k"), condition(None), False),
    ],
)
def test_key_and_fingerprint_tell_waits_apart(
    first: WorkflowCommand, again: WorkflowCommand, is_same: bool
) -> None:
    play, _ = after_commands(first)
    play.signalled("go")
    play.completed(play.poll(), again)
    assert play.run.last_step == (1 if is_same else 2)
    expected = WaitStatus.OPEN if is_same else WaitStatus.SATISFIED
    assert status_of(play) is expected


def test_the_same_wait_after_a_marker_is_another_one() -> None:
    play, _ = after_commands(condition())
    play.signalled("go")
    play.completed(play.poll(), RecordSideEffect(result=avro("x")), condition())
    assert events_after_start(play) == [
        OPENED,
        "SignalReceived",
        SATISFIED,
        "SideEffectRecorded",
        OPENED,
    ]
    assert play.steps_of(OPENED, "SideEffectRecorded") == [1, 2, 3]


def test_waits_are_recognised_whatever_the_policy() -> None:
    policy = Policy(recognises_resent_commands=False)
    play, _ = after_commands(condition(), policy=policy)
    play.signalled("go")
    play.completed(play.poll(), condition())
    assert play.run.last_step == 1


def test_a_marker_alone_leaves_the_wait_open() -> None:
    play, _ = after_commands(condition())
    play.signalled("go")
    play.completed(play.poll(), RecordSideEffect(result=avro("x")))
    assert status_of(play) is WaitStatus.OPEN
    play.signalled("go")
    play.completed(play.poll())
    assert status_of(play) is WaitStatus.OPEN


# the workflow moves on ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("commands", "then"),
    [
        ([activity("a")], ["ActivityScheduled"]),
        ([timer(5)], ["TimerScheduled"]),
        ([condition("next")], [OPENED]),
        ([CompleteWorkflow()], ["WorkflowCompleted"]),
        ([FailWorkflow(message="no")], ["WorkflowFailed"]),
        ([ContinueAsNew()], ["WorkflowContinuedAsNew"]),
        (
            [RecordSideEffect(result=avro("x")), CompleteWorkflow()],
            ["SideEffectRecorded", "WorkflowCompleted"],
        ),
    ],
)
def test_what_comes_after_a_wait_satisfies_it_first(
    commands: list[WorkflowCommand], then: list[str]
) -> None:
    play, _ = after_commands(condition(timeout=60))
    run_id = play.run_id
    play.signalled("go")
    play.completed(play.poll(), *commands)
    assert play.event_types(run_id)[2:] == [
        OPENED,
        "TimerScheduled",
        "SignalReceived",
        SATISFIED,
        "TimerCancelled",
        *then,
    ]
    rows = play.rows[run_id]
    assert rows.waits[1].status is WaitStatus.SATISFIED
    assert rows.timers[1].status is TimerStatus.CANCELLED
    play.run_id = run_id
    play.advance(90)
    assert not play.fire(1)


def test_a_condition_may_come_true_for_any_reason() -> None:
    play, _ = after_commands(activity("a"), condition())
    play.run_activity("a")
    assert play.workflow_task.resume["workflow_wait_kind"] == "activity"
    play.completed(play.poll(), CompleteWorkflow())
    assert events_after_start(play)[-2:] == [SATISFIED, "WorkflowCompleted"]
    [satisfied] = [p for name, p in play.history() if name == SATISFIED]
    assert "workflow_signal_id" not in satisfied


def test_a_wait_that_timed_out_is_not_satisfied_as_well() -> None:
    play, _ = after_commands(condition(timeout=5))
    play.advance(5)
    assert play.fire(1)
    play.completed(play.poll(), CompleteWorkflow())
    assert SATISFIED not in play.event_types()
    assert status_of(play) is WaitStatus.TIMED_OUT


# time-outs ---------------------------------------------------------------------------


def test_the_same_wait_after_its_time_out_is_another_one() -> None:
    play, _ = after_commands(condition(timeout=5))
    play.advance(5)
    play.fire(1)
    play.completed(play.poll(), condition(timeout=5))
    assert play.steps_of(OPENED) == [1, 2]
    assert play.workflow_tasks == []
    play.advance(5)
    assert play.fire(2)
    play.poll()


def test_a_time_out_of_nothing_fires_when_the_task_closes() -> None:
    play, reply = after_commands(condition(timeout=0))
    assert events_after_start(play) == [OPENED, "TimerScheduled", "TimerFired"]
    assert len(reply.created_task_ids) == 1
    assert status_of(play) is WaitStatus.TIMED_OUT
    task = play.poll()
    assert task.resume["resume_source_kind"] == "timer"
    play.completed(task, CompleteWorkflow())


def test_a_time_out_waits_while_a_worker_looks_at_the_condition() -> None:
    play, _ = after_commands(condition(timeout=5))
    play.signalled("go")
    task = play.poll()
    play.advance(6)
    assert play.fire(1)
    assert not play.fire(1), "it is held back already"
    assert play.here.timers[1].is_held
    assert "TimerFired" not in play.event_types()
    play.completed(task, CompleteWorkflow())
    assert events_after_start(play)[-3:] == [
        SATISFIED,
        "TimerCancelled",
        "WorkflowCompleted",
    ]
    assert play.here.timers[1].status is TimerStatus.CANCELLED


@pytest.mark.parametrize("how", ["completes", "fails", "waits", "loses its lease"])
def test_an_overdue_time_out_fires_when_the_task_is_over(how: str) -> None:
    play, _ = after_commands(condition(timeout=5))
    play.signalled("go")
    task = play.poll()
    play.advance(6)
    play.fire(1)
    if how == "completes":
        play.completed(task, condition(timeout=5))
    elif how == "loses its lease":
        assert play.requeue(task)
    else:
        play.fail_task(task, is_waiting=how == "waits")
    assert play.event_types()[-1] == "TimerFired"
    assert status_of(play) is WaitStatus.TIMED_OUT
    again = play.poll()
    assert again.snapshot_sequence == play.run.last_sequence
    play.completed(again, CompleteWorkflow())


def test_a_time_out_fires_beside_a_ready_task() -> None:
    play, _ = after_commands(condition(timeout=5))
    play.signalled("go")
    play.advance(6)
    assert play.fire(1)
    assert play.event_types()[-2:] == ["SignalReceived", "TimerFired"]
    assert play.workflow_task.resume["workflow_wait_kind"] == "signal"


# waits in a list ---------------------------------------------------------------------


def test_a_wait_in_a_list_holds_nothing_back() -> None:
    play, _ = after_commands(condition(), activity("a"), timer(9))
    play.run_activity("a")
    assert play.workflow_tasks == []
    play.advance(9)
    play.fire(3)
    assert play.workflow_task.resume["workflow_wait_kind"] == "timer"
    assert play.held() == []


def test_a_time_out_in_a_list_waits_for_the_rest_of_it() -> None:
    play, _ = after_commands(condition(timeout=5), activity("a"))
    play.advance(5)
    play.fire(1)
    assert play.workflow_tasks == []
    play.run_activity("a")
    task = play.poll()
    assert task.resume["workflow_event_type"] == "ActivityCompleted"
    play.completed(task, CompleteWorkflow())


@pytest.mark.parametrize("timed_out", [False, True])
def test_a_list_with_waits_that_is_sent_again_is_recognised(timed_out: bool) -> None:
    batch = (condition(timeout=5), activity("a"), condition("other"))
    play, _ = after_commands(*batch)
    if timed_out:
        play.advance(5)
        play.fire(1)
    play.signalled("go")
    last_step = play.run.last_step
    play.completed(play.poll(), *batch)
    assert play.run.last_step == last_step
    assert play.workflow_tasks == []
    play.run_activity("a")
    play.completed(play.poll(), *batch)
    assert play.run.last_step == last_step
    assert play.workflow_tasks == []
    assert status_of(play, 3) is WaitStatus.OPEN


def test_a_list_with_waits_is_new_when_all_of_it_was_seen() -> None:
    batch = (condition(timeout=5), activity("a"))
    play, _ = after_commands(*batch)
    play.run_activity("a")
    play.advance(5)
    play.fire(1)
    play.completed(play.poll(), *batch)
    assert play.run.last_step == 4


def test_moving_on_ends_every_wait_of_the_list() -> None:
    play, _ = after_commands(condition("a"), condition("b"))
    play.signalled("go")
    play.completed(play.poll(), CompleteWorkflow())
    assert events_after_start(play)[-3:] == [SATISFIED, SATISFIED, "WorkflowCompleted"]


# the run closes ----------------------------------------------------------------------


def test_waits_close_with_the_run() -> None:
    play, _ = after_commands(condition(timeout=60))
    close(play, reason="enough")
    assert play.event_types()[-3:] == [
        "CancelRequested",
        "TimerCancelled",
        "WorkflowCancelled",
    ]
    [cancelled] = [p for name, p in play.history() if name == "TimerCancelled"]
    assert cancelled["condition_wait_id"] == play.here.waits[1].id
    assert status_of(play) is WaitStatus.CLOSED
    assert play.run.status is RunStatus.CANCELLED


def test_an_open_wait_is_reason_enough_to_sleep() -> None:
    play, task = begun()
    play.completed(task, condition())
    assert play.workflow_tasks == []
    play.wake({"workflow_wait_kind": "timer"})
    play.completed(play.poll())
    assert play.workflow_tasks == []
