"""Whether an open run can go on, and what is missing if it cannot
(``spec/scheduling-and-maintenance.md §8.2``).

Transitions never leave a run without something that will wake it (§17); what is found
missing here is damage, which a repair mends. A ready task that nobody has taken is no
damage: without a push queue it only means that no worker has asked for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.engine.model import Activity, RunRows, Task
from dwserver.engine.wakes import unserved_cause
from dwserver.engine.words import Liveness, TaskKind, TaskStatus, WaitFor

_LEASED: Final[Mapping[TaskKind, Liveness]] = MappingProxyType(
    {
        TaskKind.WORKFLOW: Liveness.WORKFLOW_TASK_LEASED,
        TaskKind.ACTIVITY: Liveness.ACTIVITY_TASK_LEASED,
    }
)
_READY: Final[Mapping[TaskKind, Liveness]] = MappingProxyType(
    {
        TaskKind.WORKFLOW: Liveness.WORKFLOW_TASK_READY,
        TaskKind.ACTIVITY: Liveness.ACTIVITY_TASK_READY,
    }
)
_WAITING: Final[Mapping[WaitFor, Liveness]] = MappingProxyType(
    {
        WaitFor.CONDITION: Liveness.WAITING_FOR_CONDITION,
        WaitFor.SIGNAL: Liveness.WAITING_FOR_SIGNAL,
    }
)


def liveness(rows: RunRows, *, now: int) -> Liveness:
    """The one state of the run; ``now``: epoch microseconds."""
    if rows.run.status.is_terminal:
        return Liveness.CLOSED
    task = next_task(rows)
    if (
        unserved_cause(rows) is not None
        or activities_without_task(rows)
        or (task is not None and has_lost_its_holder(task, now=now))
    ):
        return Liveness.REPAIR_NEEDED
    if task is not None:
        of_kind = _LEASED if task.status is TaskStatus.LEASED else _READY
        return of_kind[task.kind]
    if any(timer.is_open for timer in rows.timers.values()):
        return Liveness.TIMER_SCHEDULED
    for wait_for, state in _WAITING.items():
        waits = (w for w in rows.waits.values() if w.wait_for is wait_for)
        if any(wait.is_open for wait in waits):
            return state
    return Liveness.WAITING_FOR_CHILD


def next_task(rows: RunRows) -> Task | None:
    """The task that moves the run on next: of the workflow, else of the activity that
    is due first."""
    tasks = [task for task in rows.tasks.values() if task.is_open]
    return min(
        tasks,
        key=lambda task: (task.kind is TaskKind.ACTIVITY, task.available_at, task.id),
        default=None,
    )


def has_lost_its_holder(task: Task, *, now: int) -> bool:
    """The lease is over and nobody has taken the task back yet."""
    expires_at = task.lease_expires_at
    return (
        task.status is TaskStatus.LEASED
        and expires_at is not None
        and expires_at <= now
    )


def is_overdue(task: Task, *, now: int, after: int) -> bool:
    """Nobody has taken the ready task for ``after`` microseconds."""
    return task.status is TaskStatus.READY and task.available_at <= now - after


def activities_without_task(rows: RunRows) -> list[Activity]:
    """Open activities that no worker will ever get."""
    served = {task.activity_id for task in rows.tasks.values() if task.is_open}
    return [
        activity
        for activity in rows.activities.values()
        if activity.is_open and activity.id not in served
    ]
