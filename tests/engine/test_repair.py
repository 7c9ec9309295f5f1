"""An operator repairs a run (``spec/scheduling-and-maintenance.md §8.3``)."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from dwserver.engine.commands.kinds import WorkflowCommand
from dwserver.engine.liveness import liveness
from dwserver.engine.model import RunState, Wake
from dwserver.engine.words import (
    ActivityStatus,
    CommandType,
    EventType,
    Liveness,
    RunStatus,
    TaskKind,
    TaskStatus,
)
from tests.engine.builders import (
    Play,
    after_commands,
    begun,
)
from tests.engine.documents import command_document, task_document
from tests.engine.endings import close, repair_run
from tests.engine.parts import (
    activity,
    condition,
    signal,
    signal_wait,
    timer,
)


def lose_tasks(play: Play, kind: TaskKind) -> None:
    """What no transition does: the open tasks of a kind are gone."""
    state = play.state
    kept = {key: task for key, task in state.tasks.items() if task.kind is not kind}
    play.here.state = replace(state, tasks=kept)


def state_of(play: Play) -> Liveness:
    return liveness(play.state, now=play.now)


@pytest.mark.parametrize("steps", [(), (activity("a"),), (timer(60),)])
def test_a_sound_run_needs_no_repair(steps: tuple[WorkflowCommand, ...]) -> None:
    play = after_commands(*steps)[0] if steps else Play()
    if not steps:
        play.start()
    tasks = dict(play.here.tasks)
    found = state_of(play)
    done = repair_run(play, request_id="r", context={"who": "ops"})
    assert done.command.outcome == "repair_not_needed"
    assert done.command.context == {"who": "ops"}
    [event_type, payload] = play.history()[-1]
    assert event_type == EventType.REPAIR_REQUESTED
    assert payload["command"] == command_document(done.command)
    assert {key: payload[key] for key in payload if key != "command"} == {
        "workflow_command_id": done.command.id,
        "workflow_instance_id": "wf",
        "workflow_run_id": play.run_id,
        "command_type": "repair",
        "outcome": "repair_not_needed",
        "liveness_state": found,
        "wait_kind": payload["wait_kind"],
        "task_id": None,
        "task_type": None,
    }
    assert play.here.tasks == tasks


def test_a_lost_workflow_task_is_made_again() -> None:
    play = Play()
    play.start()
    lose_tasks(play, TaskKind.WORKFLOW)
    assert state_of(play) is Liveness.REPAIR_NEEDED
    status = play.run.status
    done = repair_run(play)
    task = play.workflow_task
    assert (task.status, task.resume, task.repair_count) == (TaskStatus.READY, {}, 1)
    assert done.command.outcome == "repair_dispatched"
    [_, payload] = play.history()[-1]
    assert payload["liveness_state"] == "repair_needed"
    assert (payload["task_id"], payload["task_type"]) == (task.id, "workflow")
    assert payload["task"] == task_document(task, status="ready", attempt=0, owner=None)
    assert done.command.payload is not None
    assert orjson.loads(done.command.payload.data)["task_id"] == task.id
    assert play.run.status is status
    assert state_of(play) is Liveness.WORKFLOW_TASK_READY
    assert repair_run(play).command.outcome == "repair_not_needed"


def test_a_cause_that_waited_behind_the_lost_task_is_its_context() -> None:
    play, _ = after_commands(timer(60))
    cause = signal("go")
    run = replace(play.run, wakes=(Wake(cause), Wake({})))
    play.here.state = replace(play.state, run=run)
    assert state_of(play) is Liveness.REPAIR_NEEDED
    repair_run(play)
    assert play.workflow_task.resume == cause
    assert play.run.wakes == ()


def test_an_update_without_a_task_gets_one() -> None:
    play, _ = after_commands(condition("k"))
    update = play.updated("set")
    lose_tasks(play, TaskKind.WORKFLOW)
    assert state_of(play) is Liveness.REPAIR_NEEDED
    repair_run(play)
    assert play.workflow_task.resume["workflow_update_id"] == update.id


def test_messages_that_a_lost_task_kept_back_take_their_place() -> None:
    play, _ = after_commands(condition("k"))
    play.wake(signal("other"))
    play.poll()
    assert play.signalled("go").event_sequence == 0
    lose_tasks(play, TaskKind.WORKFLOW)
    repair_run(play)
    types = [event_type for event_type, _ in play.history()]
    assert types[-2:] == ["SignalReceived", "RepairRequested"]


def test_an_activity_without_a_task_gets_one_and_keeps_its_attempts() -> None:
    play, _ = after_commands(activity("a", max_attempts=3))
    held = play.poll_activity()
    play.fail(held)
    lose_tasks(play, TaskKind.ACTIVITY)
    assert state_of(play) is Liveness.REPAIR_NEEDED
    done = repair_run(play)
    [task] = play.state.tasks.values()
    assert (task.kind, task.status, task.attempt) == (
        TaskKind.ACTIVITY,
        TaskStatus.READY,
        1,
    )
    [_, payload] = play.history()[-1]
    assert payload["task_type"] == "activity"
    assert payload["wait_kind"] == "activity"
    assert done.command.outcome == "repair_dispatched"
    again = play.poll_activity()
    assert again.task.attempt == 2
    play.succeed(again)
    assert play.here.activities[1].status is ActivityStatus.COMPLETED


def test_a_lease_that_is_over_is_taken_away() -> None:
    play, held = begun()
    play.advance(61)
    assert state_of(play) is Liveness.REPAIR_NEEDED
    done = repair_run(play)
    task = play.workflow_task
    assert done.command.outcome == "repair_dispatched"
    assert (task.id, task.status, task.repair_count) == (held.id, TaskStatus.READY, 1)
    assert play.poll().attempt == 2


def test_a_ready_task_that_nobody_takes_is_announced_again() -> None:
    play = Play()
    play.start()
    play.advance(3)
    ready = play.workflow_task
    assert state_of(play) is Liveness.WORKFLOW_TASK_READY
    done = repair_run(play)
    assert done.command.outcome == "repair_dispatched"
    assert play.workflow_task == replace(ready, repair_count=1)
    [_, payload] = play.history()[-1]
    assert payload["liveness_state"] == "workflow_task_ready"


def test_a_closed_run_is_not_repaired() -> None:
    play, _ = begun()
    close(play, CommandType.CANCEL)
    before = play.history()
    done = repair_run(play)
    assert done.command.rejection_reason == "run_not_active"
    assert play.history() == before
    assert play.run.status is RunStatus.CANCELLED
    assert state_of(play) is Liveness.CLOSED


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((timer(60),), Liveness.TIMER_SCHEDULED),
        ((condition("k"),), Liveness.WAITING_FOR_CONDITION),
        ((signal_wait("go"),), Liveness.WAITING_FOR_SIGNAL),
        ((activity("a"), timer(60)), Liveness.ACTIVITY_TASK_READY),
    ],
)
def test_what_a_run_goes_on_by(
    steps: tuple[WorkflowCommand, ...], expected: Liveness
) -> None:
    play, _ = after_commands(*steps)
    assert state_of(play) is expected
    empty = RunState(play.run)
    assert liveness(empty, now=play.now) is Liveness.REPAIR_NEEDED
