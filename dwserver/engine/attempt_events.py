"""Payloads of what happens to an activity attempt between start and outcome (§13)."""

from __future__ import annotations

from dwserver.engine.events import activity_snapshot, of_attempt, task_snapshot
from dwserver.engine.model import Activity, Failure, JsonMap, Task
from dwserver.engine.wire_time import iso_or_none, micro, micro_or_none
from dwserver.engine.words import AttemptStatus, TimeoutKind


def activity_heartbeat(
    activity: Activity, task: Task, progress: JsonMap | None, *, at: int
) -> dict[str, object]:
    """``ActivityHeartbeatRecorded``; ``progress`` as the worker reported it."""
    fields: dict[str, object] = {
        **of_attempt(activity, task),
        "heartbeat_at": micro(at),
        "lease_expires_at": micro_or_none(task.lease_expires_at),
        "activity": activity_snapshot(activity, attempt_id=task.attempt_id),
        "activity_attempt": {
            "id": task.attempt_id,
            "attempt_number": task.attempt,
            "status": AttemptStatus.RUNNING,
            "task_id": task.id,
            "lease_owner": task.lease_owner,
            "last_heartbeat_at": micro(at),
            "lease_expires_at": micro_or_none(task.lease_expires_at),
            "started_at": micro_or_none(task.leased_at),
        },
        "task": task_snapshot(task),
    }
    if progress:
        fields["progress"] = progress
    return fields


def activity_timed_out(
    activity: Activity,
    task: Task | None,
    failure: Failure,
    *,
    kind: TimeoutKind,
) -> dict[str, object]:
    """``ActivityTimedOut``; the deadlines are those that were in force."""
    attempt_id = task.attempt_id if task else None
    fields: dict[str, object] = {
        **of_attempt(activity, task),
        "failure_id": failure.id,
        "failure_category": failure.category,
        "timeout_kind": kind,
        "message": failure.message,
        "exception_class": failure.exception_class,
        "schedule_deadline_at": iso_or_none(activity.schedule_deadline_at),
        "close_deadline_at": iso_or_none(activity.close_deadline_at),
        "schedule_to_close_deadline_at": iso_or_none(
            activity.schedule_to_close_deadline_at
        ),
        "heartbeat_deadline_at": iso_or_none(activity.heartbeat_deadline_at),
        "activity": activity_snapshot(activity, attempt_id=attempt_id),
    }
    if task is not None:
        fields["task"] = task_snapshot(task)
    return fields
