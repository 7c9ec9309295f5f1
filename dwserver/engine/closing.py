"""A run closes, and with it what it leaves open (``spec/engine.md §4, §9.7, §11``)."""

from __future__ import annotations

from dwserver.engine import events
from dwserver.engine.draft import Draft
from dwserver.engine.leases import close_attempt
from dwserver.engine.model import Activity, Task
from dwserver.engine.records import replace
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    EventType,
    RunStatus,
    TaskStatus,
    TimerStatus,
)


def close_run(draft: Draft, status: RunStatus, reason: ClosedReason) -> None:
    """Close the run; its ready tasks and pending timers go with it, without events."""
    now = draft.context.now
    draft.set_run(status=status, closed_reason=reason, closed_at=now, wakes=())
    cancel_ready_tasks(draft)
    for timer in list(draft.timers.values()):
        if timer.is_open:
            draft.timers.put(
                replace(timer, status=TimerStatus.CANCELLED, closed_at=now)
            )


def cancel_open_steps(draft: Draft) -> None:
    """Cancel what a closing run leaves open, with its events (§11)."""
    now = draft.context.now
    tasks = {task.activity_id: task for task in draft.open_tasks()}
    for activity in list(draft.activities.values()):
        if activity.is_open:
            _cancel_activity(draft, activity, tasks.get(activity.id))
    for timer in list(draft.timers.values()):
        if timer.is_open:
            cancelled_timer = replace(
                timer, status=TimerStatus.CANCELLED, closed_at=now
            )
            draft.timers.put(cancelled_timer)
            draft.append(
                EventType.TIMER_CANCELLED,
                events.timer_cancelled(cancelled_timer, cancelled_at=now),
            )


def _cancel_activity(draft: Draft, activity: Activity, task: Task | None) -> None:
    now = draft.context.now
    cancelled = replace(activity, status=ActivityStatus.CANCELLED, closed_at=now)
    draft.activities.put(cancelled)
    attempt_id = None
    if task is not None:
        attempt_id = task.attempt_id
        close_attempt(draft, task, AttemptStatus.CANCELLED)
        draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
    draft.append(
        EventType.ACTIVITY_CANCELLED,
        events.activity_cancelled(cancelled, attempt_id=attempt_id, cancelled_at=now),
    )


def cancel_ready_tasks(draft: Draft) -> None:
    """Nobody needs the ready tasks of a run that has just closed."""
    now = draft.context.now
    for task in list(draft.open_tasks()):
        if task.status is TaskStatus.READY:
            draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
