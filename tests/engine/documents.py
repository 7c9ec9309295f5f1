"""Snapshots that events carry, spelled out from the catalogue, for whole-document
assertions. Moments are seconds since the beginning of the play."""

from __future__ import annotations

from typing import Any

from dwserver.engine.model import Activity, Command, Task
from tests.engine.parts import (
    at,
)


def task_document(
    task: Task,
    *,
    status: str = "leased",
    attempt: int = 1,
    owner: str | None = "w1",
) -> dict[str, Any]:
    """A task that has been leased, unless ``attempt`` and ``owner`` say otherwise."""
    return {
        "id": task.id,
        "type": str(task.kind),
        "status": status,
        "lease_owner": owner,
        "attempt_count": attempt,
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


def command_document(command: Command) -> dict[str, Any]:
    """An accepted command that was given at once."""
    return {
        "id": command.id,
        "sequence": command.sequence,
        "type": str(command.command_type),
        "target_scope": "instance",
        "source": "control_plane",
        "status": "accepted",
        "outcome": command.outcome,
    }
