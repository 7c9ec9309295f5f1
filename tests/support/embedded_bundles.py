"""Bundles as an embedded application exports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dwserver.engine.wire_time import micro
from dwserver.protocol.history_bundles.integrity import SigningKey, integrity_of
from dwserver.protocol.history_bundles.payloads import (
    codec_schemas,
    payload_manifest,
)
from tests.support.builders import NOON, SECOND

ARGUMENTS = "AAAC"
RUN_ID = "01JEMBEDDEDRUN000000000001"
QUEUE = "orders"
TYPE = "orders.Ship"

_AT = micro(NOON)
_TASK: dict[str, Any] = {
    "id": "01JEMBEDDEDTASK00000000001",
    "type": "workflow",
    "status": "ready",
    "payload": [],
    "connection": None,
    "queue": QUEUE,
    "compatibility": None,
    "attempt_count": 0,
    "repair_count": 0,
    "available_at": _AT,
    "leased_at": None,
    "lease_owner": None,
    "lease_expires_at": None,
    "created_at": _AT,
}


def a_bundle(
    workflow_id: str = "order-1", *, run_id: str = RUN_ID, **sections: Any
) -> dict[str, Any]:
    """A run that no worker has seen yet, sealed. ``sections`` replace those of the
    document; of ``workflow`` they replace members."""
    workflow = {
        "instance_id": workflow_id,
        "run_id": run_id,
        "run_number": 1,
        "is_current_run": True,
        "current_run_id": run_id,
        "current_run_source": "run_order_fallback",
        "workflow_type": TYPE,
        "workflow_class": r"App\Workflows\Ship",
        "source_runtime": "embedded",
        "source_process_class": "application_process",
        "business_key": None,
        "visibility_labels": [],
        "memo": [],
        "search_attributes": [],
        "status": "pending",
        "status_bucket": "running",
        "closed_reason": None,
        "archived_at": None,
        "archive_command_id": None,
        "archive_reason": None,
        "compatibility": None,
        "connection": "redis",
        "queue": QUEUE,
        "last_history_sequence": 2,
        "started_at": _AT,
        "closed_at": None,
        "last_progress_at": _AT,
        **sections.pop("workflow", {}),
    }
    task = {**_TASK, "id": f"{run_id}-task"}
    document: dict[str, Any] = {
        "schema": "durable-workflow.v2.history-export",
        "schema_version": 1,
        "exported_at": micro(NOON + SECOND),
        "dedupe_key": f"{run_id}:2:{_AT}",
        "history_complete": False,
        "workflow": workflow,
        "payloads": {
            "codec": "avro",
            "arguments": {"available": True, "data": ARGUMENTS},
            "output": {"available": False, "data": None},
        },
        "summary": None,
        "history_events": _events(workflow),
        "waits": [],
        "timeline": [],
        "linked_intakes": [],
        "commands": [a_command(run_id)],
        "signals": [],
        "updates": [],
        "tasks": [task],
        "activities": [],
        "timers": [],
        "failures": [],
        "links": {"projection_source": "workflow_links", "parents": [], "children": []},
        "redaction": {"applied": False, "policy": None, "paths": []},
        "codec_schemas": codec_schemas(),
        **sections,
    }
    document["payload_manifest"] = payload_manifest(document)
    return sealed(document)


def a_command(run_id: str) -> dict[str, Any]:
    return {
        "id": f"{run_id}-start",
        "sequence": 1,
        "message_sequence": 1,
        "type": "start",
        "target_scope": "instance",
        "requested_run_id": None,
        "resolved_run_id": run_id,
        "target_name": None,
        "payload_codec": "avro",
        "payload": ARGUMENTS,
        "source": "php",
        "context": [],
        "status": "accepted",
        "outcome": "started_new",
        "accepted_at": _AT,
        "applied_at": _AT,
        "rejected_at": None,
    }


def an_event(
    run_id: str, sequence: int, event_type: str, payload: Any = (), **fields: Any
) -> dict[str, Any]:
    return {
        "id": f"{run_id}-event-{sequence}",
        "sequence": sequence,
        "type": event_type,
        "workflow_task_id": None,
        "workflow_command_id": None,
        "recorded_at": _AT,
        "payload": payload or [],
        **fields,
    }


def _events(workflow: Mapping[str, Any]) -> list[dict[str, Any]]:
    run_id = workflow["run_id"]
    by_start = {"workflow_command_id": f"{run_id}-start"}
    told = {
        "workflow_type": workflow["workflow_type"],
        "workflow_instance_id": workflow["instance_id"],
        "workflow_run_id": run_id,
    }
    return [
        an_event(run_id, 1, "StartAccepted", told, **by_start),
        an_event(run_id, 2, "WorkflowStarted", told, **by_start),
    ]


def sealed(bundle: Mapping[str, Any], key: SigningKey | None = None) -> dict[str, Any]:
    """With the checksum of what it says now."""
    rest = {name: value for name, value in bundle.items() if name != "integrity"}
    return {**rest, "integrity": integrity_of(rest, key)}


def changed(
    bundle: Mapping[str, Any], section: str, index: int, **members: Any
) -> dict[str, Any]:
    """Sealed anew, with other members in a row of a section."""
    rows = list(bundle[section])
    rows[index] = {**rows[index], **members}
    return sealed({**bundle, section: rows})
