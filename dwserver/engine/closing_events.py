"""Payloads of the events with which a run is ended from outside (§13)."""

from __future__ import annotations

from dwserver.engine.events import (
    activity_snapshot,
    command_snapshot,
    present,
    task_snapshot,
)
from dwserver.engine.model import (
    Activity,
    ClosedAttempt,
    Command,
    Failure,
    Run,
    Task,
    Update,
)
from dwserver.engine.wire_time import iso_or_none, micro, micro_or_none
from dwserver.engine.words import ClosedReason, RunTimeoutKind


def close_requested(
    run: Run, command: Command, reason: str | None
) -> dict[str, object]:
    """``CancelRequested`` and ``TerminateRequested``."""
    return present(
        {
            "workflow_command_id": command.id,
            "workflow_instance_id": run.workflow_id,
            "workflow_run_id": run.id,
            "command_type": command.command_type,
            "reason": reason,
            "command": command_snapshot(command),
        }
    )


def closed_on_request(
    run: Run,
    command: Command,
    failure: Failure,
    *,
    closed_reason: ClosedReason,
    reason: str | None,
) -> dict[str, object]:
    """``WorkflowCancelled`` and ``WorkflowTerminated``."""
    return present(
        {
            "workflow_command_id": command.id,
            "workflow_instance_id": run.workflow_id,
            "workflow_run_id": run.id,
            "failure_id": failure.id,
            "failure_category": failure.category,
            "closed_reason": closed_reason,
            "exception_class": failure.exception_class,
            "message": failure.message,
            "reason": reason,
            "command": command_snapshot(command),
        }
    )


def run_timed_out(
    run: Run, failure: Failure, kind: RunTimeoutKind
) -> dict[str, object]:
    """``WorkflowTimedOut``."""
    return {
        "failure_id": failure.id,
        "timeout_kind": kind,
        "failure_category": failure.category,
        "message": failure.message,
        "exception_class": failure.exception_class,
        "execution_deadline_at": iso_or_none(run.execution_deadline_at),
        "run_deadline_at": iso_or_none(run.run_deadline_at),
    }


def activity_cancelled(
    activity: Activity,
    *,
    attempt: ClosedAttempt | None,
    task: Task | None,
    command: Command | None,
) -> dict[str, object]:
    """``attempt``: the one that was running, if there was one."""
    attempt_id = attempt.id if attempt else None
    fields = {
        "activity_execution_id": activity.id,
        "activity_attempt_id": attempt_id,
        "activity_class": activity.activity_type,
        "activity_type": activity.activity_type,
        "sequence": activity.step,
        "attempt_number": activity.attempt_count,
        "cancelled_at": micro_or_none(activity.closed_at),
        **(activity.parallel or {}),
        "activity": activity_snapshot(activity, attempt_id=attempt_id),
    }
    if command is not None:
        fields = {"workflow_command_id": command.id, **fields}
        fields["command"] = command_snapshot(command)
    if attempt is not None:
        fields["activity_attempt"] = _closed_attempt(attempt)
    if task is not None:
        fields["task"] = task_snapshot(task)
    return fields


def _closed_attempt(attempt: ClosedAttempt) -> dict[str, object]:
    return {
        "id": attempt.id,
        "activity_execution_id": attempt.activity_id,
        "task_id": attempt.task_id,
        "attempt_number": attempt.number,
        "status": attempt.status,
        "lease_owner": attempt.lease_owner,
        "started_at": micro(attempt.started_at),
        "closed_at": micro(attempt.closed_at),
    }


def update_closed(
    run: Run, update: Update, failure: Failure, *, reason: ClosedReason
) -> dict[str, object]:
    """``UpdateCompleted`` of an update that the run did not live to apply."""
    return {
        "workflow_command_id": update.command_id,
        "update_id": update.id,
        "workflow_instance_id": run.workflow_id,
        "workflow_run_id": run.id,
        "update_name": update.name,
        "failure_id": failure.id,
        "failure_category": failure.category,
        "non_retryable": failure.non_retryable,
        "message": failure.message,
        "terminal_reason": reason,
    }
