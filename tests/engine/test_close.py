"""Cancel and terminate close a run at once (``spec/engine.md §4, §9.7, §15 h``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from dwserver.engine.closing import close_run
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.activity_outcome import AttemptFailure
from dwserver.engine.lifecycle.signal import SignalRequest, receive_signal
from dwserver.engine.lifecycle.update import UpdateRequest, accept_update
from dwserver.engine.model import Payload, RunState, Update, Wait
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    CommandStatus,
    CommandType,
    FailureCategory,
    RunStatus,
    TaskStatus,
    TimerStatus,
    UpdateStatus,
    WaitFor,
    WaitStatus,
)
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.documents import activity_document, task_document
from tests.engine.endings import beat, close, time_out
from tests.engine.parts import (
    activity,
    at,
    group,
    timer,
)

KINDS = [CommandType.CANCEL, CommandType.TERMINATE]
PAST = {CommandType.CANCEL: "cancelled", CommandType.TERMINATE: "terminated"}
NAMES = {CommandType.CANCEL: "Cancel", CommandType.TERMINATE: "Terminate"}
CLOSED = {
    CommandType.CANCEL: "WorkflowCancelled",
    CommandType.TERMINATE: "WorkflowTerminated",
}


def test_worked_example_h() -> None:
    """Cancelled while an activity runs; the whole of what is written."""
    play, _ = after_commands(activity("greet"))
    held = play.poll_activity()
    play.advance(2)
    closed = close(play, reason="r", request_id="c1", context={"caller": "ops"})
    step = play.here.activities[1]
    [attempt] = play.here.attempts.values()
    [failure] = play.here.failures
    command = closed.command
    snapshot = {
        "id": command.id,
        "sequence": 2,
        "type": "cancel",
        "target_scope": "instance",
        "source": "control_plane",
        "status": "accepted",
        "outcome": "cancelled",
    }
    identity = {
        "workflow_command_id": command.id,
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
    }
    assert play.history()[4:] == [
        (
            "CancelRequested",
            {**identity, "command_type": "cancel", "reason": "r", "command": snapshot},
        ),
        (
            "ActivityCancelled",
            {
                "workflow_command_id": command.id,
                "activity_execution_id": step.id,
                "activity_attempt_id": held.task.attempt_id,
                "activity_class": "greet",
                "activity_type": "greet",
                "sequence": 1,
                "attempt_number": 1,
                "cancelled_at": at(2),
                "activity": activity_document(
                    step,
                    "greet",
                    1,
                    status="cancelled",
                    attempt_id=held.task.attempt_id,
                    attempt_count=1,
                    started_at=at(0),
                    closed_at=at(2),
                ),
                "activity_attempt": {
                    "id": held.task.attempt_id,
                    "activity_execution_id": step.id,
                    "task_id": held.task.id,
                    "attempt_number": 1,
                    "status": "cancelled",
                    "lease_owner": "w1",
                    "started_at": at(0),
                    "closed_at": at(2),
                },
                "command": snapshot,
                "task": task_document(held.task, status="cancelled"),
            },
        ),
        (
            "WorkflowCancelled",
            {
                **identity,
                "failure_id": failure.id,
                "failure_category": "cancelled",
                "closed_reason": "cancelled",
                "exception_class": r"Workflow\V2\Exceptions\WorkflowCancelledException",
                "message": "Workflow cancelled: r",
                "reason": "r",
                "command": snapshot,
            },
        ),
    ]
    commands = [play.here.events[number].command_id for number in (5, 6, 7)]
    assert commands == [command.id] * 3
    assert (command.request_id, command.context) == ("c1", {"caller": "ops"})
    assert command.payload == Payload("json", '{"reason":"r"}')
    assert command.applied_at == command.created_at == play.now
    assert (failure.source_kind, failure.source_id) == ("workflow_run", play.run_id)
    assert failure.category is FailureCategory.CANCELLED
    assert failure.event_sequence == 7
    assert play.here.commands[-1] == command
    run = play.run
    assert (closed.run.status, closed.run.closed_at) == (run.status, run.closed_at)
    assert (run.status, run.closed_reason) == ("cancelled", "cancelled")
    assert (run.closed_at, run.command_sequence) == (play.now, 2)
    assert (step.status, step.closed_at) == (ActivityStatus.CANCELLED, play.now)
    assert attempt.status is AttemptStatus.CANCELLED
    task = play.task(held.task)
    assert (task.status, task.lease_owner) == (TaskStatus.CANCELLED, "w1")
    assert task.lease_expires_at is None

    play.advance(1)
    stopped = beat(play, held)
    assert not isinstance(stopped, Rejection)
    assert (stopped.cancel_requested, stopped.reason) == (True, "run_cancelled")
    assert stopped.run.closed_reason is ClosedReason.CANCELLED
    before = play.history()
    for outcome in (
        play.report(held.task),
        play.report(held.task, failure=AttemptFailure(message="m")),
    ):
        assert isinstance(outcome, Rejection)
        assert outcome.reason == "run_cancelled"
        assert outcome.fields == {
            "cancel_requested": True,
            "can_continue": False,
            "run_status": "cancelled",
            "run_closed_reason": "cancelled",
            "run_closed_at": at(2),
            "task_status": "cancelled",
            "lease_owner": "w1",
            "lease_expires_at": None,
        }
    assert play.history() == before


@pytest.mark.parametrize("kind", KINDS)
def test_the_two_differ_in_their_words(kind: CommandType) -> None:
    play, _ = begun()
    closed = close(play, kind, reason="why")
    past = PAST[kind]
    assert play.event_types()[2:] == [f"{NAMES[kind]}Requested", CLOSED[kind]]
    requested, ended = (payload for _, payload in play.history()[2:])
    assert requested["command_type"] == str(kind)
    assert ended["closed_reason"] == ended["failure_category"] == past
    assert ended["message"] == f"Workflow {past}: why"
    assert ended["exception_class"] == (
        rf"Workflow\V2\Exceptions\Workflow{past.capitalize()}Exception"
    )
    assert (closed.command.status, closed.command.outcome) == ("accepted", past)
    assert (play.run.status, play.run.closed_reason) == (past, past)
    [failure] = play.here.failures
    assert (failure.category, failure.propagation_kind) == (past, past)


@pytest.mark.parametrize("reason", [None, "", "  "])
def test_no_reason_is_not_written(reason: str | None) -> None:
    play, _ = begun()
    closed = close(play, reason=reason)
    assert closed.command.payload is None
    requested, ended = (payload for _, payload in play.history()[2:])
    assert "reason" not in requested
    assert "reason" not in ended
    assert ended["message"] == "Workflow cancelled."


def test_steps_are_cancelled_activities_first_in_their_order() -> None:
    parallel = group(base=4, size=1, index=0)
    play, _ = after_commands(
        timer(9), activity("a"), timer(5, parallel), activity("b"), activity("c")
    )
    running = play.poll_activity("b")
    close(play)
    assert play.event_types()[8:] == [
        "CancelRequested",
        "ActivityCancelled",
        "ActivityCancelled",
        "ActivityCancelled",
        "TimerCancelled",
        "TimerCancelled",
        "WorkflowCancelled",
    ]
    assert play.steps_of("ActivityCancelled", "TimerCancelled") == [2, 4, 5, 1, 3]
    attempts = [
        payload.get("activity_attempt", {}).get("id")
        for name, payload in play.history()
        if name == "ActivityCancelled"
    ]
    assert attempts == [None, running.task.attempt_id, None]
    assert play.state.tasks == {}
    assert {step.status for step in play.here.timers.values()} == {
        TimerStatus.CANCELLED
    }
    assert {task.status for task in play.here.tasks.values() if task.activity_id} == {
        TaskStatus.CANCELLED
    }


def test_an_activity_that_is_cancelled_once_stays_so() -> None:
    """Neither its worker nor a second command writes the event again (§9.7)."""
    play, _ = after_commands(activity("a"))
    held = play.poll_activity()
    close(play)
    close(play, CommandType.TERMINATE)
    beat(play, held)
    assert play.event_types().count("ActivityCancelled") == 1


def test_outcomes_that_were_held_back_stay_out_of_history() -> None:
    """``When the run closes first, flush nothing`` (§10)."""
    play, _ = after_commands(activity("a"), activity("b"), timer(60))
    play.run_activity("b")
    assert play.held() == [2]
    close(play)
    assert play.held() == [2]
    assert play.steps_of("ActivityCompleted", "ActivityCancelled") == [1]


@pytest.mark.parametrize("kind", KINDS)
def test_the_holder_of_the_workflow_task_is_told(kind: CommandType) -> None:
    play, task = begun()
    close(play, kind)
    assert play.task(task).status is TaskStatus.CANCELLED
    reply = play.complete(task, CompleteWorkflow())
    assert isinstance(reply, Rejection)
    assert reply.reason == "run_closed"
    assert reply.fields["stop_reason"] == f"run_{PAST[kind]}"
    assert reply.fields["cancel_requested"] is True
    assert reply.fields["task_status"] == "cancelled"
    assert reply.fields["lease_expires_at"] is None
    failed = play.fail_task(task)
    assert isinstance(failed, Rejection)
    assert failed.reason == "run_closed"


def test_a_ready_workflow_task_is_nobodys() -> None:
    play = Play()
    play.start()
    task = play.workflow_task
    close(play)
    assert play.task(task).status is TaskStatus.CANCELLED
    assert play.lease(task) is None


@pytest.mark.parametrize("first", KINDS)
@pytest.mark.parametrize("second", KINDS)
def test_a_closed_run_rejects_the_command(
    first: CommandType, second: CommandType
) -> None:
    """A row without an event (``spec/control-plane-api.md §5.6.1``)."""
    play, _ = begun()
    close(play, first)
    history, before = play.history(), play.run
    again = close(play, second, reason="again", request_id="c2")
    command = again.command
    assert (command.status, command.outcome) == (
        CommandStatus.REJECTED,
        "rejected_not_active",
    )
    assert command.rejection_reason == "run_not_active"
    assert (command.sequence, command.request_id) == (3, "c2")
    assert command.applied_at is None
    assert play.here.commands[-1] == command
    assert play.history() == history
    assert play.run.closed_at == before.closed_at
    assert (play.run.status, play.run.command_sequence) == (before.status, 3)
    assert len(play.here.failures) == 1


def test_a_run_that_ended_by_itself_rejects_it_too() -> None:
    play, task = begun()
    play.completed(task, CompleteWorkflow())
    assert close(play).command.rejection_reason == "run_not_active"
    assert play.run.status is RunStatus.COMPLETED


@pytest.mark.parametrize(
    ("end", "names"),
    [
        (
            close,
            ["CancelRequested", "TimerCancelled", "WorkflowCancelled"],
        ),
        (time_out, ["TimerCancelled", "WorkflowTimedOut"]),
    ],
)
def test_messages_that_waited_for_the_leased_task_come_first(
    end: Callable[[Play], object], names: list[str]
) -> None:
    """What was sent before the end stands before it, and the update is answered."""
    play, task = begun(run_timeout_seconds=60)
    play.completed(task, timer(90))
    play.wake({"workflow_wait_kind": "signal"})
    play.poll()
    message = {"namespace": "default", "arguments": None, "known_names": None}
    play.decide(
        lambda draft: receive_signal(draft, SignalRequest(name="go", **message))
    )
    update = play.decide(
        lambda draft: accept_update(draft, UpdateRequest(name="set", **message))
    ).update
    assert update is not None
    assert play.event_types()[3:] == []
    play.advance(60)
    end(play)
    assert play.event_types()[3:] == [
        "SignalReceived",
        "UpdateAccepted",
        *names,
        "UpdateCompleted",
    ]
    assert play.history()[-1][1]["update_id"] == update.id
    assert play.state.updates == {}


def test_waits_close_without_a_word() -> None:
    play, _ = begun()
    wait = Wait(
        id="wait-1",
        run_id=play.run_id,
        step=1,
        batch=1,
        wait_for=WaitFor.CONDITION,
        status=WaitStatus.OPEN,
        opened_at=play.now,
    )
    draft = play.draft()
    draft.waits.add(wait)
    close_run(draft, RunStatus.CANCELLED, ClosedReason.CANCELLED)
    assert draft.events == []
    assert draft.waits[1].status is WaitStatus.CLOSED
    assert draft.waits[1].closed_at == play.now


def an_update(play: Play, **fields: Any) -> Update:
    values: dict[str, Any] = {
        "id": "update-1",
        "run_id": play.run_id,
        "command_id": "command-7",
        "sequence": 7,
        "name": "rename",
        "status": UpdateStatus.ACCEPTED,
        "accepted_at": play.now,
        "event_sequence": 3,
        **fields,
    }
    return Update(**values)


@pytest.mark.parametrize(
    ("status", "reason", "category"),
    [
        (RunStatus.COMPLETED, ClosedReason.COMPLETED, FailureCategory.APPLICATION),
        (RunStatus.FAILED, ClosedReason.FAILED, FailureCategory.APPLICATION),
        (RunStatus.FAILED, ClosedReason.TIMED_OUT, FailureCategory.TIMEOUT),
        (RunStatus.CANCELLED, ClosedReason.CANCELLED, FailureCategory.CANCELLED),
        (RunStatus.TERMINATED, ClosedReason.TERMINATED, FailureCategory.TERMINATED),
    ],
)
def test_an_update_that_was_not_applied_fails(
    status: RunStatus, reason: ClosedReason, category: FailureCategory
) -> None:
    play, _ = begun()
    play.here.state = RunState(play.run, play.state.tasks, updates={7: an_update(play)})
    draft = play.draft()
    close_run(draft, status, reason)
    change = draft.freeze()
    [failure] = change.failures
    [event] = change.events
    [update] = change.updates
    assert event.event_type == "UpdateCompleted"
    assert event.command_id == "command-7"
    payload = orjson.loads(event.payload)
    assert payload == {
        "workflow_command_id": "command-7",
        "update_id": "update-1",
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
        "update_name": "rename",
        "failure_id": failure.id,
        "failure_category": str(category),
        "non_retryable": True,
        "message": failure.message,
        "terminal_reason": str(reason),
    }
    assert "rename" in failure.message
    assert str(reason) in failure.message
    assert (failure.category, failure.non_retryable) == (category, True)
    assert (failure.source_kind, failure.source_id) == ("workflow_update", "update-1")
    assert (update.status, update.closed_at) == (UpdateStatus.FAILED, play.now)
    assert update.failure_id == failure.id
    assert update.failure_message == failure.message
    [applied] = change.applied_commands
    assert (applied.sequence, applied.outcome) == (7, "update_failed")
