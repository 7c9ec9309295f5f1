"""A deadline of an activity passes (``spec/engine.md §7.1``)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dwserver.engine import attempt_events
from dwserver.engine.closing import cancelled_task
from dwserver.engine.draft import Draft
from dwserver.engine.leases import close_attempt
from dwserver.engine.lifecycle.activity_retry import delay_of_retry, schedule_retry
from dwserver.engine.lifecycle.standalone import end_with_failure
from dwserver.engine.model import Activity, Failure, Task
from dwserver.engine.records import replace
from dwserver.engine.steps import resolve
from dwserver.engine.wakes import resume_of_activity
from dwserver.engine.wire_time import iso, micro
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    EventType,
    FailureCategory,
    TimeoutKind,
)

EXCEPTION_CLASS = r"Workflow\V2\Exceptions\ActivityTimeoutException"


class TimeoutSkip(StrEnum):
    """Why an activity was left as it is."""

    EXECUTION_NOT_FOUND = "execution_not_found"
    EXECUTION_ALREADY_TERMINAL = "execution_already_terminal"
    NO_DEADLINE_EXPIRED = "no_deadline_expired"
    RUN_ALREADY_TERMINAL = "run_already_terminal"


@dataclass(frozen=True, slots=True)
class ActivityTimedOut:
    """``next_task_id``: of the next attempt, or of the workflow task that goes on; None
    while others of its batch are open."""

    activity: Activity
    kind: TimeoutKind
    next_task_id: str | None
    is_retried: bool


def time_out_activity(draft: Draft, step: int) -> ActivityTimedOut | TimeoutSkip:
    """End the attempt of the activity at ``step`` if a deadline has passed.

    What a sweep asks for and finds alive is written again all the same, so that the
    deadline by which sweeps find it follows the heartbeats.
    """
    activity = draft.activities.get(step)
    if activity is None:
        return TimeoutSkip.EXECUTION_NOT_FOUND
    if not activity.is_open:
        return TimeoutSkip.EXECUTION_ALREADY_TERMINAL
    task = next((t for t in draft.open_tasks() if t.activity_id == activity.id), None)
    if task is not None:
        # Heartbeats move deadlines without touching the version of the run.
        draft.guard_lease(task)
    kind = expired_kind(activity, now=draft.context.now)
    if kind is None:
        draft.activities.put(activity)
        return TimeoutSkip.NO_DEADLINE_EXPIRED
    if draft.run.status.is_terminal:
        _settle(draft, activity, task)
        return TimeoutSkip.RUN_ALREADY_TERMINAL
    return _time_out(draft, activity, task, kind)


_WHILE_PENDING = (TimeoutKind.SCHEDULE_TO_CLOSE, TimeoutKind.SCHEDULE_TO_START)
_WHILE_RUNNING = (
    TimeoutKind.SCHEDULE_TO_CLOSE,
    TimeoutKind.HEARTBEAT,
    TimeoutKind.START_TO_CLOSE,
)


def expired_kind(activity: Activity, *, now: int) -> TimeoutKind | None:
    """The first in the order of precedence whose deadline has passed."""
    is_pending = activity.status is ActivityStatus.PENDING
    for kind in _WHILE_PENDING if is_pending else _WHILE_RUNNING:
        deadline = _deadline(activity, kind)
        if deadline is not None and deadline <= now:
            return kind
    return None


def _deadline(activity: Activity, kind: TimeoutKind) -> int | None:
    match kind:
        case TimeoutKind.SCHEDULE_TO_CLOSE:
            return activity.schedule_to_close_deadline_at
        case TimeoutKind.SCHEDULE_TO_START:
            return activity.schedule_deadline_at
        case TimeoutKind.HEARTBEAT:
            return activity.heartbeat_deadline_at
        case TimeoutKind.START_TO_CLOSE:
            return activity.close_deadline_at


def _settle(draft: Draft, activity: Activity, task: Task | None) -> None:
    """What a run left open when it closed ends without a trace in history."""
    now = draft.context.now
    draft.activities.put(
        replace(activity, status=ActivityStatus.CANCELLED, closed_at=now)
    )
    if task is not None:
        close_attempt(draft, task, AttemptStatus.EXPIRED)
        draft.tasks.put(cancelled_task(task, at=now))


def _time_out(
    draft: Draft, activity: Activity, task: Task | None, kind: TimeoutKind
) -> ActivityTimedOut:
    now = draft.context.now
    if activity.status is ActivityStatus.PENDING:
        activity = replace(activity, attempt_count=_attempts_spent(activity, kind))
    message = _message(activity, kind)
    if task is not None:
        close_attempt(draft, task, AttemptStatus.FAILED)
        task = replace(cancelled_task(task, at=now), last_error=message)
        draft.tasks.put(task)
    delay = None
    if task is not None and kind is not TimeoutKind.SCHEDULE_TO_CLOSE:
        delay = delay_of_retry(activity, now=now)
    if task is not None and delay is not None:
        cause = {"timeout_kind": kind, "message": message}
        next_id = schedule_retry(draft, activity, task, delay=delay, cause=cause)
        return ActivityTimedOut(activity, kind, next_id, is_retried=True)
    failed = replace(activity, status=ActivityStatus.FAILED, closed_at=now)
    draft.activities.put(failed)
    failure = _failure(draft, failed, message)
    draft.record_failure(failure)
    attempt_id = task.attempt_id if task else None
    next_task_id = resolve(
        draft,
        failed,
        event_type=EventType.ACTIVITY_TIMED_OUT,
        payload=attempt_events.activity_timed_out(failed, task, failure, kind=kind),
        resume=resume_of_activity(failed, attempt_id, EventType.ACTIVITY_TIMED_OUT),
        task_id=task.id if task else None,
    )
    end_with_failure(draft, failure, task)
    return ActivityTimedOut(failed, kind, next_task_id, is_retried=False)


def _attempts_spent(activity: Activity, kind: TimeoutKind) -> int:
    """Waiting in vain for a worker spends an attempt, else it would never end."""
    made = activity.attempt_count
    return made + 1 if kind is TimeoutKind.SCHEDULE_TO_START else max(made, 1)


def _message(activity: Activity, kind: TimeoutKind) -> str:
    deadline = iso(_deadline(activity, kind) or 0)
    name = kind.replace("_", "-")
    text = f"Activity {activity.activity_type}: {name} deadline passed at {deadline}"
    if kind is not TimeoutKind.HEARTBEAT:
        return f"{text}."
    beat = activity.last_heartbeat_at
    return f"{text}, last heartbeat: {micro(beat) if beat else 'never'}."


def _failure(draft: Draft, activity: Activity, message: str) -> Failure:
    return Failure(
        id=draft.context.next_id(),
        run_id=activity.run_id,
        source_kind="activity_execution",
        source_id=activity.id,
        propagation_kind="timeout",
        category=FailureCategory.TIMEOUT,
        message=message,
        created_at=draft.context.now,
        exception_class=EXCEPTION_CLASS,
    )
