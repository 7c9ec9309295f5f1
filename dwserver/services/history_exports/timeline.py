"""What operators see of a history: a line for each event, and the waits (§2.11,
§2.12). Both are derived anew for each bundle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from dwserver.engine.model import (
    Activity,
    Child,
    RunState,
    Task,
    Timer,
    Update,
    Wait,
)
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.engine.words import ActivityStatus, TimerKind, WaitFor
from dwserver.protocol.json_types import JsonObject
from dwserver.services.history_exports.rows import TYPED, parallel_fields

# Members of a line that events of some type have under the same name.
_COPIED: Final = (
    "signal_id",
    "signal_wait_id",
    "condition_wait_id",
    "condition_key",
    "condition_definition_fingerprint",
    "signal_name",
    "update_name",
    "activity_execution_id",
    "activity_type",
    "activity_class",
    "retry_task_id",
    "retry_available_at",
    "retry_backoff_seconds",
    "retry_policy",
    "retry_after_attempt_id",
    "retry_after_attempt",
    "timer_id",
    "delay_seconds",
    "child_call_id",
    "child_workflow_run_id",
    "failure_id",
    "exception_type",
    "exception_class",
    "message",
    "closed_reason",
    "version",
)
# Members of the line that events have under another name.
_RENAMED: Final = {
    "workflow_sequence": "sequence",
    "version_change_id": "change_id",
    "version_min_supported": "min_supported",
    "version_max_supported": "max_supported",
    "retry_max_attempts": "max_attempts",
    "child_workflow_instance_id": "child_workflow_instance_id",
    "child_workflow_type": "child_workflow_type",
    "child_workflow_class": "child_workflow_class",
    "child_status": "child_status",
}
_EMPTY: Final = (
    "requested_run_id",
    "exception_resolved_class",
    "exception_resolution_source",
    "exception_resolution_error",
    "timer",
    "child",
    "failure",
)
# By how the name of its type begins: kind, source kind, the member with its id.
_KINDS: Final = (
    ("Activity", "activity", "activity_execution", "activity_execution_id"),
    ("Timer", "timer", "timer", "timer_id"),
    ("Child", "child", "child_workflow_run", "child_workflow_run_id"),
    ("SignalWait", "signal", "signal_wait", "signal_wait_id"),
    ("Signal", "signal", "workflow_signal", "signal_id"),
    ("Update", "update", "workflow_update", "update_id"),
    ("Condition", "condition", "condition_wait", "condition_wait_id"),
    ("SideEffect", "side_effect", "workflow_run", ""),
    ("VersionMarker", "version_marker", "workflow_run", ""),
    ("SearchAttributes", "search_attributes", "workflow_run", ""),
)
# Events of commands that operators gave.
_COMMANDS: Final = frozenset(
    {
        "StartAccepted",
        "StartRejected",
        "CancelRequested",
        "TerminateRequested",
        "RepairRequested",
        "ArchiveRequested",
    }
)
_WORD: Final = re.compile(r"(?<!^)(?=[A-Z])")


def timeline_entry(event: JsonObject, run_id: str) -> JsonObject:
    """The line of an event of the bundle."""
    payload: Mapping[str, Any] = event["payload"] or {}
    kind, source_kind, id_field = _kind_of(event["type"])
    command: Mapping[str, Any] = payload.get("command") or {}
    activity: Mapping[str, Any] = payload.get("activity") or {}
    return {
        "id": event["id"],
        "sequence": event["sequence"],
        "type": event["type"],
        "kind": kind,
        "entry_kind": "point",
        "source_kind": source_kind,
        "source_id": payload.get(id_field) if id_field else run_id,
        "summary": " ".join(_WORD.split(event["type"])).capitalize() + ".",
        "recorded_at": event["recorded_at"],
        "command_id": event["workflow_command_id"],
        "command_sequence": command.get("sequence"),
        "task_id": event["workflow_task_id"],
        "command_type": command.get("type"),
        "command_status": command.get("status"),
        "command_outcome": command.get("outcome"),
        "command_rejection_reason": payload.get("rejection_reason"),
        "resolved_run_id": run_id if command else None,
        "activity_status": activity.get("status"),
        **dict.fromkeys(_EMPTY),
        **{name: payload.get(name) for name in _COPIED},
        **{name: payload.get(other) for name, other in _RENAMED.items()},
        **parallel_fields(payload),
        "command": payload.get("command"),
        "task": payload.get("task"),
        "activity": payload.get("activity"),
    }


def _kind_of(event_type: str) -> tuple[str, str, str]:
    if event_type in _COMMANDS:
        return "command", "workflow_command", "workflow_command_id"
    for beginning, kind, source_kind, id_field in _KINDS:
        if event_type.startswith(beginning):
            return kind, source_kind, id_field
    return "workflow", "workflow_run", ""


def wait_rows(rows: RunState, tasks: Mapping[str | None, Task]) -> list[JsonObject]:
    """In the order of steps; updates, which have none, in that of their commands.
    ``tasks`` by activity id."""
    steps: Iterable[Activity | Timer | Child | Wait] = sorted(
        (
            *rows.activities.values(),
            *(t for t in rows.timers.values() if t.kind is TimerKind.PLAIN),
            *rows.children.values(),
            *rows.waits.values(),
        ),
        key=lambda step: step.step,
    )
    return [
        *({**_wait_of_step(step, rows), **_task_of(step, tasks)} for step in steps),
        *map(_wait_of_update, rows.updates.values()),
    ]


def _task_of(
    step: Activity | Timer | Child | Wait, tasks: Mapping[str | None, Task]
) -> JsonObject:
    """The task that an activity is waited for with."""
    task = tasks.get(step.id) if isinstance(step, Activity) else None
    if task is None:
        return {}
    return {
        "task_backed": step.is_open,
        "task_id": task.id,
        "task_type": task.kind,
        "task_status": task.status,
    }


def _wait_of_step(step: Activity | Timer | Child | Wait, rows: RunState) -> JsonObject:
    if isinstance(step, Activity):
        opened, named = step.created_at, step.activity_type
        fields = _wait("activity", step.id, "activity_execution", named)
        is_cancelled = step.status is ActivityStatus.CANCELLED
    elif isinstance(step, Timer):
        opened, is_cancelled = step.created_at, step.status.value == "cancelled"
        fields = _wait("timer", step.id, "timer", None)
        fields["deadline_at"] = micro(step.fire_at)
        fields["timer_id"] = step.id
    elif isinstance(step, Child):
        opened, is_cancelled = step.created_at, step.status.value == "cancelled"
        fields = _wait("child", step.id, "child_workflow_run", step.workflow_type)
        fields["child_call_id"] = step.id
        fields["child_workflow_run_id"] = step.child_run_id
    else:
        opened, is_cancelled = step.opened_at, step.status.value == "closed"
        fields = _wait_for(step, rows.timers.get(step.step))
    ended = "cancelled" if is_cancelled else "resolved"
    return {
        **fields,
        "sequence": step.step,
        "status": "open" if step.is_open else ended,
        "source_status": step.status,
        "opened_at": micro(opened),
        "resolved_at": micro_or_none(step.closed_at),
        "row_status": step.status,
        **parallel_fields(step.parallel),
    }


def _wait(
    kind: str, source_id: str, source_kind: str, target_type: str | None
) -> JsonObject:
    """The members of every wait."""
    return {
        "id": f"{kind}:{source_id}",
        "kind": kind,
        "sequence": None,
        "status": None,
        "source_status": None,
        "summary": f"Waits for {kind}{f' {target_type}' if target_type else ''}.",
        "opened_at": None,
        "deadline_at": None,
        "resolved_at": None,
        "target_name": None,
        "target_type": target_type,
        "task_backed": kind in ("activity", "timer"),
        "external_only": kind in ("signal", "child"),
        "resume_source_kind": source_kind,
        "resume_source_id": source_id,
        **dict.fromkeys(("task_id", "task_type", "task_status")),
        **dict.fromkeys(
            ("command_id", "command_sequence", "command_status", "command_outcome")
        ),
        **TYPED,
        "row_status": None,
        **parallel_fields(None),
        "timeout_fired_at": None,
    }


def _wait_for(wait: Wait, timer: Timer | None) -> JsonObject:
    fields = _wait(wait.wait_for.value, wait.id, f"{wait.wait_for}_wait", None)
    fields["id"] = wait.id
    fields["timeout_seconds"] = wait.timeout_seconds
    if wait.wait_for is WaitFor.SIGNAL:
        fields |= {"target_name": wait.name, "signal_wait_id": wait.id}
    else:
        fields |= {
            "condition_wait_id": wait.id,
            "condition_key": wait.condition_key,
            "condition_definition_fingerprint": wait.fingerprint,
        }
    if timer is not None:
        fields |= {"timer_id": timer.id, "deadline_at": micro(timer.fire_at)}
        if timer.status.value == "fired":
            fields["timeout_fired_at"] = micro_or_none(timer.closed_at)
    return fields


def _wait_of_update(update: Update) -> JsonObject:
    return {
        **_wait("update", update.id, "workflow_update", None),
        "target_name": update.name,
        "sequence": update.step,
        "status": "open" if update.is_open else "resolved",
        "source_status": update.status,
        "opened_at": micro(update.accepted_at),
        "resolved_at": micro_or_none(update.closed_at),
        "command_id": update.command_id,
        "command_sequence": update.sequence,
        "row_status": update.status,
    }
