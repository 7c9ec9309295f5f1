"""Tasks of an imported run.

Of an open run at most one workflow task is open, every open activity has a task, and
something wakes the run (``docs/architecture/engine.md``, invariants 4 and 9); what the
bundle lacks for that is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dwserver.engine.context import Context
from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.history import Told
from dwserver.engine.imports.records import Bundle, InconsistentBundle
from dwserver.engine.liveness import activities_without_task
from dwserver.engine.model import Activity, ClosedAttempt, JsonMap, RunState, Task
from dwserver.engine.records import replace
from dwserver.engine.wakes import unserved_cause, update_of
from dwserver.engine.words import TaskKind, TaskStatus


def tasks_of(
    bundle: Bundle, rows: RunState, told: Told, *, context: Context
) -> Iterator[Task]:
    """``rows``: everything else of the run, translated."""
    activities = {activity.id: activity for activity in rows.activities.values()}
    last_attempts: dict[str, ClosedAttempt] = {}
    for attempt in bundle.attempts:
        known = last_attempts.get(attempt.task_id)
        if known is None or known.number < attempt.number:
            last_attempts[attempt.task_id] = attempt
    tasks = [
        _task(
            task,
            rows,
            told,
            activity=activities.get(task.activity_id or ""),
            attempt=last_attempts.get(task.id),
        )
        for task in bundle.tasks
    ]
    tasks = _with_one_of_workflow(tasks, at=context.now)
    yield from tasks
    if not rows.run.status.is_terminal:
        yield from _missing(rows, tasks, context)


def _task(
    task: Task,
    rows: RunState,
    told: Told,
    *,
    activity: Activity | None,
    attempt: ClosedAttempt | None,
) -> Task:
    run = rows.run
    changes: dict[str, Any] = {"type_name": run.workflow_type}
    if task.kind is TaskKind.ACTIVITY:
        if activity is None:
            if task.is_open:
                problem = f"Task {task.id} is for an activity that there is not."
                raise InconsistentBundle(Rule.ROW_INVALID, problem)
            return _closed(task, rows, told)
        changes["type_name"] = activity.activity_type
    if not task.is_open:
        if attempt is not None:
            changes["attempt_id"] = attempt.id
        return _closed(replace(task, **changes), rows, told)
    is_over = run.status.is_terminal or (activity is not None and not activity.is_open)
    if is_over:
        changes["status"] = TaskStatus.CANCELLED
        return _closed(replace(task, **changes), rows, told)
    if activity is not None:
        # The number of the next attempt follows from those that were made.
        changes["attempt"] = max(task.attempt, activity.attempt_count)
    return replace(task, **changes)


def _closed(task: Task, rows: RunState, told: Told) -> Task:
    """When it closed is not in the bundle; the last event that names it comes next to
    it."""
    last = told.last_of_task.get(task.id)
    at = last.recorded_at if last is not None else rows.run.last_progress_at
    return replace(task, closed_at=at)


def _missing(rows: RunState, tasks: list[Task], context: Context) -> Iterator[Task]:
    ready = {task.id: task for task in tasks if task.is_open}
    whole = replace(rows, tasks=ready)
    cause = unserved_cause(whole)
    if cause is not None:
        yield _workflow_task(rows, cause, context)
    for activity in activities_without_task(whole):
        yield _activity_task(rows, activity, context)


def _workflow_task(rows: RunState, resume: JsonMap, context: Context) -> Task:
    run = rows.run
    return Task(
        id=context.next_id(),
        run_id=run.id,
        namespace=run.namespace,
        kind=TaskKind.WORKFLOW,
        status=TaskStatus.READY,
        queue=run.task_queue,
        type_name=run.workflow_type,
        available_at=context.now,
        created_at=context.now,
        compatibility=run.compatibility,
        priority=run.priority,
        resume=resume,
    )


def _activity_task(rows: RunState, activity: Activity, context: Context) -> Task:
    run = rows.run
    return Task(
        id=context.next_id(),
        run_id=run.id,
        namespace=run.namespace,
        kind=TaskKind.ACTIVITY,
        status=TaskStatus.READY,
        queue=activity.queue,
        type_name=activity.activity_type,
        available_at=context.now,
        created_at=context.now,
        compatibility=run.compatibility,
        priority=run.priority,
        attempt=activity.attempt_count,
        activity_id=activity.id,
    )


def _with_one_of_workflow(tasks: list[Task], *, at: int) -> list[Task]:
    """The embedded engine may have several open; here the one that is due first stands
    for all. An update has a task to itself, so it gives way and gets its next turn."""
    open_ones = [t for t in tasks if t.kind is TaskKind.WORKFLOW and t.is_open]
    if len(open_ones) < 2:
        return tasks
    kept = min(
        open_ones,
        key=lambda task: (update_of(task) is not None, task.available_at, task.id),
    )
    return [
        replace(task, status=TaskStatus.CANCELLED, closed_at=at)
        if task in open_ones and task.id != kept.id
        else task
        for task in tasks
    ]
