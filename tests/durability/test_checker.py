"""The checker finds what it is there for, in data that was tampered with."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from tests.durability.checker import check, check_standing
from tests.durability.client_log import ActivityDone, Entry, Started, TaskDone
from tests.durability.plans import PLANS, decide, result_of
from tests.durability.sound_state import (
    RUN,
    WORKFLOW,
    numbered,
    sound_history,
    sound_log,
    sound_state,
)
from tests.support.history_rules import HistoryEvent
from tests.support.stored_state import (
    StoredChild,
    StoredMessage,
    StoredState,
    StoredTask,
    StoredTimer,
    StoredWait,
    StoredWork,
)

Tampering: TypeAlias = Callable[[StoredState], StoredState]


def history(change: Callable[[list[HistoryEvent]], list[HistoryEvent]]) -> Tampering:
    return lambda state: replace(state, histories={RUN: change(sound_history())})


def run(**changes: Any) -> Tampering:
    return lambda state: replace(state, runs=[replace(state.runs[0], **changes)])


def first(table: str, **changes: Any) -> Tampering:
    """Change the first row of a table."""

    def tamper(state: StoredState) -> StoredState:
        rows = list(getattr(state, table))
        changed: Any = {table: [replace(rows[0], **changes), *rows[1:]]}
        return replace(state, **changed)

    return tamper


def without(event_type: str) -> Callable[[list[HistoryEvent]], list[HistoryEvent]]:
    """Remove the first such event and close the gap."""

    def change(events: list[HistoryEvent]) -> list[HistoryEvent]:
        index = [event.event_type for event in events].index(event_type)
        del events[index]
        return numbered([(event.event_type, event.payload) for event in events])

    return change


def twice(event_type: str) -> Callable[[list[HistoryEvent]], list[HistoryEvent]]:
    """Let the first such event happen twice in a row, with numbers of their own."""

    def change(events: list[HistoryEvent]) -> list[HistoryEvent]:
        index = [event.event_type for event in events].index(event_type)
        events.insert(index, events[index])
        return numbered([(event.event_type, event.payload) for event in events])

    return change


def with_gap(events: list[HistoryEvent]) -> list[HistoryEvent]:
    del events[4]
    return events


def with_swapped_result(events: list[HistoryEvent]) -> list[HistoryEvent]:
    return [
        replace(event, payload={**event.payload, "result": result_of("someone else")})
        if event.event_type == "ActivityCompleted"
        else event
        for event in events
    ]


def with_late_event(events: list[HistoryEvent]) -> list[HistoryEvent]:
    late = HistoryEvent(len(events) + 1, "ActivityStarted", events[3].payload)
    return [*events, late]


def open_tasks(count: int) -> Tampering:
    def tamper(state: StoredState) -> StoredState:
        tasks = [
            StoredTask(f"open-{n}", RUN, "workflow", "ready", 0, None)
            for n in range(count)
        ]
        return replace(state, tasks=tasks)

    return tamper


STATES: dict[str, tuple[Tampering, str]] = {
    "gap": (history(with_gap), "event numbers are not 1 to"),
    "double result": (
        history(twice("ActivityCompleted")),
        "step 1 is resolved again",
    ),
    "double schedule": (history(twice("ActivityScheduled")), "steps are not opened as"),
    "double end": (history(twice("WorkflowCompleted")), "the run ends 2 times"),
    "attempt repeated": (
        history(twice("ActivityStarted")),
        "attempt 1 of step 1 follows attempt 1",
    ),
    "result lost": (
        history(without("ActivityCompleted")),
        "outcome of attempt a1 was acknowledged and is in the history 0 times",
    ),
    "failure lost": (
        history(without("ActivityRetryScheduled")),
        "outcome of attempt b1 was acknowledged and is in the history 0 times",
    ),
    "command lost": (
        history(without("ActivityScheduled")),
        "task-1 was acknowledged, first is scheduled 0 times",
    ),
    "end lost": (
        history(without("WorkflowCompleted")),
        "task-last was acknowledged, its output is not the one of the history",
    ),
    "late event": (history(with_late_event), "ActivityStarted follows the end"),
    "swapped result": (
        history(with_swapped_result),
        "event 5 has a result of another attempt",
    ),
    "output": (history(with_swapped_result), "not the digest of its activity results"),
    "history lost": (lambda state: replace(state, histories={}), "instead of"),
    "wait left": (
        lambda state: replace(state, waits=[StoredWait(RUN, 3, "open", None, False)]),
        "wait 3 of run run-1 is left open",
    ),
    "child held": (
        lambda state: replace(
            state, children=[StoredChild(RUN, 3, "completed", "run-2", 1, True)]
        ),
        "step 3 of run run-1 is still held back",
    ),
    "update left": (
        lambda state: replace(
            state, messages=[StoredMessage("update", "u1", RUN, 2, "accepted", 3)]
        ),
        "update u1 of run run-1 is left accepted",
    ),
    "work left": (
        lambda state: replace(state, outbox=[StoredWork("w1", "parent_close", RUN)]),
        "parent_close of run run-1 is left in the outbox",
    ),
    "event counter": (run(last_sequence=99), "last_sequence is 99"),
    "step counter": (run(last_step=9), "last_step is 9 of 2 steps"),
    "command counter": (run(command_sequence=2), r"commands \[1\] of 2"),
    "still running": (
        run(status="running", status_bucket="running", closed_at=None),
        r"has ended as \('running'",
    ),
    "run lost": (
        lambda state: replace(state, runs=[]),
        f"start of {WORKFLOW} was acknowledged and is lost",
    ),
    "events of no run": (
        lambda state: replace(state, runs=[]),
        f"events of run {RUN}, which does not exist",
    ),
    "two open tasks": (open_tasks(2), f"run {RUN} has 2 open workflow tasks"),
    "open task left": (open_tasks(1), "task open-0 is ready, its run is over"),
    "open step": (
        first("activities", status="running", closed_at=None),
        f"step 1 of run {RUN} is left running",
    ),
    "held step": (first("activities", is_held=True), "is still held back"),
    "open timer": (
        lambda state: replace(
            state, timers=[StoredTimer("t", RUN, 3, "pending", None, False)]
        ),
        f"step 3 of run {RUN} is left pending",
    ),
    "held event": (
        lambda state: replace(state, held={RUN: [HistoryEvent(-1, "TimerFired", {})]}),
        "holds back 1 events",
    ),
    "run count": (first("instances", run_count=2), f"{WORKFLOW} counts 2 runs"),
    "current run": (
        first("instances", current_run_id="gone"),
        f"workflow {WORKFLOW} points to no run of its own",
    ),
    "no instance": (
        lambda state: replace(state, instances=[]),
        f"runs of workflow {WORKFLOW}, which does not exist",
    ),
}

LOGS: dict[str, tuple[Entry, str]] = {
    "lost start": (
        Started("wf-2", None),
        "start of wf-2 was acknowledged and is lost",
    ),
    "other run": (
        Started(WORKFLOW, "run-2"),
        f"{WORKFLOW} was started as run-2, not {RUN}",
    ),
    "lost result": (
        ActivityDone(RUN, "c1", "third", False),
        "outcome of attempt c1 was acknowledged and is in the history 0 times",
    ),
    "result of a lost run": (
        ActivityDone("run-2", "c1", "third", False),
        "run run-2: outcome of attempt c1 was acknowledged",
    ),
    "lost command": (
        TaskDone(RUN, "task-9", ("third",), 0, None),
        "task-9 was acknowledged, third is scheduled 0 times",
    ),
    "lost timer": (
        TaskDone(RUN, "task-9", (), 1, None),
        "task-9 was acknowledged, its timer is lost",
    ),
    "lost end": (
        TaskDone("run-2", "task-9", (), 0, "blob"),
        "task-9 was acknowledged, its output is not the one of the history",
    ),
}


def test_check_finds_nothing_wrong_with_a_sound_state() -> None:
    assert check(sound_state(), sound_log()) == []


@pytest.mark.parametrize("name", STATES)
def test_check_finds_tampering_with_the_database(name: str) -> None:
    tamper, problem = STATES[name]
    found = check(tamper(sound_state()), sound_log())
    assert any(re.search(problem, text) for text in found), found


@pytest.mark.parametrize("name", LOGS)
def test_check_finds_what_the_database_lacks(name: str) -> None:
    entry, problem = LOGS[name]
    [found] = check(sound_state(), [*sound_log(), entry])
    assert problem in found


def test_decide_refuses_a_history_with_an_open_step() -> None:
    events = [e for e in sound_history() if e.event_type != "ActivityCompleted"]
    with pytest.raises(AssertionError, match="0 of 2 steps resolved"):
        decide(PLANS["durability.chain"], events)


def test_decide_ends_with_the_digest_that_the_checker_expects() -> None:
    *before, end = sound_history()
    decision = decide(PLANS["durability.chain"], before)
    assert decision.output == end.payload["output"]


def test_sound_run_follows_its_plan() -> None:
    [stored] = sound_state().runs
    opened = [
        event.payload["activity_type"]
        for event in sound_history()
        if event.event_type == "ActivityScheduled"
    ]
    planned = [
        name for batch in PLANS[stored.workflow_type] for name in batch.activities
    ]
    assert opened == planned


def test_a_sound_state_stands() -> None:
    assert check_standing(sound_state()) == []


def test_namespaces_share_workflow_ids() -> None:
    state = sound_state()
    run = replace(state.runs[0], id="run-2", namespace="other")
    instance = replace(
        state.instances[0], current_run_id="run-2", run_count=1, namespace="other"
    )
    run = replace(run, last_sequence=0, last_step=0, command_sequence=0)
    both = replace(
        state,
        runs=[*state.runs, run],
        instances=[*state.instances, instance],
    )
    assert check_standing(both) == []
    strayed = replace(
        both, instances=[*state.instances, replace(instance, run_count=2)]
    )
    assert check_standing(strayed) == ["workflow wf-1 counts 2 runs"]
