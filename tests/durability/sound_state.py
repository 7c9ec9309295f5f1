"""A database with one finished workflow, and the log of its clients: all is well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.durability.client_log import ActivityDone, Entry, Started, TaskDone
from tests.durability.plans import output_of, result_of
from tests.support.history_rules import HistoryEvent
from tests.support.stored_state import (
    StoredActivity,
    StoredCommand,
    StoredInstance,
    StoredRun,
    StoredState,
    StoredTask,
)

RUN = "run-1"
WORKFLOW = "wf-1"
# Step, activity type and attempts of the plan "durability.chain".
STEPS = ((1, "first", ("a1",)), (2, "flaky-second", ("b1", "b2")))
ENDED_AT = 1_000


def _activity_events(
    step: int, activity_type: str, attempts: tuple[str, ...]
) -> list[tuple[str, dict[str, Any]]]:
    about = {"sequence": step, "activity_type": activity_type}
    events: list[tuple[str, dict[str, Any]]] = [("ActivityScheduled", {**about})]
    for number, attempt in enumerate(attempts, start=1):
        identity = {**about, "activity_attempt_id": attempt, "attempt_number": number}
        events.append(("ActivityStarted", identity))
        if number < len(attempts):
            retry = {**about, "retry_after_attempt_id": attempt}
            events.append(("ActivityRetryScheduled", retry))
        else:
            result = {**identity, "result": result_of(attempt)}
            events.append(("ActivityCompleted", result))
    return events


def numbered(events: list[tuple[str, Mapping[str, Any]]]) -> list[HistoryEvent]:
    return [
        HistoryEvent(number, event_type, payload)
        for number, (event_type, payload) in enumerate(events, start=1)
    ]


def sound_history() -> list[HistoryEvent]:
    events: list[tuple[str, Mapping[str, Any]]] = [
        ("StartAccepted", {}),
        ("WorkflowStarted", {}),
    ]
    for step in STEPS:
        events += _activity_events(*step)
    output = output_of(numbered(events))
    return numbered([*events, ("WorkflowCompleted", {"output": output})])


def sound_state() -> StoredState:
    history = sound_history()
    return StoredState(
        runs=[
            StoredRun(
                id=RUN,
                workflow_id=WORKFLOW,
                workflow_type="durability.chain",
                status="completed",
                status_bucket="completed",
                closed_reason="completed",
                closed_at=ENDED_AT,
                last_sequence=len(history),
                last_step=len(STEPS),
                command_sequence=1,
            )
        ],
        histories={RUN: history},
        held={},
        tasks=[
            StoredTask(f"task-{n}", RUN, "workflow", "completed", 1, ENDED_AT)
            for n in range(3)
        ],
        activities=[
            StoredActivity(
                f"activity-{step}",
                RUN,
                step,
                "completed",
                len(attempts),
                ENDED_AT,
                False,
            )
            for step, _, attempts in STEPS
        ],
        timers=[],
        instances=[StoredInstance(WORKFLOW, RUN, 1)],
        commands=[StoredCommand("command-1", RUN, 1)],
    )


def sound_log() -> list[Entry]:
    log: list[Entry] = [Started(WORKFLOW, RUN)]
    for _, activity_type, attempts in STEPS:
        log.append(TaskDone(RUN, f"task-{len(log)}", (activity_type,), 0, None))
        log += [ActivityDone(RUN, lost, activity_type, True) for lost in attempts[:-1]]
        log.append(ActivityDone(RUN, attempts[-1], activity_type, False))
    output = sound_history()[-1].payload["output"]
    return [*log, TaskDone(RUN, "task-last", (), 0, output)]
