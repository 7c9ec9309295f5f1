"""Signals: taken in, held back, applied; signal waits (§5.4, §9.3–9.5)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.context import Limits, Policy
from dwserver.engine.words import SignalStatus, TimerStatus, WaitStatus
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.endings import close
from tests.engine.parts import (
    activity,
    at,
    condition,
    signal_wait,
    timer,
)


def unapplied(play: Play) -> list[str]:
    return [signal.name for signal in play.state.signals.values()]


def signal_events(play: Play) -> list[str]:
    return [p["signal_name"] for name, p in play.history() if name == "SignalReceived"]


# intake ------------------------------------------------------------------------------


def test_an_accepted_signal_leaves_command_row_event_and_task() -> None:
    play, _ = after_commands(condition())
    play.advance(1)
    reply = play.signal("go", "AA==", request_id="r-1", context={"caller": "me"})
    command, signal = reply.command, reply.signal
    assert signal is not None
    assert (command.sequence, command.status) == (2, "accepted")
    assert (command.outcome, command.rejection_reason) == ("signal_received", None)
    assert (command.target_name, command.request_id) == ("go", "r-1")
    assert (command.payload.data if command.payload else None) == "AA=="
    assert command.context == {"caller": "me"}
    assert command.applied_at is None
    assert reply.run.command_sequence == 2
    assert play.here.signals[2] == signal
    assert signal.event_sequence == play.run.last_sequence
    assert play.here.events[signal.event_sequence].command_id == command.id
    assert play.workflow_task.resume["workflow_signal_id"] == signal.id


@pytest.mark.parametrize(
    ("fields", "reason", "outcome"),
    [
        (
            {"known_names": frozenset({"stop"})},
            "unknown_signal",
            "rejected_unknown_signal",
        ),
        (
            {"argument_errors": {"x": ["The x argument is required."]}},
            "invalid_signal_arguments",
            "rejected_invalid_arguments",
        ),
        ({"arguments": "x" * 101}, "structural_limit_exceeded", ""),
    ],
)
def test_a_refused_signal_leaves_its_command_and_nothing_else(
    fields: dict[str, Any], reason: str, outcome: str
) -> None:
    policy = Policy(limits=Limits(payload_bytes=100))
    play, _ = after_commands(condition(), policy=policy)
    before = play.event_types()
    reply = play.signal("go", **fields)
    assert reply.signal is None
    assert reply.command == play.here.commands[-1]
    assert (reply.command.status, reply.command.outcome) == ("rejected", outcome)
    assert reply.command.rejection_reason == reason
    assert play.event_types() == before
    assert play.here.signals == {}
    assert play.workflow_tasks == []


def test_the_checks_have_an_order() -> None:
    wrong: dict[str, Any] = {
        "known_names": frozenset({"stop"}),
        "argument_errors": {"x": ["no"]},
        "arguments": "x" * 101,
    }
    policy = Policy(limits=Limits(payload_bytes=100))
    play, _ = after_commands(condition(), policy=policy)
    reasons = [play.signal("go", **wrong).command.rejection_reason]
    for field in ("known_names", "argument_errors", "arguments"):
        del wrong[field]
        reasons.append(play.signal("go", **wrong).command.rejection_reason)
    close(play)
    reasons.append(play.signal("go", known_names=frozenset()).command.rejection_reason)
    assert reasons == [
        "unknown_signal",
        "invalid_signal_arguments",
        "structural_limit_exceeded",
        None,
        "run_not_active",
    ]


def test_known_names_and_no_contract_are_good() -> None:
    play, _ = after_commands(condition())
    assert play.signal("go", known_names=frozenset({"go"})).signal
    assert play.signal("anything").signal


def test_only_so_many_signals_may_be_pending() -> None:
    policy = Policy(limits=Limits(pending_signals=2))
    play, _ = after_commands(condition(), policy=policy)
    play.signalled("a")
    play.signalled("b")
    assert play.signal("c").command.rejection_reason == "structural_limit_exceeded"
    play.completed(play.poll(), condition())
    assert play.signal("d").signal
    unlimited, _ = after_commands(
        condition(), policy=Policy(limits=Limits(pending_signals=0))
    )
    assert unlimited.signal("a").signal


# who is woken ------------------------------------------------------------------------


def test_a_signal_before_the_first_task_is_shown_by_it() -> None:
    play = Play()
    play.start()
    signal = play.signalled("go")
    task = play.poll()
    assert task.resume["workflow_signal_id"] == signal.id
    play.completed(task, condition())
    assert unapplied(play) == []
    assert play.workflow_tasks == []


def test_a_ready_task_with_a_cause_keeps_it() -> None:
    play, _ = after_commands(condition())
    first = play.signalled("first")
    play.signalled("second")
    task = play.poll()
    assert task.resume["workflow_signal_id"] == first.id
    play.completed(task, condition())
    assert unapplied(play) == []
    assert play.workflow_tasks == []


def test_a_signal_wakes_a_run_that_waits_for_something_else() -> None:
    play, _ = after_commands(activity("a"))
    play.signalled("go")
    play.completed(play.poll(), activity("a"))
    assert play.run.last_step == 1
    assert play.workflow_tasks == []


def test_a_seen_signal_counts_as_applied_when_a_condition_comes() -> None:
    play, _ = after_commands(activity("a"))
    signal = play.signalled("go")
    play.completed(play.poll(), activity("a"))
    assert unapplied(play) == ["go"], "a signal wait may still come for it"
    play.run_activity("a")
    play.advance(2)
    play.completed(play.poll(), condition())
    [applied] = play.here.signals.values()
    assert (applied.status, applied.step) == (SignalStatus.APPLIED, 2)
    assert applied.applied_at == play.now
    command = play.here.commands[signal.sequence - 1]
    assert (command.outcome, command.applied_at) == ("signal_received", play.now)


def test_signals_of_a_condition_know_its_step() -> None:
    play, _ = after_commands(timer(0))
    play.fire(1)
    play.completed(play.poll(), condition())
    play.signalled("go")
    [event] = [p for name, p in play.history() if name == "SignalReceived"]
    assert event["workflow_sequence"] == 2
    play.completed(play.poll(), condition())
    assert [signal.step for signal in play.here.signals.values()] == [2]


# while a task is leased ------------------------------------------------------------


def test_a_signal_waits_behind_the_commands_of_a_leased_task() -> None:
    play, task = begun()
    signal = play.signalled("go")
    assert signal.event_sequence == 0
    assert signal_events(play) == []
    assert play.here.commands[-1].outcome == "signal_received"
    play.advance(3)
    play.completed(task, condition())
    assert play.event_types()[2:] == ["ConditionWaitOpened", "SignalReceived"]
    assert play.here.signals[2].event_sequence == 4
    assert play.here.events[4].recorded_at == play.now
    next_task = play.poll()
    assert next_task.resume["workflow_signal_id"] == signal.id
    play.completed(next_task, CompleteWorkflow())


@pytest.mark.parametrize("how", ["fails", "waits", "loses its lease"])
def test_held_signals_are_let_go_when_the_task_is_over(how: str) -> None:
    play, _ = after_commands(activity("a"))
    play.signalled("one")
    task = play.poll()
    play.signalled("two")
    play.signalled("three")
    assert signal_events(play) == ["one"]
    if how == "loses its lease":
        play.requeue(task)
    else:
        play.fail_task(task, is_waiting=how == "waits")
    assert signal_events(play) == ["one", "two", "three"]
    if how == "waits":
        assert play.workflow_tasks == []
        play.run_activity("a")
    task = play.poll()
    play.completed(task, CompleteWorkflow())
    assert unapplied(play) == []


def test_what_arrives_meanwhile_only_matters_to_who_can_use_it() -> None:
    play, task = begun()
    play.signalled("go")
    play.completed(task, activity("a"))
    assert play.workflow_tasks == []
    play.run_activity("a")
    play.completed(play.poll(), condition())
    assert unapplied(play) == []
    assert play.workflow_tasks == []


def test_a_run_without_any_step_listens_to_signals() -> None:
    play, task = begun()
    signal = play.signalled("go")
    play.completed(task)
    assert play.workflow_task.resume["workflow_signal_id"] == signal.id
    assert play.workflow_task.available_at == play.now


def test_a_signal_that_came_too_late_stands_before_the_end() -> None:
    play, task = begun()
    play.signalled("late")
    play.completed(task, CompleteWorkflow())
    assert play.event_types()[2:] == ["SignalReceived", "WorkflowCompleted"]
    assert unapplied(play) == ["late"]


def test_a_signal_that_came_too_late_stands_before_a_cancellation() -> None:
    play, _ = begun()
    play.signalled("late")
    close(play)
    assert play.event_types()[2:] == [
        "SignalReceived",
        "CancelRequested",
        "WorkflowCancelled",
    ]


def test_the_reference_lets_signals_slip_in() -> None:
    play, task = begun(Policy(holds_messages=False))
    play.signalled("go")
    play.completed(task, condition())
    assert play.event_types()[2:] == ["SignalReceived", "ConditionWaitOpened"]
    assert play.workflow_task.resume["signal_name"] == "go"


# signal waits ------------------------------------------------------------------------


def test_a_signal_for_an_open_wait_is_handed_over() -> None:
    play, reply = after_commands(signal_wait("go", 30))
    assert reply.created_task_ids == (play.here.timers[1].task_id,)
    wait = play.here.waits[1]
    play.advance(1)
    signal = play.signalled("go", "AA==")
    assert signal.wait_id == wait.id
    task = play.poll()
    play.completed(task, CompleteWorkflow())
    assert play.event_types()[2:] == [
        "SignalWaitOpened",
        "TimerScheduled",
        "SignalReceived",
        "SignalApplied",
        "TimerCancelled",
        "WorkflowCompleted",
    ]
    history = dict(play.history())
    task_fields = history["SignalApplied"].pop("task")
    assert task_fields["id"] == task.id
    assert history["SignalApplied"].pop("command")["id"] == signal.command_id
    assert history["SignalApplied"] == {
        "workflow_command_id": signal.command_id,
        "signal_id": signal.id,
        "signal_name": "go",
        "signal_wait_id": wait.id,
        "sequence": 1,
        "value": "AA==",
        "payload_codec": "avro",
    }
    assert history["SignalReceived"]["workflow_sequence"] == 1
    assert {
        key: history["TimerCancelled"][key]
        for key in ("timer_kind", "signal_wait_id", "signal_name", "cancelled_at")
    } == {
        "timer_kind": "signal_timeout",
        "signal_wait_id": wait.id,
        "signal_name": "go",
        "cancelled_at": at(1),
    }
    assert play.here.waits[1].status is WaitStatus.SATISFIED
    [applied] = play.here.signals.values()
    assert (applied.status, applied.step) == (SignalStatus.APPLIED, 1)


def test_other_signals_stay_for_waits_to_come() -> None:
    play, _ = after_commands(signal_wait("go"))
    play.signalled("later")
    play.completed(play.poll(), signal_wait("go"))
    assert play.run.last_step == 1, "the wait was opened again"
    assert unapplied(play) == ["later"]
    play.signalled("go")
    play.completed(play.poll(), signal_wait("later", 60))
    wait = play.here.waits[2]
    assert wait.id == play.here.signals[2].wait_id
    assert "TimerScheduled" not in play.event_types()
    task = play.poll()
    assert task.resume["signal_name"] == "later"
    play.completed(task, CompleteWorkflow())
    assert unapplied(play) == []
    assert play.event_types()[-2:] == ["SignalApplied", "WorkflowCompleted"]


def test_a_wait_takes_the_oldest_signal_even_a_held_one() -> None:
    play, task = begun()
    first = play.signalled("go")
    play.signalled("go")
    play.completed(task, signal_wait("go", 0))
    assert play.here.waits[1].id == first.wait_id
    assert play.here.waits[1].status is WaitStatus.OPEN, "it has its signal"
    play.completed(play.poll(), signal_wait("go"))
    assert play.here.waits[2].id == play.here.signals[3].wait_id
    play.completed(play.poll(), CompleteWorkflow())
    assert play.event_types().count("SignalApplied") == 2


def test_signals_of_one_name_go_to_waits_one_by_one() -> None:
    play, _ = after_commands(signal_wait("go"), signal_wait("go"))
    first, second, third = (play.signalled("go") for _ in range(3))
    assert first.wait_id == play.here.waits[1].id
    assert second.wait_id == play.here.waits[2].id
    assert third.wait_id == f"signal-command:{third.command_id}"


def test_a_signal_wait_times_out() -> None:
    play, _ = after_commands(signal_wait("go", 5))
    play.advance(5)
    assert play.fire(1)
    task = play.poll()
    wait, due = play.here.waits[1], play.here.timers[1]
    assert task.resume == {
        "workflow_wait_kind": "signal",
        "open_wait_id": wait.id,
        "resume_source_kind": "timer",
        "resume_source_id": due.id,
        "timer_id": due.id,
        "workflow_sequence": 1,
        "workflow_event_type": "TimerFired",
        "signal_name": "go",
        "signal_wait_id": wait.id,
    }
    assert wait.status is WaitStatus.TIMED_OUT
    play.completed(task, CompleteWorkflow())
    assert play.event_types()[-1] == "WorkflowCompleted"


def test_a_signal_wait_without_a_signal_times_out_at_once() -> None:
    play, _ = after_commands(signal_wait("go", 0))
    assert play.event_types()[2:] == [
        "SignalWaitOpened",
        "TimerScheduled",
        "TimerFired",
    ]
    play.completed(play.poll(), CompleteWorkflow())


def test_a_signal_that_came_in_time_stops_the_time_out() -> None:
    play, _ = after_commands(signal_wait("go", 5))
    play.signalled("go")
    play.advance(6)
    play.fire(1)
    assert "TimerFired" not in play.event_types()
    play.completed(play.poll(), CompleteWorkflow())
    assert play.here.timers[1].status is TimerStatus.CANCELLED
    assert "TimerFired" not in play.event_types()


def test_moving_past_a_signal_that_never_came_closes_its_wait() -> None:
    play, _ = after_commands(activity("a"), signal_wait("go", 60))
    play.run_activity("a")
    play.completed(play.poll(), CompleteWorkflow())
    assert play.here.waits[2].status is WaitStatus.CLOSED
    assert play.event_types()[-2:] == ["TimerCancelled", "WorkflowCompleted"]
