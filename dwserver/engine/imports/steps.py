"""Activities and timers of an imported run: their rows, and what history adds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from dwserver.engine.imports.eligibility import Rule
from dwserver.engine.imports.history import Told
from dwserver.engine.imports.payload_fields import parallel_of
from dwserver.engine.imports.records import Bundle, InconsistentBundle
from dwserver.engine.leases import after
from dwserver.engine.model import (
    Activity,
    RetryPolicy,
    RunState,
    Timer,
)
from dwserver.engine.payloads import digest
from dwserver.engine.records import replace
from dwserver.engine.transition import NewActivity
from dwserver.engine.words import ActivityStatus, EventType, TaskStatus


def activity_of(new: NewActivity, bundle: Bundle, told: Told) -> Activity:
    """Its deadlines follow from its policy: the bundle has none."""
    activity = new.activity
    opened = told.opened.get(activity.step)
    pending = replace(
        activity,
        batch=told.first_of_batch(activity.step),
        digest=digest(activity.activity_type, new.arguments),
        parallel=activity.parallel if opened is None else parallel_of(opened.payload),
    )
    if not activity.is_open or bundle.run.status.is_terminal:
        return pending
    policy = activity.retry_policy or RetryPolicy()
    waiting = replace(
        pending,
        schedule_to_close_deadline_at=after(
            activity.created_at, policy.schedule_to_close_timeout
        ),
    )
    started_at = activity.started_at
    if activity.status is ActivityStatus.PENDING or started_at is None:
        starts_at = _next_attempt_at(activity, bundle)
        return replace(
            waiting,
            schedule_deadline_at=after(starts_at, policy.schedule_to_start_timeout),
        )
    heard_at = activity.last_heartbeat_at or started_at
    return replace(
        waiting,
        close_deadline_at=after(started_at, policy.start_to_close_timeout),
        heartbeat_deadline_at=after(heard_at, policy.heartbeat_timeout),
    )


def _next_attempt_at(activity: Activity, bundle: Bundle) -> int:
    """When the wait for a worker began: with the back-off of a retry behind it."""
    if not activity.attempt_count:
        return activity.created_at
    ready = (
        task.available_at
        for task in bundle.tasks
        if task.activity_id == activity.id and task.status is TaskStatus.READY
    )
    return max(ready, default=activity.created_at)


def timer_of(timer: Timer, bundle: Bundle, told: Told, *, new_id: str) -> Timer:
    """``new_id``: for its task, if the bundle does not name it."""
    ended = told.ended.get(timer.id)
    task_id = bundle.timer_tasks.get(timer.id)
    if task_id is None and ended is not None:
        # Of its own; what cancels a timer names no task.
        task_id = ended.task_id if ended.event_type is EventType.TIMER_FIRED else None
    return replace(
        timer,
        batch=told.first_of_batch(timer.step),
        task_id=task_id or new_id,
        parallel=told.parallel(timer.step),
    )


def check_outcomes(rows: RunState, told: Told) -> None:
    """A step of an open run has ended exactly if history says so: replay sees nothing
    else."""
    if rows.run.status.is_terminal:
        return
    steps: Iterable[Activity | Timer] = (
        *rows.activities.values(),
        *rows.timers.values(),
    )
    for step in steps:
        ended = told.ended.get(step.id)
        if step.is_open != (ended is None):
            problem = (
                f"By its row step {step.step} is {step.status}, by the history "
                + ("it has not ended." if ended is None else "it has ended.")
            )
            raise InconsistentBundle(Rule.OUTCOME_NOT_IN_HISTORY, problem)
    for step_number, opened in told.opened.items():
        rows_of_kind = _ROWS.get(opened.event_type)
        if rows_of_kind is not None and step_number not in rows_of_kind(rows):
            problem = f"Event {opened.sequence} opens a step that has no row."
            raise InconsistentBundle(Rule.ROW_INVALID, problem)


_ROWS: Final[Mapping[EventType, Callable[[RunState], Mapping[int, object]]]] = {
    EventType.ACTIVITY_SCHEDULED: lambda rows: rows.activities,
    EventType.TIMER_SCHEDULED: lambda rows: rows.timers,
}
