"""A run closes, and with it what it leaves open (``spec/engine.md §4, §9.7, §11``)."""

from __future__ import annotations

from dwserver.engine import events
from dwserver.engine.draft import Draft
from dwserver.engine.leases import close_attempt
from dwserver.engine.model import Activity, OutboxEntry, Task
from dwserver.engine.records import replace
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    EventType,
    OutboxKind,
    ParentClosePolicy,
    RunStatus,
    TaskStatus,
    TimerStatus,
)

# The process that commits an entry works it off at once; others leave it that time.
OUTBOX_GRACE = 5 * MICROS


def close_run(draft: Draft, status: RunStatus, reason: ClosedReason) -> None:
    """Close the run; its ready tasks and pending timers go with it, without events.

    Its parent hears of it in this transition, its children when it is committed.
    """
    now = draft.context.now
    draft.set_run(status=status, closed_reason=reason, closed_at=now, wakes=())
    draft.for_parent = draft.run.parent_run_id
    if reason is not ClosedReason.CONTINUED and leaves_children(draft):
        draft.leave(_parent_close(draft, reason))
    cancel_ready_tasks(draft)
    for timer in list(draft.timers.values()):
        if timer.is_open:
            draft.timers.put(
                replace(timer, status=TimerStatus.CANCELLED, closed_at=now)
            )


def leaves_children(draft: Draft) -> bool:
    """The run, or one before it in its chain, may have open children that do not
    outlive it (§8)."""
    return draft.run.inherits_children or any(
        child.is_open and child.parent_close_policy is not ParentClosePolicy.ABANDON
        for child in draft.children.values()
    )


def _parent_close(draft: Draft, reason: ClosedReason) -> OutboxEntry:
    run, context = draft.run, draft.context
    return OutboxEntry(
        id=context.next_id(),
        kind=OutboxKind.PARENT_CLOSE,
        namespace=run.namespace,
        run_id=run.id,
        payload={"workflow_id": run.workflow_id, "closed_reason": reason},
        available_at=context.now + OUTBOX_GRACE,
        created_at=context.now,
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
