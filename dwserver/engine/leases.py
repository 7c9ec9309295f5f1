"""Leases of tasks: take, check, take away (§6, §7; protocol §6.4, §9.2).

One function leases a task, whether a poller was waiting when it was created
(hand-off) or asks later (claim).
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.arrivals import release
from dwserver.engine.context import Context
from dwserver.engine.definitions import may_continue
from dwserver.engine.draft import Draft
from dwserver.engine.model import Activity, ClosedAttempt, RetryPolicy, Run, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import quick_init, replace
from dwserver.engine.wakes import delivered_anew
from dwserver.engine.wire_time import MICROS, micro_or_none
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    EventType,
    RunStatus,
    TaskKind,
    TaskStatus,
)


@quick_init
@dataclass(frozen=True, slots=True)
class Leased:
    """A task as its new holder gets it, with the run and activity of that moment.

    ``has_recorded``: this lease recorded the definition of the run."""

    run: Run
    task: Task
    activity: Activity | None
    has_recorded: bool = False


def lease(
    draft: Draft, task: Task, owner: str, *, fingerprint: str | None = None
) -> Leased | None:
    """Lease a ready, due task to ``owner``; None when it cannot be claimed (any more).

    A ready task of a closed run is cancelled on the way. ``fingerprint``: what the
    owner tells of its definition of the task's workflow type.
    """
    now = draft.context.now
    if task.status is not TaskStatus.READY or task.available_at > now:
        return None
    if draft.run.status.is_terminal:
        draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
        return None
    if task.kind is TaskKind.WORKFLOW:
        return _lease_workflow_task(draft, task, owner, fingerprint)
    return _lease_activity_task(draft, task, owner)


def _lease_workflow_task(
    draft: Draft, task: Task, owner: str, fingerprint: str | None
) -> Leased | None:
    context = draft.context
    recorded = draft.run.definition_fingerprint
    if context.policy.pins_definitions and not may_continue(recorded, fingerprint):
        return None
    has_recorded = recorded is None and fingerprint is not None
    if has_recorded:
        recorded = fingerprint
        draft.set_run(definition_fingerprint=recorded)
    leased = replace(
        task,
        status=TaskStatus.LEASED,
        lease_owner=owner,
        leased_at=context.now,
        lease_expires_at=context.now + context.policy.workflow_task_lease,
        attempt=task.attempt + 1,
        snapshot_sequence=draft.last_sequence,
        definition_fingerprint=recorded,
    )
    draft.tasks.put(leased)
    return Leased(draft.run, leased, None, has_recorded)


def _lease_activity_task(draft: Draft, task: Task, owner: str) -> Leased | None:
    context = draft.context
    now = context.now
    activity = activity_of(draft, task)
    if activity is None or not activity.is_open:
        draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
        return None
    leased = replace(
        task,
        status=TaskStatus.LEASED,
        lease_owner=owner,
        leased_at=now,
        lease_expires_at=now + context.policy.activity_task_lease,
        attempt=task.attempt + 1,
        attempt_id=context.next_id().upper(),
    )
    policy = activity.retry_policy or RetryPolicy()
    started = replace(
        activity,
        status=ActivityStatus.RUNNING,
        attempt_count=leased.attempt,
        started_at=now,
        close_deadline_at=after(now, policy.start_to_close_timeout),
        heartbeat_deadline_at=after(now, policy.heartbeat_timeout),
        last_heartbeat_at=None,
    )
    draft.tasks.put(leased)
    draft.activities.put(started)
    draft.append(
        EventType.ACTIVITY_STARTED,
        events.activity_started(started, leased),
        task_id=leased.id,
    )
    return Leased(draft.run, leased, started)


def after(now: int, seconds: int | None) -> int | None:
    return None if seconds is None else now + seconds * MICROS


def activity_of(draft: Draft, task: Task) -> Activity | None:
    for activity in draft.activities.values():
        if activity.id == task.activity_id:
            return activity
    return None


def current(draft: Draft, found: Task) -> Task:
    """The task as the draft knows it; a closed one stays as it was found.

    A task that was found open but is not open in the run's state has closed since.
    """
    known = draft.tasks.get(found.id)
    if known is not None:
        return known
    if found.is_open:
        return replace(found, status=TaskStatus.COMPLETED)
    return found


def check_workflow_task(
    run: Run, task: Task, *, owner: str, attempt: int, context: Context
) -> Rejection | None:
    """The ownership guard of worker-protocol §6.4, rows 2–7."""
    if task.status is not TaskStatus.LEASED:
        if run.status.is_terminal:
            return Rejection(
                "run_closed", "The run is closed.", run_closed_fields(run, task)
            )
        return Rejection("task_not_leased", "The workflow task is not leased.")
    if task.lease_owner is None or task.lease_expires_at is None:
        return Rejection("task_not_leased", "The workflow task is not leased.")
    if task.lease_expires_at <= context.now:
        return Rejection(
            "lease_expired",
            "The lease of the workflow task has expired.",
            {
                "task_status": task.status,
                "lease_owner": task.lease_owner,
                "lease_expires_at": micro_or_none(task.lease_expires_at),
            },
        )
    if task.lease_owner != owner:
        return Rejection(
            "lease_owner_mismatch",
            "The workflow task is leased by another worker.",
            {"lease_owner": task.lease_owner},
        )
    if task.attempt != attempt:
        return Rejection(
            "workflow_task_attempt_mismatch",
            "The workflow task was leased again since this attempt.",
            {"current_attempt": task.attempt},
        )
    return None


_STOP_REASON = {
    RunStatus.CANCELLED: "run_cancelled",
    RunStatus.TERMINATED: "run_terminated",
    RunStatus.COMPLETED: "run_completed",
    RunStatus.FAILED: "run_failed",
}


def run_closed_fields(run: Run, task: Task) -> dict[str, object]:
    """Why a worker must stop, as every answer to a closed run tells it."""
    is_leased = task.status is TaskStatus.LEASED
    return {
        "stop_reason": _STOP_REASON.get(run.status, "run_closed"),
        "cancel_requested": run.status in (RunStatus.CANCELLED, RunStatus.TERMINATED),
        "can_continue": False,
        "run_status": run.status,
        "run_closed_reason": run.closed_reason,
        "run_closed_at": micro_or_none(run.closed_at),
        "task_status": task.status,
        "lease_owner": task.lease_owner,
        "lease_expires_at": micro_or_none(task.lease_expires_at if is_leased else None),
    }


def requeue(draft: Draft, task: Task) -> bool:
    """Take a lease away and make the task ready again, silently (decision 14).

    For an expired lease and for one whose holder never got the answer. The task keeps
    its id; the next lease raises the attempt. False when it is not leased any more.
    """
    if task.status is not TaskStatus.LEASED:
        return False
    now = draft.context.now
    draft.guard_lease(task)
    if draft.run.status.is_terminal:
        draft.tasks.put(replace(task, status=TaskStatus.CANCELLED, closed_at=now))
        return True
    is_of_workflow = task.kind is TaskKind.WORKFLOW
    if not is_of_workflow:
        close_attempt(draft, task, AttemptStatus.EXPIRED)
    draft.tasks.put(
        replace(
            task,
            status=TaskStatus.READY,
            resume=delivered_anew(draft, task) if is_of_workflow else task.resume,
            available_at=now,
            lease_owner=None,
            leased_at=None,
            lease_expires_at=None,
            attempt_id=None,
            repair_count=task.repair_count + 1,
        )
    )
    if is_of_workflow:
        release(draft)
    return True


def give_back(draft: Draft, leased: Leased) -> bool:
    """:func:`requeue` a task whose holder never got it, if no other lease followed.

    A definition that only this lease recorded is forgotten: its worker has run
    nothing, and may be one that is just being replaced.
    """
    task = current(draft, leased.task)
    if task.attempt != leased.task.attempt or task.status is not TaskStatus.LEASED:
        return False
    if leased.has_recorded:
        draft.set_run(definition_fingerprint=None)
        task = replace(task, definition_fingerprint=None)
    return requeue(draft, task)


def expire(draft: Draft, task: Task) -> bool:
    """:func:`requeue` if the lease has indeed expired."""
    expires_at = task.lease_expires_at
    if expires_at is None or expires_at > draft.context.now:
        return False
    return requeue(draft, task)


def close_attempt(
    draft: Draft, task: Task, status: AttemptStatus
) -> ClosedAttempt | None:
    """Archive the current attempt of an activity task, if one is running."""
    if task.attempt_id is None or task.activity_id is None:
        return None
    attempt = ClosedAttempt(
        id=task.attempt_id,
        activity_id=task.activity_id,
        task_id=task.id,
        run_id=task.run_id,
        number=task.attempt,
        status=status,
        lease_owner=task.lease_owner or "",
        started_at=task.leased_at or draft.context.now,
        closed_at=draft.context.now,
    )
    draft.close_attempt(attempt)
    return attempt
