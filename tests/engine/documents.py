"""Snapshots that events carry, spelled out from the catalogue, for whole-document
assertions. Moments are seconds since the beginning of the play."""

from __future__ import annotations

from typing import Any

from dwserver.engine.model import Activity, Task
from tests.engine.builders import at

LEASE_SECONDS = {"workflow": 60, "activity": 300}


def task_document(
    task: Task,
    *,
    status: str = "leased",
    available: float = 0,
    leased: float = 0,
    attempt: int = 1,
    owner: str = "w1",
) -> dict[str, Any]:
    """A task that has been leased at ``leased``."""
    return {
        "id": task.id,
        "type": str(task.kind),
        "status": status,
        "available_at": at(available),
        "leased_at": at(leased),
        "lease_owner": owner,
        "lease_expires_at": at(leased + LEASE_SECONDS[task.kind]),
        "attempt_count": attempt,
        "repair_count": 0,
        "queue": "q",
    }


def activity_document(
    activity: Activity, activity_type: str, step: int, **fields: Any
) -> dict[str, Any]:
    """A pending activity that was scheduled at the beginning; ``fields`` differ."""
    return {
        "id": activity.id,
        "idempotency_key": activity.id,
        "sequence": step,
        "type": activity_type,
        "class": activity_type,
        "status": "pending",
        "payload_codec": "avro",
        "attempt_count": 0,
        "queue": "q",
        "created_at": at(0),
        **fields,
    }
