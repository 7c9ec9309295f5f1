"""Activities of a bundle with their attempts (§2.9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from dwserver.engine.model import Activity, ClosedAttempt, Task
from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.protocol.json_types import JsonObject
from dwserver.services.history_exports.rows import TYPED, parallel_fields


def activity_row(
    activity: Activity,
    *,
    events: Sequence[JsonObject],
    attempts: Sequence[ClosedAttempt],
    tasks: Mapping[str | None, Task],
) -> JsonObject:
    """``events`` are those of the activity, as they stand in the bundle; what it was
    given and what came of it is theirs to tell. ``tasks`` by activity id."""
    task = tasks.get(activity.id)
    shown = [_closed_attempt(attempt) for attempt in attempts]
    if task is not None and task.attempt_id is not None and task.is_open:
        shown.append(_running_attempt(activity, task))
    told = [event["payload"] for event in events]
    payloads: Mapping[str, Any] = {
        name: value
        for fields in (*(each.get("activity") or {} for each in told), *told)
        for name, value in fields.items()
        if name in ("arguments", "result")
    }
    policy = activity.retry_policy
    return {
        "id": activity.id,
        "idempotency_key": activity.id,
        "sequence": activity.step,
        "activity_type": activity.activity_type,
        "activity_class": activity.activity_type,
        "execution_mode": None,
        "local_activity": False,
        "payload_codec": activity.payload_codec,
        "status": activity.status,
        "source_status": activity.status,
        **TYPED,
        "history_event_types": [event["type"] for event in events],
        "row_status": activity.status,
        **parallel_fields(activity.parallel),
        "connection": None,
        "queue": activity.queue,
        "retry_policy": None if policy is None else _plain(asdict(policy)),
        "attempt_count": activity.attempt_count,
        "current_attempt_id": shown[-1]["id"] if shown else None,
        "arguments": payloads.get("arguments"),
        "result": payloads.get("result"),
        "created_at": micro(activity.created_at),
        "started_at": micro_or_none(activity.started_at),
        "last_heartbeat_at": micro_or_none(activity.last_heartbeat_at),
        "last_heartbeat_progress": None,
        "closed_at": micro_or_none(activity.closed_at),
        "attempts": shown,
    }


def _plain(fields: Mapping[str, Any]) -> JsonObject:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in fields.items()}


def _closed_attempt(attempt: ClosedAttempt) -> JsonObject:
    return {
        "id": attempt.id,
        "activity_execution_id": attempt.activity_id,
        "workflow_task_id": attempt.task_id,
        "attempt_number": attempt.number,
        "status": attempt.status,
        "lease_owner": attempt.lease_owner,
        "started_at": micro(attempt.started_at),
        "last_heartbeat_at": None,
        "last_heartbeat_progress": None,
        "lease_expires_at": None,
        "closed_at": micro(attempt.closed_at),
    }


def _running_attempt(activity: Activity, task: Task) -> JsonObject:
    return {
        "id": task.attempt_id,
        "activity_execution_id": activity.id,
        "workflow_task_id": task.id,
        "attempt_number": task.attempt,
        "status": "running",
        "lease_owner": task.lease_owner,
        "started_at": micro_or_none(task.leased_at),
        "last_heartbeat_at": micro_or_none(activity.last_heartbeat_at),
        "last_heartbeat_progress": None,
        "lease_expires_at": micro_or_none(task.lease_expires_at),
        "closed_at": None,
    }
