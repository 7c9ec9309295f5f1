"""Payloads of the events about children, on both sides (``spec/engine.md §13``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import events
from dwserver.engine.model import (
    Child,
    Failure,
    JsonMap,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
)
from dwserver.engine.payloads import WIRE_CODEC, embed
from dwserver.engine.wire_time import iso_or_none, micro_or_none
from dwserver.engine.words import ParentClosePolicy


@dataclass(frozen=True, slots=True)
class RetryOf:
    """The failed run that a run repeats, and after how many seconds."""

    run_id: str
    backoff_seconds: int


def child_scheduled(child: Child, run: Run, cause: Task) -> dict[str, object]:
    """``run``: the child's first run."""
    return {
        **_of_call(child, child.child_run_id),
        "parent_close_policy": child.parent_close_policy,
        **_policies(child, run),
        **(child.parallel or {}),
        "task": events.task_snapshot(cause),
    }


def child_run_started(
    child: Child, run: Run, *, cause: Task | None = None, retry: RetryOf | None = None
) -> dict[str, object]:
    """``child`` names ``run`` as its current run; ``cause`` only for the first one."""
    fields: dict[str, object] = {
        **_of_call(child, run.id),
        "child_run_number": run.run_number,
        "parent_close_policy": child.parent_close_policy,
        **_policies(child, run),
        **_timeouts(run),
        **(child.parallel or {}),
    }
    if retry is not None:
        fields["retry_attempt"] = child.attempt_count
        fields["retry_of_child_workflow_run_id"] = retry.run_id
        fields["retry_backoff_seconds"] = retry.backoff_seconds
    if cause is not None:
        fields["task"] = events.task_snapshot(cause)
    return fields


def started_by_parent(
    run: Run,
    run_input: RunInput,
    *,
    parent: Run,
    child: Child,
    retry: RetryOf | None = None,
) -> dict[str, object]:
    """``WorkflowStarted`` of a run that its parent's call makes."""
    fields: dict[str, object] = {
        **events.workflow_started(run, run_input, None),
        "parent_workflow_instance_id": parent.workflow_id,
        "workflow_link_id": child.id,
        "child_call_id": child.id,
        **_policies(child, run),
        **_timeouts(run),
    }
    if retry is not None:
        fields["retry_attempt"] = child.attempt_count
        fields["retry_of_child_workflow_run_id"] = retry.run_id
    return fields


def child_completed(
    child: Child, run: Run, output: Payload | None
) -> dict[str, object]:
    """``result`` and ``output`` name the same value (decision 20c)."""
    blob = embed(output)
    return events.present(
        {
            **_of_outcome(child, run),
            "output": blob,
            "result": blob,
            "payload_codec": WIRE_CODEC,
            **(child.parallel or {}),
        }
    )


def child_failed(
    child: Child, run: Run, failure: Failure | None, *, told: JsonMap | None
) -> dict[str, object]:
    """``ChildRunFailed``; ``told``: what the child's worker said of the failure."""
    exception = failure and events.exception_of(failure, told)
    return events.present(
        {
            **_of_outcome(child, run),
            **_of_failure(failure),
            "exception_type": failure and failure.exception_type,
            "exception": exception,
            "code": exception and exception.get("code"),
            **(child.parallel or {}),
        }
    )


def child_stopped(child: Child, run: Run, failure: Failure | None) -> dict[str, object]:
    """``ChildRunCancelled`` and ``ChildRunTerminated``."""
    return events.present(
        {
            **_of_outcome(child, run),
            **_of_failure(failure),
            **(child.parallel or {}),
        }
    )


def policy_applied(
    child: Child, policy: ParentClosePolicy, reason: str
) -> dict[str, object]:
    """``ParentClosePolicyApplied``, and ``…Failed`` but for its ``error``."""
    return {
        "child_instance_id": child.child_workflow_id,
        "child_run_id": child.child_run_id,
        "policy": policy,
        "reason": reason,
    }


def _of_call(child: Child, run_id: str) -> dict[str, object]:
    """The type is the one that the parent asked for, whatever the child has become."""
    return {
        "sequence": child.step,
        "workflow_link_id": child.id,
        "child_call_id": child.id,
        "child_workflow_instance_id": child.child_workflow_id,
        "child_workflow_run_id": run_id,
        "child_workflow_class": child.workflow_type,
        "child_workflow_type": child.workflow_type,
    }


def _of_outcome(child: Child, run: Run) -> dict[str, object]:
    return {
        **_of_call(child, run.id),
        "child_run_number": run.run_number,
        "child_status": run.status,
        "closed_reason": run.closed_reason,
        "closed_at": micro_or_none(run.closed_at),
    }


def _of_failure(failure: Failure | None) -> dict[str, object]:
    if failure is None:
        return {}
    return {
        "failure_id": failure.id,
        "failure_category": failure.category,
        "exception_class": failure.exception_class,
        "message": failure.message,
    }


def _policies(child: Child, run: Run) -> dict[str, object]:
    policy = child.retry_policy
    timeouts = (run.execution_timeout_seconds, run.run_timeout_seconds)
    return {
        "retry_policy": _retry_policy(policy) if policy else None,
        "timeout_policy": None
        if timeouts == (None, None)
        else {
            "snapshot_version": 1,
            "execution_timeout_seconds": run.execution_timeout_seconds,
            "run_timeout_seconds": run.run_timeout_seconds,
        },
    }


def _retry_policy(policy: RetryPolicy) -> dict[str, object]:
    return {
        "snapshot_version": 1,
        "max_attempts": policy.max_attempts,
        "backoff_seconds": list(policy.backoff_seconds),
        "non_retryable_error_types": list(policy.non_retryable_error_types),
    }


def _timeouts(run: Run) -> dict[str, object]:
    return {
        "execution_timeout_seconds": run.execution_timeout_seconds,
        "run_timeout_seconds": run.run_timeout_seconds,
        "execution_deadline_at": iso_or_none(run.execution_deadline_at),
        "run_deadline_at": iso_or_none(run.run_deadline_at),
    }
