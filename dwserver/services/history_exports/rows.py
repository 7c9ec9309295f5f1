"""Commands, messages, tasks, timers, failures and links of a bundle (§2.6–2.10)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dwserver.engine.model import (
    Child,
    Command,
    Failure,
    JsonMap,
    Payload,
    Run,
    Signal,
    Task,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.payloads import PLAIN_CODEC, WIRE_CODEC
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import EventType, TaskStatus, TimerStatus, WaitFor
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.payloads.framing import Framing, encode_for

TYPED: JsonObject = {
    "history_authority": "typed_history",
    "diagnostic_only": False,
    "history_unsupported_reason": None,
}
_PARALLEL = (
    "parallel_group_kind",
    "parallel_group_id",
    "parallel_group_base_sequence",
    "parallel_group_size",
    "parallel_group_index",
)


def map_or_list(value: JsonMap) -> JsonValue:
    """An empty map is an empty list in bundles (§3.4)."""
    return dict(value) or []


def data_of(payload: Payload | None, framing: Framing) -> JsonValue:
    """The blob text, or the envelope of what lies in external storage."""
    if payload is None:
        return None
    envelope = encode_for(payload, framing)
    return envelope.get("blob", envelope)


def codec_of(payload: Payload | None) -> str | None:
    if payload is None:
        return None
    return WIRE_CODEC if payload.codec == PLAIN_CODEC else payload.codec


def parallel_fields(parallel: JsonMap | None) -> JsonObject:
    group = parallel or {}
    fields: JsonObject = {name: group.get(name) for name in _PARALLEL}
    return {**fields, "parallel_group_path": group.get("parallel_group_path") or []}


def command_row(command: Command, framing: Framing) -> JsonObject:
    """Who gave it stands in fields of its own, nothing else of its context does."""
    context: Mapping[str, Any] = command.context
    caller, auth = context.get("caller", {}), context.get("auth", {})
    request, principal = context.get("request", {}), auth.get("principal") or {}
    is_rejected = command.rejection_reason is not None
    return {
        "id": command.id,
        "sequence": command.sequence,
        "message_sequence": None,
        "type": command.command_type,
        "target_scope": "instance",
        "requested_run_id": None,
        "resolved_run_id": command.run_id,
        "target_name": command.target_name,
        "payload_codec": codec_of(command.payload),
        "payload": data_of(command.payload, framing),
        "source": "control_plane",
        "context": [],
        "caller_label": caller.get("label"),
        "principal_type": f"auth:{auth['method']}" if principal else None,
        "principal_id": principal.get("subject"),
        "principal_label": None,
        "auth_status": auth.get("status"),
        "auth_method": auth.get("method"),
        "request_method": request.get("method"),
        "request_path": request.get("path"),
        "request_route_name": None,
        "request_fingerprint": request.get("fingerprint"),
        "request_id": request.get("request_id"),
        "correlation_id": request.get("correlation_id"),
        "status": command.status,
        "outcome": command.outcome or None,
        "reason": None,
        "rejection_reason": command.rejection_reason,
        "validation_errors": [],
        "accepted_at": None if is_rejected else micro(command.created_at),
        "applied_at": micro_or_none(command.applied_at),
        "rejected_at": micro(command.created_at) if is_rejected else None,
    }


def signal_row(signal: Signal, command: Command | None, framing: Framing) -> JsonObject:
    payload = command.payload if command else None
    closed = signal.applied_at
    return {
        "id": signal.id,
        "command_id": signal.command_id,
        "command_sequence": signal.sequence,
        "workflow_sequence": signal.step,
        "name": signal.name,
        "signal_wait_id": signal.wait_id,
        "target_scope": "instance",
        "requested_run_id": None,
        "resolved_run_id": signal.run_id,
        "status": signal.status,
        "outcome": command.outcome or None if command else None,
        "rejection_reason": command.rejection_reason if command else None,
        "validation_errors": [],
        "received_at": micro(signal.received_at),
        "applied_at": micro_or_none(closed),
        "rejected_at": None,
        "closed_at": micro_or_none(closed),
        "payload_codec": codec_of(payload),
        "arguments": data_of(payload, framing),
    }


def update_row(update: Update, command: Command | None, framing: Framing) -> JsonObject:
    payload = command.payload if command else None
    is_rejected = command is not None and command.rejection_reason is not None
    return {
        "id": update.id,
        "command_id": update.command_id,
        "command_sequence": update.sequence,
        "workflow_sequence": update.step,
        "name": update.name,
        "status": update.status,
        "outcome": command.outcome or None if command else None,
        "rejection_reason": command.rejection_reason if command else None,
        "validation_errors": [],
        "failure_id": update.failure_id,
        "accepted_at": None if is_rejected else micro(update.accepted_at),
        "applied_at": micro_or_none(update.applied_at),
        "rejected_at": micro(update.accepted_at) if is_rejected else None,
        "closed_at": micro_or_none(update.closed_at),
        "payload_codec": codec_of(payload),
        "arguments": data_of(payload, framing),
        "result": data_of(update.result, framing),
    }


def task_row(task: Task) -> JsonObject:
    """Nothing is pushed to workers here, so nothing is told of dispatches."""
    return {
        "id": task.id,
        "type": task.kind,
        "status": task.status,
        "payload": map_or_list(
            {"activity_execution_id": task.activity_id}
            if task.activity_id
            else task.resume
        ),
        "connection": None,
        "queue": task.queue,
        "compatibility": task.compatibility,
        "attempt_count": task.attempt,
        "repair_count": task.repair_count,
        "available_at": micro(task.available_at),
        "leased_at": micro_or_none(task.leased_at),
        "lease_owner": task.lease_owner,
        "lease_expires_at": micro_or_none(
            task.lease_expires_at if task.status is TaskStatus.LEASED else None
        ),
        "last_dispatch_attempt_at": None,
        "last_dispatched_at": None,
        "last_dispatch_error": None,
        "last_claim_failed_at": None,
        "last_claim_error": None,
        "repair_available_at": None,
        "created_at": micro(task.created_at),
    }


def timer_row(timer: Timer, wait: Wait | None) -> JsonObject:
    """``wait``: the one whose time-out it is."""
    ends = {status: None for status in ("fired", "cancelled")}
    if timer.closed_at is not None:
        ends[timer.status.value] = micro(timer.closed_at)  # type: ignore[assignment]
    is_signal = wait is not None and wait.wait_for is WaitFor.SIGNAL
    of_condition = wait if wait is not None and not is_signal else None
    of_signal = wait if is_signal else None
    types = ["TimerScheduled"]
    if timer.status is not TimerStatus.PENDING:
        types.append(
            "TimerFired" if timer.status is TimerStatus.FIRED else "TimerCancelled"
        )
    return {
        "id": timer.id,
        "sequence": timer.step,
        "status": timer.status,
        "source_status": timer.status,
        "delay_seconds": timer.delay_seconds,
        "fire_at": micro(timer.fire_at),
        "fired_at": ends["fired"],
        "cancelled_at": ends["cancelled"],
        "created_at": micro(timer.created_at),
        "timer_kind": timer.kind,
        "condition_wait_id": of_condition.id if of_condition else None,
        "condition_key": of_condition.condition_key if of_condition else None,
        "condition_definition_fingerprint": (
            of_condition.fingerprint if of_condition else None
        ),
        "signal_wait_id": of_signal.id if of_signal else None,
        "signal_name": of_signal.name if of_signal else None,
        **TYPED,
        "history_event_types": types,
        "row_status": timer.status,
    }


def failure_row(failure: Failure) -> JsonObject:
    return {
        "id": failure.id,
        "source_kind": failure.source_kind,
        "source_id": failure.source_id,
        "propagation_kind": failure.propagation_kind,
        "failure_category": failure.category,
        "non_retryable": failure.non_retryable,
        "handled": failure.propagation_kind != "terminal",
        "history_authority": "typed_history",
        "diagnostic_only": False,
        "exception_type": failure.exception_type,
        "exception_class": failure.exception_class,
        "exception_resolved_class": None,
        "exception_resolution_source": None,
        "exception_resolution_error": None,
        "exception_replay_blocked": False,
        "message": failure.message,
        "file": None,
        "line": None,
        "trace_preview": None,
        "created_at": micro(failure.created_at),
    }


def wait_of_task(task: Task | None) -> JsonObject:
    """What the workflow waits for while ``task`` is the next one."""
    if task is not None and task.activity_id is not None:
        return {
            "open_wait_id": f"activity:{task.activity_id}",
            "resume_source_kind": "activity_execution",
            "resume_source_id": task.activity_id,
        }
    resume = task.resume if task is not None else {}
    names = ("open_wait_id", "resume_source_kind", "resume_source_id")
    return {name: resume.get(name) for name in names}


def link_rows(
    run: Run,
    children: Iterable[Child],
    events: Iterable[JsonObject],
    *,
    parent_workflow_id: str | None,
) -> JsonObject:
    """What runs on is told by the last event."""
    parents = []
    if run.continued_from_run_id is not None:
        parents.append(
            _link(
                run,
                link_type="continue_as_new",
                link_id=f"continue:{run.id}",
                parent=(run.workflow_id, run.continued_from_run_id),
                child=(run.workflow_id, run.id),
            )
        )
    if run.parent_run_id is not None:
        parents.append(
            _link(
                run,
                link_type="child_workflow",
                link_id=f"parent:{run.id}",
                parent=(parent_workflow_id, run.parent_run_id),
                child=(run.workflow_id, run.id),
                sequence=run.parent_step,
            )
        )
    return {
        "projection_source": "workflow_run_lineage_entries_rebuilt",
        "parents": parents,
        "children": [
            *(_child_link(run, child) for child in children),
            *(
                _successor_link(run, event["payload"])
                for event in events
                if event["type"] == EventType.WORKFLOW_CONTINUED_AS_NEW
            ),
        ],
    }


def _link(
    run: Run,
    *,
    link_type: str,
    link_id: str,
    parent: tuple[str | None, str],
    child: tuple[str, str],
    sequence: int | None = None,
) -> JsonObject:
    return {
        "id": link_id,
        "type": link_type,
        "parent_workflow_instance_id": parent[0],
        "parent_workflow_run_id": parent[1],
        "child_workflow_instance_id": child[0],
        "child_workflow_run_id": child[1],
        "child_call_id": None,
        "sequence": sequence,
        "is_primary_parent": True,
        "run_number": run.run_number,
        "workflow_type": run.workflow_type,
        "class": run.workflow_type,
        "status": run.status,
        "status_bucket": run.status.bucket,
        "closed_reason": run.closed_reason,
        "created_at": micro(run.started_at),
        "history_authority": "typed_history",
        "diagnostic_only": False,
    }


def _successor_link(run: Run, told: Mapping[str, Any]) -> JsonObject:
    return {
        **_link(
            run,
            link_type="continue_as_new",
            link_id=told["workflow_link_id"],
            parent=(run.workflow_id, run.id),
            child=(run.workflow_id, told["continued_to_run_id"]),
            sequence=told["sequence"],
        ),
        "run_number": told["continued_to_run_number"],
    }


def _child_link(run: Run, child: Child) -> JsonObject:
    return {
        **_link(
            run,
            link_type="child_workflow",
            link_id=child.id,
            parent=(run.workflow_id, run.id),
            child=(child.child_workflow_id, child.child_run_id),
            sequence=child.step,
        ),
        "child_call_id": child.id,
        "run_number": child.child_run_number,
        "workflow_type": child.workflow_type,
        "class": child.workflow_type,
        "status": child.status,
        "status_bucket": None,
        "closed_reason": None,
        "created_at": micro(child.created_at),
    }
