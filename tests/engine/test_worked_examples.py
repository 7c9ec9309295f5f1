"""Worked examples of the contract, event by event and task by task (§15)."""

from __future__ import annotations

from typing import Any

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.commands.updates import CompleteUpdate, FailUpdate
from dwserver.engine.model import Task
from tests.engine.builders import (
    Play,
    begun,
)
from tests.engine.documents import task_document
from tests.engine.parts import (
    activity,
    at,
    avro,
    condition,
)

KEY, FINGERPRINT = "approved", "sha256:approved"


def news(play: Play) -> list[tuple[str, dict[str, Any]]]:
    """History after the two events of the start."""
    return play.history()[2:]


def opened(play: Play, task: Task, **fields: Any) -> tuple[str, dict[str, Any]]:
    return (
        "ConditionWaitOpened",
        {
            "condition_wait_id": play.here.waits[1].id,
            "condition_key": KEY,
            "condition_definition_fingerprint": FINGERPRINT,
            "sequence": 1,
            **fields,
            "task": task_document(task),
        },
    )


def command_document(command_id: str, kind: str, name: str, **fields: Any) -> Any:
    return {
        "id": command_id,
        "sequence": 2,
        "type": kind,
        "target_scope": "instance",
        "source": "control_plane",
        "status": "accepted",
        "target_name": name,
        **fields,
    }


def test_d_a_signal_satisfies_a_condition_wait() -> None:
    play, first = begun()
    reply = play.completed(first, condition(KEY))
    assert (reply.run_status, reply.created_task_ids) == ("waiting", ())
    wait_id = play.here.waits[1].id

    play.advance(1)
    signal = play.signalled("approve", "ARGS")
    task = play.poll()
    assert task.resume == {
        "workflow_wait_kind": "signal",
        "open_wait_id": f"signal-application:{signal.id}",
        "resume_source_kind": "workflow_signal",
        "resume_source_id": signal.id,
        "workflow_signal_id": signal.id,
        "signal_name": "approve",
        "signal_wait_id": f"signal-command:{signal.command_id}",
        "workflow_command_id": signal.command_id,
    }
    received = (
        "SignalReceived",
        {
            "workflow_command_id": signal.command_id,
            "signal_id": signal.id,
            "workflow_instance_id": "wf",
            "workflow_run_id": play.run_id,
            "signal_name": "approve",
            "signal_wait_id": f"signal-command:{signal.command_id}",
            "arguments": {"codec": "avro", "blob": "ARGS"},
            "payload_codec": "avro",
            "workflow_sequence": 1,
            "command": command_document(
                signal.command_id, "signal", "approve", outcome="signal_received"
            ),
        },
    )
    assert news(play) == [opened(play, first), received]

    # Still false: the wait is sent again and nothing is written.
    play.completed(task, condition(KEY))
    assert news(play) == [opened(play, first), received]
    assert play.workflow_tasks == []

    again = play.signalled("approve", "MORE")
    task = play.poll()
    reply = play.completed(task, CompleteWorkflow(result=avro("OUT")))
    assert reply.run_status == "completed"
    assert news(play)[3:] == [
        (
            "ConditionWaitSatisfied",
            {
                "condition_wait_id": wait_id,
                "condition_key": KEY,
                "condition_definition_fingerprint": FINGERPRINT,
                "sequence": 1,
                "workflow_signal_id": again.id,
                "signal_name": "approve",
                "signal_wait_id": again.wait_id,
                "task": task_document(task),
            },
        ),
        (
            "WorkflowCompleted",
            {
                "output": "OUT",
                "payload_codec": "avro",
                "task": task_document(task),
            },
        ),
    ]


def test_e_an_update_is_applied() -> None:
    play, first = begun()
    play.completed(first, condition(KEY))
    play.advance(1)
    update = play.updated("set", "ARGS")
    names = {
        "workflow_command_id": update.command_id,
        "update_id": update.id,
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
        "update_name": "set",
    }
    task = play.poll()
    assert task.resume == {
        "workflow_wait_kind": "update",
        "open_wait_id": f"update:{update.id}",
        "resume_source_kind": "workflow_update",
        "resume_source_id": update.id,
        "workflow_update_id": update.id,
        "workflow_command_id": update.command_id,
    }
    reply = play.completed(
        task, CompleteUpdate(update_id=update.id, result=avro("OUT"))
    )
    assert (reply.run_status, reply.created_task_ids) == ("waiting", ())
    assert news(play) == [
        opened(play, first),
        (
            "UpdateAccepted",
            {
                **names,
                "arguments": "ARGS",
                "payload_codec": "avro",
                "command": command_document(update.command_id, "update", "set"),
            },
        ),
        (
            "UpdateApplied",
            {
                **names,
                "arguments": "ARGS",
                "payload_codec": "avro",
                "sequence": 1,
                "task": task_document(task),
                "command": command_document(update.command_id, "update", "set"),
            },
        ),
        (
            "UpdateCompleted",
            {
                **names,
                "sequence": 1,
                "result": "OUT",
                "payload_codec": "avro",
                "task": task_document(task),
                "command": command_document(
                    update.command_id, "update", "set", outcome="update_completed"
                ),
            },
        ),
    ]

    # The handler has run; now the condition is looked at.
    look = play.poll()
    assert look.resume["workflow_wait_kind"] == "condition"
    assert look.resume["open_wait_id"] == play.here.waits[1].id
    assert look.resume["resume_source_kind"] == "workflow_update"
    assert look.resume["resume_source_id"] == update.id
    assert look.resume.get("workflow_update_id") is None
    play.completed(look, condition(KEY))
    assert len(news(play)) == 4
    assert play.workflow_tasks == []


def test_e_an_update_is_refused_by_its_handler() -> None:
    play, first = begun()
    play.completed(first, condition(KEY))
    update = play.updated("set")
    task = play.poll()
    failed = FailUpdate(update_id=update.id, message="no", exception_type="E")
    play.completed(task, failed)
    assert play.event_types()[2:] == [
        "ConditionWaitOpened",
        "UpdateAccepted",
        "UpdateCompleted",
    ]
    completed = news(play)[-1][1]
    assert completed["failure_id"] == play.here.failures[0].id
    assert (completed["message"], completed["exception_type"]) == ("no", "E")
    assert "result" not in completed


def test_j_a_condition_wait_times_out() -> None:
    play, first = begun()
    reply = play.completed(first, condition(KEY, 30))
    wait, due = play.here.waits[1], play.here.timers[1]
    assert reply.created_task_ids == (due.task_id,)
    timer = {
        "timer_id": due.id,
        "sequence": 1,
        "delay_seconds": 30,
        "fire_at": at(30),
        "timer_kind": "condition_timeout",
        "condition_wait_id": wait.id,
        "condition_key": KEY,
        "condition_definition_fingerprint": FINGERPRINT,
    }
    assert news(play) == [
        opened(play, first, timeout_seconds=30),
        ("TimerScheduled", {**timer, "task": task_document(first)}),
    ]

    play.advance(30)
    assert play.fire(1)
    assert news(play)[2:] == [("TimerFired", {**timer, "fired_at": at(30)})]
    task = play.poll()
    assert task.resume == {
        "workflow_wait_kind": "condition",
        "open_wait_id": wait.id,
        "resume_source_kind": "timer",
        "resume_source_id": due.id,
        "timer_id": due.id,
        "condition_wait_id": wait.id,
        "condition_key": KEY,
        "condition_definition_fingerprint": FINGERPRINT,
        "workflow_sequence": 1,
        "workflow_event_type": "TimerFired",
    }
    play.completed(task, CompleteWorkflow())
    assert [name for name, _ in news(play)[3:]] == ["WorkflowCompleted"]


def test_j_a_signal_comes_in_time() -> None:
    play, first = begun()
    play.completed(first, condition(KEY, 30))
    wait, due = play.here.waits[1], play.here.timers[1]
    play.advance(10)
    signal = play.signalled("approve")
    task = play.poll()
    play.completed(task, activity("a"))
    assert [name for name, _ in news(play)[2:]] == [
        "SignalReceived",
        "ConditionWaitSatisfied",
        "TimerCancelled",
        "ActivityScheduled",
    ]
    assert news(play)[3][1] == {
        "condition_wait_id": wait.id,
        "condition_key": KEY,
        "condition_definition_fingerprint": FINGERPRINT,
        "sequence": 1,
        "timeout_seconds": 30,
        "timer_id": due.id,
        "workflow_signal_id": signal.id,
        "signal_name": "approve",
        "signal_wait_id": signal.wait_id,
        "task": task_document(task),
    }
    assert news(play)[4][1] == {
        "timer_id": due.id,
        "sequence": 1,
        "delay_seconds": 30,
        "fire_at": at(30),
        "timer_kind": "condition_timeout",
        "condition_wait_id": wait.id,
        "condition_key": KEY,
        "condition_definition_fingerprint": FINGERPRINT,
        "cancelled_at": at(10),
    }
