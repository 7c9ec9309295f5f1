"""A run closes, and with it what it leaves open (``spec/engine.md §4, §9.6, §9.7``).

Two manners. A run that its own workflow ended drops its ready tasks and timers without
a word, and activities that workers hold may still report. A run that is ended from
outside, or continued, first cancels every open step with an event, and nothing of it
stays leased.
"""

from __future__ import annotations

from dwserver.engine import closing_events, events
from dwserver.engine.arrivals import release_messages
from dwserver.engine.draft import Draft
from dwserver.engine.family import tell_family
from dwserver.engine.leases import close_attempt
from dwserver.engine.model import (
    Activity,
    AppliedCommand,
    Command,
    Failure,
    Task,
    Update,
)
from dwserver.engine.records import replace
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ClosedReason,
    CommandOutcome,
    EventType,
    FailureCategory,
    RunStatus,
    TaskStatus,
    TimerStatus,
    UpdateStatus,
    WaitStatus,
)


def close_run(draft: Draft, status: RunStatus, reason: ClosedReason) -> None:
    """Close the run; its ready tasks, pending timers and waits go with it without
    events. Accepted updates fail, each with an event; a run that is continued leaves
    them to its successor (``engine/carry_over.py``)."""
    now = draft.context.now
    draft.set_run(status=status, closed_reason=reason, closed_at=now, wakes=())
    tell_family(draft, reason)
    for task in draft.open_tasks():
        if task.status is TaskStatus.READY:
            draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
    for timer in list(draft.timers.values()):
        if timer.is_open:
            draft.timers.put(
                replace(
                    timer, status=TimerStatus.CANCELLED, closed_at=now, is_held=False
                )
            )
    for wait in list(draft.waits.values()):
        if wait.is_open:
            draft.waits.put(replace(wait, status=WaitStatus.CLOSED, closed_at=now))
    if reason is ClosedReason.CONTINUED:
        return
    for update in list(draft.updates.values()):
        if update.is_open:
            _fail_update(draft, update, reason)


def cancel_what_is_open(draft: Draft, *, command: Command | None = None) -> None:
    """Cancel the open steps with their events, activities first, and every open task.

    Messages that were held back for the leased task come to their place in history
    before. ``command``: the operator command behind it, if there is one.
    """
    release_messages(draft)
    now = draft.context.now
    tasks = {task.activity_id: task for task in draft.open_tasks()}
    for activity in list(draft.activities.values()):
        if activity.is_open:
            _cancel_activity(draft, activity, tasks.get(activity.id), command)
    for timer in list(draft.timers.values()):
        if timer.is_open:
            cancelled = replace(
                timer, status=TimerStatus.CANCELLED, closed_at=now, is_held=False
            )
            draft.timers.put(cancelled)
            draft.append(
                EventType.TIMER_CANCELLED,
                events.timer_cancelled(
                    cancelled, draft.waits.get(timer.step), cancelled_at=now
                ),
                command_id=command.id if command else None,
            )
    for task in draft.open_tasks():
        draft.tasks.put(cancelled_task(task, at=now))


def cancelled_task(task: Task, *, at: int) -> Task:
    """The open task as nobody holds it any more; who held it is still known."""
    return replace(
        task, status=TaskStatus.CANCELLED, closed_at=at, lease_expires_at=None
    )


def _cancel_activity(
    draft: Draft, activity: Activity, task: Task | None, command: Command | None
) -> None:
    now = draft.context.now
    cancelled = replace(activity, status=ActivityStatus.CANCELLED, closed_at=now)
    draft.activities.put(cancelled)
    attempt = None
    if task is not None:
        attempt = close_attempt(draft, task, AttemptStatus.CANCELLED)
        task = cancelled_task(task, at=now)
        draft.tasks.put(task)
    draft.append(
        EventType.ACTIVITY_CANCELLED,
        closing_events.activity_cancelled(
            cancelled, attempt=attempt, task=task, command=command
        ),
        task_id=task.id if task else None,
        command_id=command.id if command else None,
    )


_CATEGORY = {
    ClosedReason.CANCELLED: FailureCategory.CANCELLED,
    ClosedReason.TERMINATED: FailureCategory.TERMINATED,
    ClosedReason.TIMED_OUT: FailureCategory.TIMEOUT,
}


def _fail_update(draft: Draft, update: Update, reason: ClosedReason) -> None:
    """The run closed before the workflow could apply the update (§9.6)."""
    now = draft.context.now
    failure = Failure(
        id=draft.context.next_id(),
        run_id=update.run_id,
        source_kind="workflow_update",
        source_id=update.id,
        propagation_kind="update",
        category=_CATEGORY.get(reason, FailureCategory.APPLICATION),
        message=f"The run closed as {reason} before it applied update {update.name}.",
        created_at=now,
        non_retryable=True,
        event_sequence=draft.last_sequence + 1,
    )
    draft.append(
        EventType.UPDATE_COMPLETED,
        closing_events.update_closed(draft.run, update, failure, reason=reason),
        command_id=update.command_id,
    )
    draft.record_failure(failure)
    draft.updates.put(
        replace(
            update,
            status=UpdateStatus.FAILED,
            closed_at=now,
            failure_id=failure.id,
            failure_message=failure.message,
        )
    )
    draft.apply_command(
        AppliedCommand(update.sequence, CommandOutcome.UPDATE_FAILED, now)
    )
