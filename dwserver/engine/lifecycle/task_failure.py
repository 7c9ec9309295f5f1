"""A worker cannot process a workflow task (``spec/engine.md §6``; decision 20d)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.arrivals import release
from dwserver.engine.draft import Draft
from dwserver.engine.leases import check_workflow_task, current
from dwserver.engine.model import Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import replace
from dwserver.engine.wait_endings import take_signals
from dwserver.engine.waits import newest_open_condition
from dwserver.engine.wakes import (
    delivered_anew,
    follow_up,
    new_workflow_task,
    update_of,
)
from dwserver.engine.words import TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFailure:
    """A ``fail`` request. ``is_waiting``: nothing failed, the worker has nothing to
    say until a pending step resolves."""

    task: Task
    owner: str
    attempt: int
    message: str
    is_waiting: bool = False


@dataclass(frozen=True, slots=True)
class TaskFailed:
    outcome: str


def fail_workflow_task(draft: Draft, failure: TaskFailure) -> TaskFailed | Rejection:
    """Close the task. A failure is delivered anew with back-off, from the same cause;
    waiting leaves no trace and is followed up only by what waits already, unless
    nothing is pending that could ever wake the run."""
    task = current(draft, failure.task)
    refused = check_workflow_task(
        draft.run,
        task,
        owner=failure.owner,
        attempt=failure.attempt,
        context=draft.context,
    )
    if refused:
        return refused
    now = draft.context.now
    if failure.is_waiting:
        draft.tasks.put(replace(task, status=TaskStatus.COMPLETED, closed_at=now))
        advances = update_of(task) is None
        condition = newest_open_condition(draft)
        if advances and condition is not None:
            take_signals(draft, task, condition)
        release(draft)
        seen = task.snapshot_sequence if advances else 0
        follow_up(draft, task, seen=seen, is_silent=True)
        return TaskFailed("waiting_for_history")
    failures = draft.run.task_failures + 1
    draft.tasks.put(
        replace(
            task, status=TaskStatus.FAILED, closed_at=now, last_error=failure.message
        )
    )
    draft.set_run(task_failures=failures)
    delay = draft.context.policy.task_failure_backoff(failures)
    new_workflow_task(draft, delivered_anew(draft, task), delay=delay)
    release(draft)
    return TaskFailed("failed")
