"""What a worker reports about an activity attempt (``spec/engine.md §7``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.draft import Draft
from dwserver.engine.leases import (
    activity_of,
    close_attempt,
    current,
    run_closed_fields,
)
from dwserver.engine.lifecycle.activity_retry import delay_of_retry, schedule_retry
from dwserver.engine.lifecycle.standalone import end_with_failure, end_with_result
from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Failure,
    JsonMap,
    Payload,
    Run,
    Task,
)
from dwserver.engine.outcome import Rejection
from dwserver.engine.payloads import WIRE_CODEC, embed
from dwserver.engine.records import quick_init, replace
from dwserver.engine.steps import resolve
from dwserver.engine.wakes import resume_of_activity
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    EventType,
    FailureCategory,
    RunStatus,
    TaskStatus,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptFailure:
    """A ``failure`` object; ``details`` is an opaque payload or plain JSON."""

    message: str
    type: str | None = None
    failure_class: str | None = None
    code: int | None = None
    stack_trace: str | None = None
    is_non_retryable: bool = False
    category: FailureCategory = FailureCategory.ACTIVITY
    details: Payload | None = None
    extra: JsonMap | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """An outcome for the attempt that ``task`` carried when it was looked up.

    ``closed``: the archived attempt, when the reported one is not the current one.
    Exactly one of success (``failure`` is None) and failure.
    """

    task: Task
    attempt_id: str
    owner: str
    result: Payload | None = None
    failure: AttemptFailure | None = None
    closed: ClosedAttempt | None = None


@quick_init
@dataclass(frozen=True, slots=True)
class Recorded:
    """Reply: the outcome counts; ``next_task_id`` is the retry or the resume task."""

    next_task_id: str | None


def record_outcome(draft: Draft, report: Report) -> Recorded | Rejection:
    """Close the attempt as reported; retry, or resolve the step and wake the run."""
    task = current(draft, report.task)
    refused = check_attempt(draft, task, report)
    if refused:
        return refused
    activity = activity_of(draft, task)
    if activity is None or not activity.is_open:
        return _stopped(draft.run, task) or Rejection(
            "stale_attempt", "The activity has been closed."
        )
    failure = report.failure or _too_large(draft, report.result)
    if failure is None:
        return Recorded(_succeed(draft, activity, task, report.result))
    return Recorded(_fail(draft, activity, task, failure))


def check_attempt(draft: Draft, task: Task, report: Report) -> Rejection | None:
    """The ownership guard of worker-protocol §9.2, late outcomes of §9.3."""
    run, owner = draft.run, task.lease_owner
    if report.attempt_id != task.attempt_id:
        found, closed = report.task, report.closed
        if _is_of_another_task(draft, task, report):
            return Rejection(
                "task_mismatch", "The activity attempt belongs to another task."
            )
        # Without an archived attempt it was the current one a moment ago, or never.
        if closed is None and found.attempt_id != report.attempt_id:
            return Rejection("attempt_not_found", "The activity attempt is unknown.")
        owner = closed.lease_owner if closed is not None else found.lease_owner
    if owner != report.owner:
        return Rejection(
            "lease_owner_mismatch",
            "The activity attempt is leased by another worker.",
            {"lease_owner": owner},
        )
    if report.attempt_id == task.attempt_id and task.status is TaskStatus.LEASED:
        return _stopped(run, task)
    return _stopped(run, task) or Rejection(
        "stale_attempt", "The activity attempt is no longer the current one."
    )


def _is_of_another_task(draft: Draft, task: Task, report: Report) -> bool:
    """An archived attempt of any task, or the current one of a task of this run."""
    if report.closed is not None:
        return report.closed.task_id != task.id
    return any(
        other.attempt_id == report.attempt_id and other.id != task.id
        for other in draft.tasks.values()
    )


def _stopped(run: Run, task: Task) -> Rejection | None:
    """A cancelled or terminated run ignores outcomes and tells the worker to stop."""
    if run.status is RunStatus.CANCELLED:
        reason = "run_cancelled"
    elif run.status is RunStatus.TERMINATED:
        reason = "run_terminated"
    else:
        return None
    fields = run_closed_fields(run, task)
    del fields["stop_reason"]
    return Rejection(reason, "The run of the activity has been closed.", fields)


def _too_large(draft: Draft, result: Payload | None) -> AttemptFailure | None:
    limit = draft.context.policy.limits.payload_bytes
    size = len(result.data.encode()) if result else 0
    if not 0 < limit < size:
        return None
    return AttemptFailure(
        message=f"The activity result of {size} bytes exceeds the limit of {limit}.",
        type="StructuralLimitExceeded",
        is_non_retryable=True,
        category=FailureCategory.STRUCTURAL_LIMIT,
        extra={
            "structural_limit_kind": "payload_size",
            "structural_limit_value": size,
            "structural_limit_configured": limit,
        },
    )


def _succeed(
    draft: Draft, activity: Activity, task: Task, result: Payload | None
) -> str | None:
    now = draft.context.now
    close_attempt(draft, task, AttemptStatus.COMPLETED)
    closed_task = replace(task, status=TaskStatus.COMPLETED, closed_at=now)
    draft.tasks.put(closed_task)
    done = replace(activity, status=ActivityStatus.COMPLETED, closed_at=now)
    draft.activities.put(done)
    if draft.run.status.is_terminal:
        return None
    event = EventType.ACTIVITY_COMPLETED
    next_task_id = resolve(
        draft,
        done,
        event_type=event,
        payload=events.activity_completed(done, closed_task, result),
        resume=resume_of_activity(done, task.attempt_id, event),
        task_id=task.id,
    )
    end_with_result(draft, result, closed_task)
    return next_task_id


def _fail(
    draft: Draft, activity: Activity, task: Task, failure: AttemptFailure
) -> str | None:
    now = draft.context.now
    close_attempt(draft, task, AttemptStatus.FAILED)
    failed_task = replace(
        task, status=TaskStatus.COMPLETED, closed_at=now, last_error=failure.message
    )
    draft.tasks.put(failed_task)
    delay = None
    if not (failure.is_non_retryable or draft.run.status.is_terminal):
        failed_as = (failure.type, failure.failure_class)
        delay = delay_of_retry(activity, now=now, failed_as=failed_as)
    if delay is not None:
        return schedule_retry(
            draft, activity, failed_task, delay=delay, cause=exception_fields(failure)
        )
    failed = replace(activity, status=ActivityStatus.FAILED, closed_at=now)
    draft.activities.put(failed)
    if draft.run.status.is_terminal:
        return None
    record = _failure_record(draft, failed, failure)
    draft.record_failure(record)
    event = EventType.ACTIVITY_FAILED
    payload = {
        "failure_id": record.id,
        "failure_category": record.category,
        "non_retryable": record.non_retryable,
        **exception_fields(failure),
    }
    next_task_id = resolve(
        draft,
        failed,
        event_type=event,
        payload=events.activity_failed(failed, failed_task, payload),
        resume=resume_of_activity(failed, task.attempt_id, event),
        task_id=task.id,
    )
    end_with_failure(draft, record, failed_task)
    return next_task_id


def exception_fields(failure: AttemptFailure) -> dict[str, object]:
    """The keys of ``ActivityFailed`` and of a retry that describe the failure."""
    details = failure.details
    exception = events.present(
        {
            "class": failure.failure_class,
            "type": failure.type,
            "message": failure.message,
            "code": failure.code,
            "trace": failure.stack_trace,
            "details": embed(details),
            "details_payload_codec": WIRE_CODEC if details else None,
            "non_retryable": failure.is_non_retryable,
        }
    )
    return {
        "exception_type": failure.type,
        "exception_class": failure.failure_class or failure.type,
        "message": failure.message,
        "code": failure.code or 0,
        "exception": exception,
        **(failure.extra or {}),
    }


def _failure_record(
    draft: Draft, activity: Activity, failure: AttemptFailure
) -> Failure:
    return Failure(
        id=draft.context.next_id(),
        run_id=activity.run_id,
        source_kind="activity_execution",
        source_id=activity.id,
        propagation_kind="activity",
        category=failure.category,
        message=failure.message,
        created_at=draft.context.now,
        exception_type=failure.type,
        exception_class=failure.failure_class or failure.type,
        non_retryable=failure.is_non_retryable,
    )
