"""Starting a workflow, and starting it again under a taken id."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.lifecycle.start import DuplicatePolicy
from dwserver.engine.model import Instance, RunInput
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import CommandStatus, RunStatus, TaskKind, TaskStatus
from tests.engine.builders import (
    Play,
    begun,
)
from tests.engine.parts import (
    NOON,
    avro,
    plain,
)


def test_a_new_run_writes_two_events_and_one_task() -> None:
    play = Play()
    run = play.start(context={"caller": "ada"})
    [command] = play.here.commands
    command_document = {
        "id": command.id,
        "sequence": 1,
        "type": "start",
        "target_scope": "instance",
        "source": "control_plane",
        "status": "accepted",
        "outcome": "started_new",
    }
    assert play.history() == [
        (
            "StartAccepted",
            {
                "workflow_command_id": command.id,
                "workflow_instance_id": "wf",
                "workflow_run_id": run.id,
                "workflow_class": "demo",
                "workflow_type": "demo",
                "business_key": None,
                "visibility_labels": None,
                "memo": {},
                "search_attributes": None,
                "outcome": "started_new",
                "command": command_document,
            },
        ),
        (
            "WorkflowStarted",
            {
                "workflow_class": "demo",
                "workflow_type": "demo",
                "workflow_instance_id": "wf",
                "workflow_run_id": run.id,
                "workflow_command_id": command.id,
                "memo": {},
                "command": command_document,
            },
        ),
    ]
    assert run.status is RunStatus.PENDING
    assert (run.run_number, run.last_sequence, run.last_step) == (1, 2, 0)
    assert (run.version, run.command_sequence) == (1, 1)
    assert run.history_bytes == sum(len(e.payload) for e in play.here.events.values())
    assert play.here.input == RunInput(arguments=avro("in"))
    assert play.instances["wf"] == Instance(
        namespace="default",
        workflow_id="wf",
        workflow_type="demo",
        current_run_id=run.id,
        run_count=1,
        created_at=NOON,
    )
    assert {event.command_id for event in play.here.events.values()} == {command.id}


def test_the_first_task_is_ready_at_once_without_a_cause() -> None:
    play = Play()
    run = play.start(compatibility="build-7", priority=2)
    task = play.workflow_task
    assert (task.kind, task.status) == (TaskKind.WORKFLOW, TaskStatus.READY)
    assert (task.run_id, task.queue, task.type_name) == (run.id, "q", "demo")
    assert (task.available_at, task.attempt, task.resume) == (NOON, 0, {})
    assert (task.compatibility, task.priority) == ("build-7", 2)


def test_timeouts_become_deadlines() -> None:
    play = Play()
    run = play.start(execution_timeout_seconds=600, run_timeout_seconds=60)
    assert run.execution_deadline_at == NOON + 600 * MICROS
    assert run.run_deadline_at == NOON + 60 * MICROS
    _, started = play.history()[1]
    assert started["execution_timeout_seconds"] == 600
    assert started["run_timeout_seconds"] == 60
    assert started["execution_deadline_at"] == "2026-04-13T12:10:00+00:00"
    assert started["run_deadline_at"] == "2026-04-13T12:01:00+00:00"


def test_memo_and_attributes_are_kept_and_shown() -> None:
    play = Play()
    given = RunInput(
        arguments=None,
        memo={"a": 1},
        search_attributes={"City": "Rome"},
        business_key="b-1",
    )
    play.start(input=given)
    (_, accepted), (_, started) = play.history()
    for payload in (accepted, started):
        assert payload["memo"] == {"a": 1}
        assert payload["search_attributes"] == {"City": "Rome"}
        assert payload["business_key"] == "b-1"
    assert "payload" not in started["command"]
    assert "payload_codec" not in started["command"]
    assert play.here.input == given


def test_the_arguments_are_kept_once_and_not_in_the_events() -> None:
    play = Play()
    play.start(input=RunInput(arguments=plain('["secret"]')))
    assert not any(b"secret" in event.payload for event in play.here.events.values())
    assert play.here.input == RunInput(arguments=plain('["secret"]'))


def open_run() -> Play:
    return begun()[0]


def closed_run() -> Play:
    play, task = begun()
    play.completed(task, CompleteWorkflow())
    return play


ACCEPTED = ("returned_existing_active", None, "StartAccepted")
REFUSED = ("rejected_duplicate", "instance_already_started", "StartRejected")


@pytest.mark.parametrize(
    ("make", "policy", "expected"),
    [
        (open_run, DuplicatePolicy.FAIL, REFUSED),
        (open_run, DuplicatePolicy.USE_EXISTING, ACCEPTED),
        (closed_run, DuplicatePolicy.FAIL, REFUSED),
        (closed_run, DuplicatePolicy.USE_EXISTING, REFUSED),
    ],
)
def test_a_second_start(make: Any, policy: DuplicatePolicy, expected: Any) -> None:
    play: Play = make()
    before = play.state
    outcome, reason, event_type = expected
    reply = play.start_again(duplicate_policy=policy)
    assert (reply.outcome, reply.rejection_reason) == (outcome, reason)
    assert reply.run.id == before.run.id

    last_type, payload = play.history()[-1]
    command = play.here.commands[-1]
    assert last_type == event_type
    assert payload["outcome"] == outcome
    assert payload.get("rejection_reason") == reason
    assert payload["command"]["status"] == ("rejected" if reason else "accepted")
    assert payload["command"]["sequence"] == 2
    assert payload["workflow_command_id"] == command.id
    assert command.status is (
        CommandStatus.REJECTED if reason else CommandStatus.ACCEPTED
    )
    assert (command.sequence, command.outcome) == (2, outcome)
    # Nothing else about the run changes.
    assert play.state.tasks == before.tasks
    assert play.run.status is before.run.status
    assert play.run.closed_at == before.run.closed_at
    assert play.run.command_sequence == 2
