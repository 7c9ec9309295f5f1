"""What a carrier hands to a handler: the external task input envelopes.

Source: ``spec/topology-and-operations.md`` §1.9. Every ``source`` names a field of
the polled task, so the envelope adds nothing to the worker protocol.
"""

from __future__ import annotations

from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.invocable_carrier import TASK_INPUT_MEDIA_TYPE
from dwserver.protocol.manifests.task_contract import (
    UNKNOWN_FIELD_POLICY,
    fixture,
    versioning_rules,
)
from dwserver.protocol.schemas import (
    EXTERNAL_TASK_INPUT,
    EXTERNAL_TASK_INPUT_CONTRACT,
)

# Context of a resumed workflow task; null where it does not apply.
RESUME_FIELDS: Final = (
    "workflow_wait_kind",
    "open_wait_id",
    "resume_source_kind",
    "resume_source_id",
    "workflow_update_id",
    "workflow_signal_id",
    "signal_name",
    "signal_wait_id",
    "workflow_command_id",
    "activity_execution_id",
    "activity_attempt_id",
    "activity_type",
    "child_call_id",
    "child_workflow_run_id",
    "workflow_sequence",
    "workflow_event_type",
    "timer_id",
    "condition_wait_id",
    "condition_key",
    "condition_definition_fingerprint",
)
DEADLINE_FIELDS: Final = (
    "schedule_to_start",
    "start_to_close",
    "schedule_to_close",
    "heartbeat",
)


def external_task_input_contract() -> JsonObject:
    return {
        **EXTERNAL_TASK_INPUT_CONTRACT.identity(),
        "unknown_field_policy": UNKNOWN_FIELD_POLICY,
        "versioning": versioning_rules(),
        "payload_support": {
            "inline": "Payloads come as envelopes of codec and blob.",
            "external_storage": "Fail the task with unsupported_payload_reference "
            "rather than guess at an unknown store.",
            "unsupported_codec": "Fail the task with unsupported_payload_codec "
            "when the codec is not readable.",
        },
        "scope": {
            "activity_grade_external_execution": {
                "task_kinds": ["activity_task"],
                "fixture_keys": ["activity_task"],
                "carrier_expectation": "Run the handler once per input and answer "
                "with a result envelope.",
            },
            "worker_protocol_runtime": {
                "task_kinds": ["workflow_task"],
                "fixture_keys": ["workflow_task"],
                "carrier_expectation": "For workflow runtimes only; never handed to "
                "an activity handler.",
            },
        },
        "envelopes": {
            "workflow_task": _workflow_envelope(),
            "activity_task": _activity_envelope(),
        },
        "fixtures": {
            "workflow_task": fixture(
                EXTERNAL_TASK_INPUT,
                "workflow-task",
                media_type=TASK_INPUT_MEDIA_TYPE,
                example=_workflow_example(),
            ),
            "activity_task": fixture(
                EXTERNAL_TASK_INPUT,
                "activity-task",
                media_type=TASK_INPUT_MEDIA_TYPE,
                example=_activity_example(),
            ),
        },
    }


def _text(source: str) -> JsonObject:
    return {"source": source, "type": "string"}


def _text_or_null(source: str) -> JsonObject:
    return {"source": source, "type": "string", "nullable": True}


def _counter(source: str) -> JsonObject:
    return {"source": source, "type": "integer", "minimum": 1}


def _lease_fields() -> JsonObject:
    return {
        "owner": _text("task.lease_owner"),
        "expires_at": {
            "source": "task.lease_expires_at",
            "type": "string",
            "format": "date-time",
        },
        "heartbeat_endpoint": _text("worker protocol route"),
    }


def _payload_fields() -> JsonObject:
    return {"arguments": {"source": "task.arguments", "nullable": True}}


def _workflow_envelope() -> JsonObject:
    return {
        "kind": "workflow_task",
        "scope": "worker_protocol_runtime",
        "external_execution_role": "not_activity_grade_handler_input",
        "required_fields": [
            "schema",
            "version",
            "task",
            "workflow",
            "lease",
            "payloads",
            "history",
            "headers",
        ],
        "task_fields": {
            "id": _text("task.task_id"),
            "kind": {"constant": "workflow_task"},
            "attempt": _counter("task.workflow_task_attempt"),
            "task_queue": _text("task.task_queue"),
            "handler": _text_or_null("task.workflow_type"),
            "connection": _text_or_null("task.connection"),
            "compatibility": _text_or_null("task.compatibility"),
            "idempotency_key": _text("task.task_id + task.workflow_task_attempt"),
        },
        "workflow_fields": {
            "id": _text("task.workflow_id"),
            "run_id": _text("task.run_id"),
            "status": _text_or_null("task.run_status"),
            "resume": {
                "source": "resume context of the polled task",
                "type": "object",
                "nullable_fields": list(RESUME_FIELDS),
            },
        },
        "lease_fields": _lease_fields(),
        "payload_fields": _payload_fields(),
        "history_fields": {
            "events": {"source": "task.history_events", "type": "array"},
            "last_sequence": {
                "source": "task.last_history_sequence",
                "type": "integer",
            },
            "next_page_token": _text_or_null("task.next_history_page_token"),
            "encoding": _text_or_null("task.history_events_encoding"),
        },
        "intentionally_omitted": [
            "which server process answered",
            "row keys that are not task or run ids",
            "transport headers that do not concern the task",
        ],
        "boundary": {
            "workflow_replay": "owned_by_sdk_or_runtime_worker",
            "history_interpretation": "owned_by_sdk_or_runtime_worker",
            "external_carrier_use": (
                "validate_shape_only_unless_the_carrier_is_a_workflow_runtime"
            ),
        },
    }


def _activity_envelope() -> JsonObject:
    return {
        "kind": "activity_task",
        "scope": "activity_grade_external_execution",
        "external_execution_role": "activity_grade_handler_input",
        "required_fields": [
            "schema",
            "version",
            "task",
            "workflow",
            "lease",
            "payloads",
            "deadlines",
            "headers",
        ],
        "task_fields": {
            "id": _text("task.task_id"),
            "kind": {"constant": "activity_task"},
            "attempt": _counter("task.attempt_number"),
            "activity_attempt_id": _text("task.activity_attempt_id"),
            "task_queue": _text("task.task_queue"),
            "handler": _text("task.activity_type"),
            "connection": _text_or_null("task.connection"),
            "external_executor": {
                "source": "task.external_executor",
                "type": "object",
                "nullable": True,
                "meaning": "The mapping of the executor configuration that fits "
                "this activity, if one does.",
            },
            "idempotency_key": _text("task.activity_attempt_id"),
        },
        "workflow_fields": {
            "id": _text("task.workflow_id"),
            "run_id": _text("task.run_id"),
        },
        "lease_fields": _lease_fields(),
        "payload_fields": _payload_fields(),
        "deadline_fields": {
            name: {"source": f"task.deadlines.{name}", "nullable": True}
            for name in DEADLINE_FIELDS
        },
        "intentionally_omitted": [
            "history of the workflow",
            "which server process answered",
            "transport headers that do not concern the task",
        ],
        "boundary": {
            "workflow_replay": "not_exposed_to_handler",
            "history_interpretation": "not_exposed_to_handler",
            "external_carrier_use": (
                "execute_bounded_activity_handler_and_return_external_task_result"
            ),
        },
    }


_NO_ARGUMENTS: Final = "AARbXQI="
_TRACE: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def _workflow_example() -> JsonObject:
    task_id = "01jz0000000000000000000001"
    resume: JsonObject = dict.fromkeys(RESUME_FIELDS)
    resume |= {
        "workflow_wait_kind": "timer",
        "open_wait_id": "timer:01jz0000000000000000000002",
        "resume_source_kind": "timer",
        "resume_source_id": "01jz0000000000000000000002",
        "workflow_sequence": 1,
        "workflow_event_type": "TimerFired",
        "timer_id": "01jz0000000000000000000002",
    }
    return {
        "task": {
            "id": task_id,
            "kind": "workflow_task",
            "attempt": 1,
            "task_queue": "orders",
            "handler": "orders.process",
            "connection": None,
            "compatibility": None,
            "idempotency_key": f"{task_id}:1",
        },
        "workflow": {
            "id": "order-42",
            "run_id": "01jz0000000000000000000003",
            "status": "waiting",
            "resume": resume,
        },
        "lease": {
            "owner": "worker-1",
            "expires_at": "2026-01-01T00:01:00.000000Z",
            "heartbeat_endpoint": f"/api/worker/workflow-tasks/{task_id}/heartbeat",
        },
        "payloads": {"arguments": {"codec": "avro", "blob": _NO_ARGUMENTS}},
        "history": {
            "events": [
                {
                    "event_id": "01jz0000000000000000000004",
                    "event_type": "StartAccepted",
                    "sequence": 1,
                }
            ],
            "last_sequence": 4,
            "next_page_token": "MQ==",
            "encoding": None,
        },
        "headers": {"traceparent": _TRACE},
    }


def _activity_example() -> JsonObject:
    task_id = "01jz0000000000000000000005"
    attempt_id = "01JZ0000000000000000000006"
    return {
        "task": {
            "id": task_id,
            "kind": "activity_task",
            "attempt": 1,
            "activity_attempt_id": attempt_id,
            "task_queue": "orders",
            "handler": "orders.ship",
            "connection": None,
            "idempotency_key": attempt_id,
        },
        "workflow": {"id": "order-42", "run_id": "01jz0000000000000000000003"},
        "lease": {
            "owner": "worker-1",
            "expires_at": "2026-01-01T00:05:00.000000Z",
            "heartbeat_endpoint": f"/api/worker/activity-tasks/{task_id}/heartbeat",
        },
        "payloads": {"arguments": {"codec": "avro", "blob": _NO_ARGUMENTS}},
        "deadlines": {
            "schedule_to_start": "2026-01-01T00:01:00.000000Z",
            "start_to_close": "2026-01-01T00:02:00.000000Z",
            "schedule_to_close": "2026-01-01T00:10:00.000000Z",
            "heartbeat": "2026-01-01T00:00:30.000000Z",
        },
        "headers": {"traceparent": _TRACE},
    }
