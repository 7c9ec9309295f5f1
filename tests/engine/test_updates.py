"""Updates: taken in, one task each, closed by the worker or with the run (§9.6)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.commands.terminal import (
    CompleteWorkflow,
    ContinueAsNew,
    FailWorkflow,
)
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.context import Limits, Policy
from dwserver.engine.model import Update
from dwserver.engine.outcome import Rejection
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import UpdateStatus, WaitStatus
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


def complete(update: Update, result: str | None = None) -> CompleteUpdate:
    payload = None if result is None else avro(result)
    return CompleteUpdate(update_id=update.id, result=payload)


def update_tasks(play: Play) -> list[object]:
    return [task.resume.get("workflow_update_id") for task in play.workflow_tasks]


# intake ------------------------------------------------------------------------------


def test_an_accepted_update_leaves_command_row_event_and_task() -> None:
    play, _ = after_commands(condition())
    play.advance(1)
    reply = play.update("set", "AA==", request_id="r-1")
    command, update = reply.command, reply.update
    assert (command.sequence, command.status, command.outcome) == (2, "accepted", "")
    assert (command.target_name, command.applied_at) == ("set", None)
    assert play.here.updates == {2: update}
    assert (update.status, update.accepted_at) == (UpdateStatus.ACCEPTED, play.now)
    assert (update.request_id, update.closed_at) == ("r-1", None)
    assert play.event_types()[-1] == "UpdateAccepted"
    assert dict(play.history())["UpdateAccepted"]["request_id"] == "r-1"
    assert update_tasks(play) == [update.id]


@pytest.mark.parametrize(
    ("fields", "reason", "outcome"),
    [
        (
            {"known_names": frozenset({"other"})},
            "unknown_update",
            "rejected_unknown_update",
        ),
        (
            {"argument_errors": {"x": ["The x argument is required."]}},
            "invalid_update_arguments",
            "rejected_invalid_arguments",
        ),
        ({"arguments": "x" * 101}, "structural_limit_exceeded", ""),
    ],
)
def test_a_refused_update_is_told_in_history(
    fields: dict[str, Any], reason: str, outcome: str
) -> None:
    policy = Policy(limits=Limits(payload_bytes=100))
    play, _ = after_commands(condition(), policy=policy)
    play.advance(1)
    reply = play.update("set", **fields)
    assert (reply.command.status, reply.command.outcome) == ("rejected", outcome)
    assert reply.command.rejection_reason == reason
    update = play.here.updates[reply.command.sequence]
    assert update == reply.update
    assert (update.status, update.closed_at) == (UpdateStatus.REJECTED, play.now)
    assert play.state.updates == {}
    event_type, payload = play.history()[-1]
    assert event_type == "UpdateRejected"
    assert payload["rejection_reason"] == reason
    assert payload["validation_errors"] == fields.get("argument_errors", {})
    assert play.workflow_tasks == []


def test_a_closed_run_refuses_without_an_event() -> None:
    play, _ = after_commands(CompleteWorkflow())
    before = play.event_types()
    reply = play.update("set")
    assert reply.command.rejection_reason == "run_not_active"
    assert reply.command.outcome == "rejected_not_active"
    assert play.event_types() == before


def test_only_so_many_updates_may_be_pending() -> None:
    policy = Policy(limits=Limits(pending_updates=1))
    play, _ = after_commands(condition(), policy=policy)
    first = play.updated("set")
    assert play.update("set").command.rejection_reason == "structural_limit_exceeded"
    play.completed(play.poll(), complete(first))
    assert play.update("set").update.status is UpdateStatus.ACCEPTED


# tasks -------------------------------------------------------------------------------


def test_an_update_waits_for_the_first_task() -> None:
    play = Play()
    play.start()
    update = play.updated("set")
    task = play.poll()
    assert task.resume == {}
    play.completed(task, condition())
    assert update_tasks(play) == [update.id]
    assert play.event_types()[2:] == ["UpdateAccepted", "ConditionWaitOpened"]


def test_an_update_is_held_while_a_task_is_leased() -> None:
    play, task = begun()
    update = play.updated("set")
    assert update.event_sequence == 0
    assert "UpdateAccepted" not in play.event_types()
    play.completed(task, condition())
    assert play.event_types()[2:] == ["ConditionWaitOpened", "UpdateAccepted"]
    next_task = play.poll()
    assert next_task.resume == {
        "workflow_wait_kind": "update",
        "open_wait_id": f"update:{update.id}",
        "resume_source_kind": "workflow_update",
        "resume_source_id": update.id,
        "workflow_update_id": update.id,
        "workflow_command_id": update.command_id,
    }


def test_updates_are_run_one_by_one_in_order() -> None:
    play, _ = after_commands(activity("a"))
    updates = [play.updated(name) for name in ("one", "two", "three")]
    for update in updates:
        assert update_tasks(play) == [update.id]
        play.completed(play.poll(), complete(update))
    assert play.workflow_tasks == []
    assert play.event_types().count("UpdateApplied") == 3


def test_after_an_update_the_condition_is_looked_at() -> None:
    play, _ = after_commands(condition("k", 60))
    first, second = play.updated("one"), play.updated("two")
    play.completed(play.poll(), complete(first))
    task = play.poll()
    assert task.resume == {
        "workflow_wait_kind": "condition",
        "open_wait_id": play.here.waits[1].id,
        "resume_source_kind": "workflow_update",
        "resume_source_id": first.id,
        "workflow_sequence": 1,
        "condition_wait_id": play.here.waits[1].id,
        "condition_key": "k",
        "condition_definition_fingerprint": "sha256:k",
    }
    play.completed(task, condition("k", 60))
    assert update_tasks(play) == [second.id]
    play.completed(play.poll(), FailUpdate(update_id=second.id, message="no"))
    assert play.workflow_task.resume["resume_source_id"] == second.id
    play.completed(play.poll(), condition("k", 60))
    assert play.workflow_tasks == []
    assert play.run.last_step == 1


def test_a_worker_that_goes_on_in_the_task_of_an_update_needs_no_other() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    play.completed(play.poll(), complete(update), condition())
    assert play.workflow_tasks == []
    update = play.updated("set")
    play.completed(play.poll(), complete(update), activity("a"))
    assert play.here.waits[1].status is WaitStatus.SATISFIED
    assert play.workflow_tasks == []


def test_closing_an_update_leaves_the_condition_as_it_is() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    play.completed(play.poll(), complete(update))
    assert play.here.waits[1].status is WaitStatus.OPEN
    assert "ConditionWaitSatisfied" not in play.event_types()


def test_an_update_may_be_closed_in_any_task() -> None:
    play, _ = after_commands(condition())
    play.signalled("go")
    update = play.updated("set")
    play.completed(play.poll(), complete(update), condition())
    assert play.workflow_tasks == []


def test_signals_are_seen_before_the_update_that_came_later() -> None:
    play, task = begun()
    update, signal = play.updated("set"), play.signalled("go")
    play.completed(task, condition())
    assert play.workflow_task.resume["workflow_signal_id"] == signal.id
    play.completed(play.poll(), condition())
    assert update_tasks(play) == [update.id]


def test_a_signal_that_the_task_of_an_update_showed_is_not_seen_yet() -> None:
    play, _ = after_commands(condition())
    update, signal = play.updated("set"), play.signalled("go")
    play.completed(play.poll(), complete(update))
    task = play.poll()
    assert task.resume["workflow_signal_id"] == signal.id
    play.completed(task, condition())
    assert play.state.signals == {}
    assert play.workflow_tasks == []


# an update gives way to outcomes -----------------------------------------------------


def test_an_outcome_takes_over_the_ready_task_of_an_update() -> None:
    play, _ = after_commands(timer(5))
    update = play.updated("set")
    task = play.workflow_task
    play.advance(5)
    play.fire(1)
    taken = play.poll()
    assert (taken.id, taken.resume["workflow_wait_kind"]) == (task.id, "timer")
    play.completed(taken, activity("a"))
    assert update_tasks(play) == [update.id]
    play.completed(play.poll(), complete(update))
    assert play.workflow_tasks == []


def test_an_outcome_during_the_task_of_an_update_is_followed_up() -> None:
    play, _ = after_commands(timer(5))
    update = play.updated("set")
    task = play.poll()
    play.advance(5)
    play.fire(1)
    play.completed(task, complete(update))
    assert play.workflow_task.resume["workflow_wait_kind"] == "timer"


@pytest.mark.parametrize("how", ["fails", "loses its lease"])
def test_an_outcome_comes_before_an_update_that_is_delivered_again(how: str) -> None:
    play, _ = after_commands(timer(5))
    update = play.updated("set")
    task = play.poll()
    play.advance(5)
    play.fire(1)
    if how == "fails":
        play.fail_task(task)
    else:
        play.requeue(task)
    again = play.poll()
    assert again.resume["workflow_wait_kind"] == "timer"
    play.completed(again, activity("a"))
    assert update_tasks(play) == [update.id]


def test_a_worker_that_ignores_updates_gets_them_ever_more_slowly() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    delays = []
    for _ in range(3):
        task = play.workflow_task
        delays.append((task.available_at - play.now) // MICROS)
        assert task.resume["workflow_update_id"] == update.id
        play.now = task.available_at
        play.completed(play.poll(), condition())
    assert delays == [0, 3, 6]
    assert play.run.last_step == 1
    play.signalled("go")
    assert update_tasks(play) == [update.id], "the signal is covered"


# closed by the worker ----------------------------------------------------------------


def test_closing_an_update_needs_an_accepted_one() -> None:
    play, _ = after_commands(condition())
    first, second = play.updated("one"), play.updated("two")
    task = play.poll()
    unknown = CompleteUpdate(update_id="nobody")
    for commands in (
        [unknown],
        [complete(first), complete(first)],
        [complete(first), FailUpdate(update_id=first.id, message="no")],
        [complete(second)],
        [complete(first), complete(second)],
    ):
        refused = play.complete(task, *commands)
        assert isinstance(refused, Rejection)
        assert refused.reason == "invalid_commands"
        assert refused.fields == {"run_id": play.run_id, "run_status": "waiting"}
    play.completed(task, complete(first))
    refused = play.complete(play.poll(), complete(first))
    assert isinstance(refused, Rejection)


def test_an_update_that_no_worker_can_know_cannot_be_closed() -> None:
    play, task = begun()
    update = play.updated("set")
    refused = play.complete(task, complete(update))
    assert isinstance(refused, Rejection)
    play.completed(task, condition())
    play.completed(play.poll(), complete(update))


def test_a_result_is_kept_with_the_update() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set", "AA==")
    play.advance(2)
    play.completed(play.poll(), complete(update, "BB=="))
    row = play.here.updates[update.sequence]
    assert (row.status, row.result) == (UpdateStatus.COMPLETED, avro("BB=="))
    assert row.applied_at == row.closed_at == play.now
    assert row.step == 1
    command = play.here.commands[update.sequence - 1]
    assert (command.outcome, command.applied_at) == ("update_completed", play.now)


def test_a_failed_update_leaves_a_failure() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    task = play.poll()
    play.completed(
        task,
        FailUpdate(
            update_id=update.id,
            message="not allowed",
            exception_type="app.Refused",
            exception_class="Refused",
            non_retryable=True,
        ),
    )
    [failure] = play.here.failures
    row = play.here.updates[update.sequence]
    assert (row.status, row.failure_id) == (UpdateStatus.FAILED, failure.id)
    assert row.failure_message == "not allowed"
    assert (failure.source_kind, failure.source_id) == ("workflow_update", update.id)
    command = play.here.commands[update.sequence - 1]
    assert command.outcome == "update_failed"
    event_type, payload = play.history()[-1]
    assert event_type == "UpdateCompleted"
    assert payload.pop("task")["id"] == task.id
    assert payload.pop("command")["outcome"] == "update_failed"
    assert payload == {
        "workflow_command_id": update.command_id,
        "update_id": update.id,
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
        "update_name": "set",
        "sequence": 1,
        "failure_id": failure.id,
        "failure_category": "application",
        "non_retryable": True,
        "exception_type": "app.Refused",
        "exception_class": "Refused",
        "message": "not allowed",
        "code": 0,
        "exception": {
            "class": "Refused",
            "type": "app.Refused",
            "message": "not allowed",
        },
    }


def test_without_a_condition_an_update_stands_at_the_latest_step() -> None:
    play, _ = after_commands(activity("a"), timer(9))
    update = play.updated("set")
    play.completed(play.poll(), complete(update))
    assert play.steps_of("UpdateApplied", "UpdateCompleted") == [2, 2]
    assert play.run.last_step == 2


# closed with the run -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (CompleteWorkflow(), "completed"),
        (FailWorkflow(message="no"), "failed"),
        (None, "cancelled"),
    ],
)
def test_accepted_updates_fail_with_the_run(
    end: WorkflowCommand | None, reason: str
) -> None:
    play, task = begun()
    update = play.updated("set")
    if end is None:
        close(play)
    else:
        play.completed(task, end)
    types = play.event_types()[2:]
    assert types.index("UpdateAccepted") < types.index("UpdateCompleted")
    event_type, payload = play.history()[-1]
    assert (event_type, payload["terminal_reason"]) == ("UpdateCompleted", reason)
    row = play.here.updates[update.sequence]
    assert (row.status, row.closed_at) == (UpdateStatus.FAILED, play.now)
    assert play.here.commands[update.sequence - 1].outcome == "update_failed"
    assert play.state.updates == {}


def test_an_update_may_be_completed_with_the_workflow() -> None:
    play, _ = after_commands(condition())
    update = play.updated("set")
    play.completed(play.poll(), complete(update), CompleteWorkflow())
    assert play.event_types()[-4:] == [
        "ConditionWaitSatisfied",
        "UpdateApplied",
        "UpdateCompleted",
        "WorkflowCompleted",
    ]


# continue as new ---------------------------------------------------------------------


def test_open_messages_move_to_the_new_run() -> None:
    play, _ = after_commands(condition())
    play.signalled("seen")
    old_id, task = play.run_id, play.poll()
    update = play.update("set", "AA==", request_id="r-1").update
    play.signalled("unseen", "BB==")
    play.completed(task, ContinueAsNew())
    assert play.event_types(old_id)[2:] == [
        "ConditionWaitOpened",
        "SignalReceived",
        "ConditionWaitSatisfied",
        "UpdateAccepted",
        "SignalReceived",
        "WorkflowContinuedAsNew",
    ]
    assert play.run_id != old_id
    assert play.event_types() == [
        "WorkflowStarted",
        "UpdateAccepted",
        "SignalReceived",
    ]
    moved, signal = play.here.updates[1], play.here.signals[2]
    assert (moved.id, moved.name, moved.request_id) == (update.id, "set", "r-1")
    assert (signal.name, signal.status) == ("unseen", "received")
    commands = play.here.commands
    assert [c.sequence for c in commands] == [1, 2]
    assert [c.run_id for c in commands] == [play.run_id] * 2
    assert [c.payload for c in commands] == [avro("AA=="), avro("BB==")]
    history = dict(play.history())
    assert history["UpdateAccepted"]["arguments"] == "AA=="
    assert history["SignalReceived"]["arguments"]["blob"] == "BB=="
    assert play.run.command_sequence == 2

    play.completed(play.poll(), condition())
    assert update_tasks(play) == [update.id]
    play.completed(play.poll(), complete(moved))
    assert play.here.updates[1].status is UpdateStatus.COMPLETED
