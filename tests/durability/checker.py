"""Compares what a database holds with what its clients were told.

For loads made of :mod:`tests.durability.plans`, after every run has ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tests.durability.client_log import ActivityDone, Entry, Started, TaskDone
from tests.durability.plans import PLANS, output_of, result_of
from tests.support.history_rules import HistoryEvent, history_problems
from tests.support.stored_state import (
    StoredActivity,
    StoredRun,
    StoredState,
    StoredTimer,
)

OPEN_TASKS = frozenset({"ready", "leased"})
OWN_ENDS = frozenset({"completed", "failed"})
# How often each of these may stand in a history is settled by the plan alone.
PLANNED_EVENTS = frozenset(
    {
        "StartAccepted",
        "WorkflowStarted",
        "ActivityScheduled",
        "ActivityCompleted",
        "ActivityFailed",
        "TimerScheduled",
        "TimerFired",
        "WorkflowCompleted",
    }
)


def check_standing(state: StoredState) -> list[str]:
    """Every contradiction of what must hold at any time, whoever used the server."""
    runs = {run.id: run for run in state.runs}
    problems = [
        f"run {run.id}: {text}"
        for run in state.runs
        for rule in (_sound_history, _counters)
        for text in rule(run, state.histories.get(run.id, []))
    ]
    problems += _open_tasks(state, runs)
    problems += _instances(state, runs)
    problems += _commands(state, runs)
    return problems


def check(state: StoredState, log: Iterable[Entry]) -> list[str]:
    """Every contradiction, in words; empty when nothing was lost or applied twice."""
    entries = list(log)
    problems: list[str] = []
    for run in state.runs:
        history = state.histories.get(run.id, [])
        for rule in RUN_RULES:
            problems += [f"run {run.id}: {text}" for text in rule(run, history)]
    problems += _consistency(state)
    problems += _starts(state, entries)
    problems += _acknowledged(state, entries)
    return problems


# --- each run by itself ---------------------------------------------------------------


def _sound_history(_run: StoredRun, history: Sequence[HistoryEvent]) -> Iterator[str]:
    yield from history_problems(history)


def _counters(run: StoredRun, history: Sequence[HistoryEvent]) -> Iterator[str]:
    if run.last_sequence != len(history):
        yield f"last_sequence is {run.last_sequence} of {len(history)} events"
    steps = max((event.step or 0 for event in history), default=0)
    if run.last_step != steps:
        yield f"last_step is {run.last_step} of {steps} steps"


def _completion(run: StoredRun, history: Sequence[HistoryEvent]) -> Iterator[str]:
    words = (run.status, run.status_bucket, run.closed_reason)
    if words != ("completed", "completed", "completed") or run.closed_at is None:
        yield f"has ended as {words} at {run.closed_at}"
    outputs = [e.payload["output"] for e in history if e.event_type == ENDING]
    if outputs != [output_of(history)]:
        yield "its output is not the digest of its activity results"


ENDING = "WorkflowCompleted"


def _plan(run: StoredRun, history: Sequence[HistoryEvent]) -> Iterator[str]:
    batches = PLANS[run.workflow_type]
    activities = [name for batch in batches for name in batch.activities]
    timers = sum(batch.timer_seconds is not None for batch in batches)
    planned = Counter(
        {
            "StartAccepted": 1,
            "WorkflowStarted": 1,
            "ActivityScheduled": len(activities),
            "ActivityCompleted": len(activities),
            "TimerScheduled": timers,
            "TimerFired": timers,
            ENDING: 1,
        }
    )
    found = Counter(e.event_type for e in history if e.event_type in PLANNED_EVENTS)
    if +planned != found:
        yield f"has events {dict(found)} instead of {dict(+planned)}"
    for kind in ("ActivityScheduled", "ActivityCompleted"):
        types = [e.payload["activity_type"] for e in history if e.event_type == kind]
        if sorted(types) != sorted(activities):
            yield f"has {kind} of {sorted(types)} instead of {sorted(activities)}"


def _results(_run: StoredRun, history: Sequence[HistoryEvent]) -> Iterator[str]:
    for event in history:
        if event.event_type != "ActivityCompleted":
            continue
        attempt_id = event.payload["activity_attempt_id"]
        if event.payload["result"] != result_of(attempt_id):
            yield f"event {event.sequence} has a result of another attempt"


RUN_RULES: Sequence[Callable[[StoredRun, Sequence[HistoryEvent]], Iterator[str]]] = (
    _sound_history,
    _counters,
    _completion,
    _plan,
    _results,
)


# --- rows among themselves ------------------------------------------------------------


def _open_tasks(state: StoredState, runs: Mapping[str, StoredRun]) -> Iterator[str]:
    open_tasks = Counter(
        task.run_id
        for task in state.tasks
        if task.kind == "workflow" and task.status in OPEN_TASKS
    )
    for run_id, count in open_tasks.items():
        if count > 1:
            yield f"run {run_id} has {count} open workflow tasks"
    for task in state.tasks:
        run = runs.get(task.run_id)
        if task.status not in OPEN_TASKS or (run and run.closed_at is None):
            continue
        # Workers may still report on what they hold of a run that ended by itself.
        ended_itself = run is not None and run.closed_reason in OWN_ENDS
        if not (ended_itself and (task.kind, task.status) == ("activity", "leased")):
            yield f"task {task.id} is {task.status}, its run is over"


def _consistency(state: StoredState) -> Iterator[str]:
    runs = {run.id: run for run in state.runs}
    yield from _open_tasks(state, runs)
    steps: list[StoredActivity | StoredTimer] = [*state.activities, *state.timers]
    for step in steps:
        if step.status not in {"completed", "fired"} or step.closed_at is None:
            yield f"step {step.step} of run {step.run_id} is left {step.status}"
        if step.is_held:
            yield f"step {step.step} of run {step.run_id} is still held back"
    yield from _left_over(state)
    for run_id, held in state.held.items():
        yield f"run {run_id} holds back {len(held)} events"
    for run_id in state.histories.keys() - runs.keys():
        yield f"events of run {run_id}, which does not exist"
    yield from _instances(state, runs)
    yield from _commands(state, runs)


def _left_over(state: StoredState) -> Iterator[str]:
    """A run that has ended closes its waits and updates, and its outbox is emptied."""
    for wait in state.waits:
        if wait.status == "open" or wait.closed_at is None:
            yield f"wait {wait.step} of run {wait.run_id} is left {wait.status}"
    for step in (*state.waits, *state.children):
        if step.is_held:
            yield f"step {step.step} of run {step.run_id} is still held back"
    for message in state.messages:
        if message.status == "accepted":
            yield f"update {message.id} of run {message.run_id} is left accepted"
    for work in state.outbox:
        yield f"{work.kind} of run {work.run_id} is left in the outbox"


def _instances(state: StoredState, runs: Mapping[str, StoredRun]) -> Iterator[str]:
    """A workflow id belongs to its namespace alone (decision 20f)."""
    per_workflow = Counter((run.namespace, run.workflow_id) for run in runs.values())
    for instance in state.instances:
        key = (instance.namespace, instance.workflow_id)
        current = runs.get(instance.current_run_id)
        if current is None or (current.namespace, current.workflow_id) != key:
            yield f"workflow {instance.workflow_id} points to no run of its own"
        if instance.run_count != per_workflow.pop(key, 0):
            yield f"workflow {instance.workflow_id} counts {instance.run_count} runs"
    for _, workflow_id in per_workflow:
        yield f"runs of workflow {workflow_id}, which does not exist"


def _commands(state: StoredState, runs: Mapping[str, StoredRun]) -> Iterator[str]:
    numbers: dict[str, list[int]] = {run_id: [] for run_id in runs}
    for command in state.commands:
        numbers.setdefault(command.run_id, []).append(command.sequence)
    for run_id, found in numbers.items():
        last = runs[run_id].command_sequence if run_id in runs else 0
        if found != list(range(1, last + 1)):
            yield f"run {run_id} has commands {found} of {last}"


# --- the log against the rows ---------------------------------------------------------


def _starts(state: StoredState, entries: Sequence[Entry]) -> Iterator[str]:
    run_ids = {run.workflow_id: run.id for run in state.runs}
    for entry in entries:
        if not isinstance(entry, Started):
            continue
        stored = run_ids.get(entry.workflow_id)
        if stored is None:
            yield f"start of {entry.workflow_id} was acknowledged and is lost"
        elif entry.run_id not in {None, stored}:
            yield f"{entry.workflow_id} was started as {entry.run_id}, not {stored}"


def _acknowledged(state: StoredState, entries: Sequence[Entry]) -> Iterator[str]:
    for entry in entries:
        if isinstance(entry, ActivityDone):
            yield from _acknowledged_activity(state.histories, entry)
        elif isinstance(entry, TaskDone):
            yield from _acknowledged_task(state.histories, entry)


def _acknowledged_activity(
    histories: Mapping[str, Sequence[HistoryEvent]], entry: ActivityDone
) -> Iterator[str]:
    kind, key = (
        ("ActivityRetryScheduled", "retry_after_attempt_id")
        if entry.failed
        else ("ActivityCompleted", "activity_attempt_id")
    )
    found = [
        event
        for event in histories.get(entry.run_id, [])
        if event.event_type == kind and event.payload.get(key) == entry.attempt_id
    ]
    if len(found) != 1:
        yield (
            f"run {entry.run_id}: outcome of attempt {entry.attempt_id} was"
            f" acknowledged and is in the history {len(found)} times"
        )


def _acknowledged_task(
    histories: Mapping[str, Sequence[HistoryEvent]], entry: TaskDone
) -> Iterator[str]:
    history = histories.get(entry.run_id, [])
    scheduled = Counter(
        event.payload["activity_type"]
        for event in history
        if event.event_type == "ActivityScheduled"
    )
    what = f"run {entry.run_id}: task {entry.task_id} was acknowledged,"
    for activity_type in entry.activity_types:
        if scheduled[activity_type] != 1:
            count = scheduled[activity_type]
            yield f"{what} {activity_type} is scheduled {count} times"
    timers = sum(event.event_type == "TimerScheduled" for event in history)
    if timers < entry.timers:
        yield f"{what} its timer is lost"
    outputs = [e.payload["output"] for e in history if e.event_type == ENDING]
    if entry.output is not None and outputs != [entry.output]:
        yield f"{what} its output is not the one of the history"
