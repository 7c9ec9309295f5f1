"""Delivery of activities to an HTTP endpoint.

Source: ``spec/topology-and-operations.md`` §1.9. Words are the contract, sentences
are ours.
"""

from __future__ import annotations

from typing import Final

from dwserver.protocol.capabilities import INVOCABLE_CARRIER_TYPE
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    EXTERNAL_EXECUTOR_CONFIG,
    EXTERNAL_TASK_INPUT_CONTRACT,
    EXTERNAL_TASK_RESULT_CONTRACT,
    INVOCABLE_CARRIER,
)

TASK_INPUT_MEDIA_TYPE: Final = (
    "application/vnd.durable-workflow.external-task-input+json"
)
TASK_RESULT_MEDIA_TYPE: Final = (
    "application/vnd.durable-workflow.external-task-result+json"
)

MAX_TIMEOUT_SECONDS: Final = 900
MAX_TRANSPORT_ATTEMPTS: Final = 5
MAX_BACKOFF_STEPS: Final = 5
MAX_BACKOFF_SECONDS: Final = 300


def invocable_carrier_contract() -> JsonObject:
    return {
        **INVOCABLE_CARRIER.identity(),
        "carrier_type": INVOCABLE_CARRIER_TYPE,
        "scope": {
            "task_kinds": ["activity_task"],
            "explicit_non_goals": [
                "workflow_task_execution",
                "workflow_replay",
                "history_mutation",
                "generic_webhook_ingress",
            ],
        },
        "config_binding": {
            "config_schema": EXTERNAL_EXECUTOR_CONFIG.name,
            "config_schema_version": EXTERNAL_EXECUTOR_CONFIG.version,
            "carrier_type_field": "carriers.<name>.type",
            "required_type_value": INVOCABLE_CARRIER_TYPE,
            "mapping_kind": "activity",
            "capability": "activity_task",
        },
        "target_fields": _target_fields(),
        "request": {
            "method": "POST",
            "content_type": TASK_INPUT_MEDIA_TYPE,
            "body_schema": EXTERNAL_TASK_INPUT_CONTRACT.name,
            "body_version": EXTERNAL_TASK_INPUT_CONTRACT.version,
            "idempotency_key_source": "task.idempotency_key",
        },
        "response": {
            "content_type": TASK_RESULT_MEDIA_TYPE,
            "body_schema": EXTERNAL_TASK_RESULT_CONTRACT.name,
            "body_version": EXTERNAL_TASK_RESULT_CONTRACT.version,
            "success_result_path": "result.payload",
            "failure_path": "failure",
        },
        "failure_mapping": {
            "transport_timeout": "failure.kind=timeout "
            "classification=deadline_exceeded",
            "non_2xx_without_valid_envelope": "malformed_output",
            "invalid_json": "malformed_output",
            "schema_mismatch": "malformed_output",
            "unsupported_payload_reference": "unsupported_payload",
        },
        "auth": {
            "source": "external_executor_config.auth_refs",
            "redaction": "tokens_secrets_signatures_never_echoed",
            "determinism": "redacted diagnostics tell the credential before dispatch",
            "required": "for every target that is not on the loopback interface",
        },
        "rollout_safety": {
            "coexistence": "poll_and_invocable_carriers_may_share_a_queue_only_when_"
            "mappings_are_activity_type_specific",
            "drain_signal": "take the mapping out before its credential",
            "retry_authority": "transport retries never replace the activity's own "
            "retry policy, which the server applies",
            "retry_policy_path": "carriers.<name>.retry_policy",
        },
    }


def _target_fields() -> JsonObject:
    return {
        "url": {
            "type": "string",
            "required": True,
            "allowed_schemes": ["https", "http_loopback"],
            "forbidden": ["userinfo"],
            "meaning": "Endpoint of the handler; plain HTTP only on loopback.",
        },
        "method": {
            "type": "string",
            "required": False,
            "default": "POST",
            "allowed": ["POST"],
        },
        "timeout_seconds": {
            "type": "integer",
            "required": False,
            "minimum": 1,
            "maximum": MAX_TIMEOUT_SECONDS,
            "meaning": "Time for one delivery; the task's deadlines hold as well.",
        },
        "retry_policy": {
            "type": "object",
            "required": False,
            "meaning": "How often the carrier repeats a failed delivery.",
            "fields": {
                "max_attempts": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_TRANSPORT_ATTEMPTS,
                    "default": 1,
                },
                "backoff_seconds": {
                    "type": "array<int>",
                    "minimum_item": 0,
                    "maximum_item": MAX_BACKOFF_SECONDS,
                    "maximum_items": MAX_BACKOFF_STEPS,
                },
                "retryable_status_codes": {
                    "type": "array<int>",
                    "allowed": [408, 425, 429, "5xx"],
                    "default": [408, 429, "5xx"],
                },
            },
            "authority_boundary": "Repeats a delivery before its outcome is reported; "
            "afterwards the server alone retries.",
        },
    }
