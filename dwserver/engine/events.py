"""Payload shapes of history events (``spec/engine.md §13``), one function each.

Keys follow the catalogue; blobs are embedded by :func:`payloads.embed`. Snapshots of
the task and the command that caused an event are reduced to their identifying keys
(§3 rule 5).
"""

from __future__ import annotations

from collections.abc import Mapping

from dwserver.engine.model import (
    Activity,
    Command,
    Failure,
    JsonMap,
    Payload,
    RetryPolicy,
    Run,
    RunInput,
    Task,
    Timer,
    Wait,
)
from dwserver.engine.payloads import WIRE_CODEC, embed
from dwserver.engine.wire_time import iso_or_none, micro, micro_or_none
from dwserver.engine.words import TimerKind, WaitFor


def present(fields: Mapping[str, object]) -> dict[str, object]:
    """Without the null-valued keys (events marked † in the catalogue)."""
    return {key: value for key, value in fields.items() if value is not None}


def task_snapshot(task: Task) -> dict[str, object]:
    return {
        "id": task.id,
        "type": task.kind,
        "status": task.status,
        "lease_owner": task.lease_owner,
        "attempt_count": task.attempt,
        "queue": task.queue,
    }


def command_snapshot(command: Command) -> dict[str, object]:
    """Without the payload: what an event needs of it, the event has itself."""
    fields: dict[str, object] = {
        "id": command.id,
        "sequence": command.sequence,
        "type": command.command_type,
        "target_scope": "instance",
        "source": "control_plane",
        "status": command.status,
    }
    if command.outcome:
        fields["outcome"] = command.outcome
    if command.target_name is not None:
        fields["target_name"] = command.target_name
    return fields


def start_decided(run: Run, run_input: RunInput, command: Command) -> dict[str, object]:
    """``StartAccepted`` and ``StartRejected``."""
    fields: dict[str, object] = {
        "workflow_command_id": command.id,
        "workflow_instance_id": run.workflow_id,
        "workflow_run_id": run.id,
        "workflow_class": run.workflow_type,
        "workflow_type": run.workflow_type,
        "business_key": run_input.business_key,
        "visibility_labels": None,
        "memo": run_input.memo,
        "search_attributes": run_input.search_attributes or None,
        "outcome": command.outcome,
    }
    if command.rejection_reason is not None:
        fields["rejection_reason"] = command.rejection_reason
    fields["command"] = command_snapshot(command)
    return fields


def workflow_started(
    run: Run, run_input: RunInput, command: Command | None
) -> dict[str, object]:
    return present(
        {
            "workflow_class": run.workflow_type,
            "workflow_type": run.workflow_type,
            "workflow_instance_id": run.workflow_id,
            "workflow_run_id": run.id,
            "workflow_command_id": command.id if command else None,
            "business_key": run_input.business_key,
            "memo": run_input.memo,
            "search_attributes": run_input.search_attributes or None,
            "execution_timeout_seconds": run.execution_timeout_seconds,
            "run_timeout_seconds": run.run_timeout_seconds,
            "execution_deadline_at": iso_or_none(run.execution_deadline_at),
            "run_deadline_at": iso_or_none(run.run_deadline_at),
            "continued_from_run_id": run.continued_from_run_id,
            "parent_workflow_run_id": run.parent_run_id,
            "parent_sequence": run.parent_step,
            "command": command_snapshot(command) if command else None,
        }
    )


def exception_of(failure: Failure, told: JsonMap | None) -> dict[str, object]:
    """The ``exception`` of a failed run; what its worker told wins."""
    return present(
        {
            "class": failure.exception_class,
            "type": failure.exception_type,
            "message": failure.message,
            **(told or {}),
        }
    )


def retry_policy_snapshot(policy: RetryPolicy) -> dict[str, object]:
    return {
        "snapshot_version": 1,
        "max_attempts": policy.max_attempts,
        "backoff_seconds": list(policy.backoff_seconds),
        "start_to_close_timeout": policy.start_to_close_timeout,
        "schedule_to_start_timeout": policy.schedule_to_start_timeout,
        "schedule_to_close_timeout": policy.schedule_to_close_timeout,
        "heartbeat_timeout": policy.heartbeat_timeout,
        "non_retryable_error_types": list(policy.non_retryable_error_types),
    }


def activity_snapshot(
    activity: Activity,
    *,
    attempt_id: str | None = None,
    arguments: Payload | None = None,
    result: Payload | None = None,
) -> dict[str, object]:
    policy = activity.retry_policy
    return present(
        {
            "id": activity.id,
            "idempotency_key": activity.id,
            "sequence": activity.step,
            "type": activity.activity_type,
            "class": activity.activity_type,
            "attempt_id": attempt_id,
            "status": activity.status,
            "payload_codec": activity.payload_codec,
            "attempt_count": activity.attempt_count,
            "retry_policy": retry_policy_snapshot(policy) if policy else None,
            "queue": activity.queue,
            "last_heartbeat_at": micro_or_none(activity.last_heartbeat_at),
            "created_at": micro(activity.created_at),
            "started_at": micro_or_none(activity.started_at),
            "closed_at": micro_or_none(activity.closed_at),
            "arguments": embed(arguments),
            "result": embed(result),
            **(activity.parallel or {}),
        }
    )


def activity_scheduled(
    activity: Activity, arguments: Payload | None, task: Task | None
) -> dict[str, object]:
    fields: dict[str, object] = {
        "activity_execution_id": activity.id,
        "activity_class": activity.activity_type,
        "activity_type": activity.activity_type,
        "sequence": activity.step,
        "activity": activity_snapshot(activity, arguments=arguments),
        **(activity.parallel or {}),
    }
    if task is not None:
        fields["task"] = task_snapshot(task)
    return fields


def of_attempt(activity: Activity, task: Task | None) -> dict[str, object]:
    """The newest attempt; ``task``: the one that it was, or would have been, given
    out with."""
    return {
        "activity_execution_id": activity.id,
        "activity_attempt_id": task.attempt_id if task else None,
        "activity_class": activity.activity_type,
        "activity_type": activity.activity_type,
        "sequence": activity.step,
        "attempt_number": activity.attempt_count,
        **(activity.parallel or {}),
    }


def activity_started(activity: Activity, task: Task) -> dict[str, object]:
    return {
        **of_attempt(activity, task),
        "activity": activity_snapshot(activity, attempt_id=task.attempt_id),
        "task": task_snapshot(task),
    }


def activity_completed(
    activity: Activity, task: Task, result: Payload | None
) -> dict[str, object]:
    """``result`` and ``output`` name the same value (decision 20c)."""
    blob = embed(result)
    return {
        **of_attempt(activity, task),
        "result": blob,
        "output": blob,
        "payload_codec": WIRE_CODEC,
        "activity": activity_snapshot(activity, attempt_id=task.attempt_id),
        "task": task_snapshot(task),
    }


def activity_failed(
    activity: Activity, task: Task, failure: JsonMap
) -> dict[str, object]:
    """``failure``: id, category and the exception keys, already in wire names."""
    return {
        **of_attempt(activity, task),
        **failure,
        "activity": activity_snapshot(activity, attempt_id=task.attempt_id),
        "task": task_snapshot(task),
    }


def activity_retry_scheduled(
    activity: Activity, task: Task, retry_task: Task, *, failure: JsonMap
) -> dict[str, object]:
    policy = activity.retry_policy or RetryPolicy()
    delay = retry_task.available_at - retry_task.created_at
    fields = {
        **of_attempt(activity, task),
        "retry_task_id": retry_task.id,
        "retry_of_task_id": task.id,
        "retry_available_at": micro(retry_task.available_at),
        "retry_backoff_seconds": delay // 1_000_000,
        "retry_after_attempt_id": task.attempt_id,
        "retry_after_attempt": activity.attempt_count,
        "max_attempts": policy.max_attempts,
        "retry_policy": retry_policy_snapshot(policy),
        **failure,
        "activity": activity_snapshot(activity, attempt_id=task.attempt_id),
        "task": task_snapshot(task),
    }
    del fields["attempt_number"]
    return present(fields)


def timer_fields(timer: Timer, wait: Wait | None = None) -> dict[str, object]:
    """``TimerScheduled``; ``wait``: the one that the timer is the time-out of."""
    fields: dict[str, object] = {
        "timer_id": timer.id,
        "sequence": timer.step,
        "delay_seconds": timer.delay_seconds,
        "fire_at": micro(timer.fire_at),
        "timer_kind": None if timer.kind is TimerKind.PLAIN else timer.kind,
        **(timer.parallel or {}),
    }
    if wait is not None:
        fields |= _of_timed_wait(wait)
    return present(fields)


def _of_timed_wait(wait: Wait) -> dict[str, object]:
    if wait.wait_for is WaitFor.SIGNAL:
        return {"signal_wait_id": wait.id, "signal_name": wait.name}
    return {
        "condition_wait_id": wait.id,
        "condition_key": wait.condition_key,
        "condition_definition_fingerprint": wait.fingerprint,
    }


def timer_scheduled(
    timer: Timer, task: Task, wait: Wait | None = None
) -> dict[str, object]:
    return {**timer_fields(timer, wait), "task": task_snapshot(task)}


def timer_fired(
    timer: Timer, wait: Wait | None = None, *, fired_at: int
) -> dict[str, object]:
    return {**timer_fields(timer, wait), "fired_at": micro(fired_at)}


def timer_cancelled(
    timer: Timer, wait: Wait | None = None, *, cancelled_at: int
) -> dict[str, object]:
    return {**timer_fields(timer, wait), "cancelled_at": micro(cancelled_at)}
