"""What a handler hands back: the external task result envelopes.

Source: ``spec/topology-and-operations.md`` §1.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.invocable_carrier import TASK_RESULT_MEDIA_TYPE
from dwserver.protocol.manifests.task_contract import (
    UNKNOWN_FIELD_POLICY,
    fixture,
    versioning_rules,
)
from dwserver.protocol.schemas import (
    EXTERNAL_TASK_RESULT,
    EXTERNAL_TASK_RESULT_CONTRACT,
)


class FailureKind(StrEnum):
    APPLICATION = "application"
    TIMEOUT = "timeout"
    CANCELLATION = "cancellation"
    MALFORMED_OUTPUT = "malformed_output"
    HANDLER_CRASH = "handler_crash"
    DECODE_FAILURE = "decode_failure"
    UNSUPPORTED_PAYLOAD = "unsupported_payload"


class FailureClassification(StrEnum):
    """Order matters to readers that look values up by index."""

    APPLICATION_ERROR = "application_error"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    HANDLER_CRASH = "handler_crash"
    DECODE_FAILURE = "decode_failure"
    MALFORMED_OUTPUT = "malformed_output"
    UNSUPPORTED_PAYLOAD_CODEC = "unsupported_payload_codec"
    UNSUPPORTED_PAYLOAD_REFERENCE = "unsupported_payload_reference"


class FailureTimeout(StrEnum):
    SCHEDULE_TO_START = "schedule_to_start"
    START_TO_CLOSE = "start_to_close"
    SCHEDULE_TO_CLOSE = "schedule_to_close"
    HEARTBEAT = "heartbeat"
    DEADLINE_EXCEEDED = "deadline_exceeded"


def external_task_result_contract() -> JsonObject:
    return {
        **EXTERNAL_TASK_RESULT_CONTRACT.identity(),
        "unknown_field_policy": UNKNOWN_FIELD_POLICY,
        "versioning": versioning_rules(),
        "exit_codes": {
            "success": "0 counts only together with a valid success envelope.",
            "failure": "Anything else is a transport signal that the carrier turns "
            "into a failure envelope or malformed_output.",
            "reserved": {
                "64": "Input or output envelope is malformed.",
                "70": "The handler crashed before it wrote an envelope.",
                "75": "A passing fault of the carrier; its policy may retry.",
                "130": "Cancelled before an envelope was written.",
            },
        },
        "stderr_policy": "logs_only_no_machine_meaning",
        "payload_support": {
            "result_payload": "An envelope with its codec, or null for no result.",
            "failure_details": "An envelope with its codec, where there are details.",
            "unsupported_codec": "failure.kind unsupported_payload, "
            "failure.classification unsupported_payload_codec.",
            "unsupported_external_storage": "failure.kind unsupported_payload, "
            "failure.classification unsupported_payload_reference.",
        },
        "envelopes": {
            "success": _success_envelope(),
            "failure": _failure_envelope(),
            "malformed_output": _malformed_envelope(),
        },
        "fixtures": _fixtures(),
    }


_TASK_FIELD_TYPES: Final = (
    ("id", "string"),
    ("kind", "string"),
    ("attempt", "integer"),
    ("idempotency_key", "string"),
)


def _task_fields() -> JsonObject:
    fields: JsonObject = {
        name: {"source": f"external task input task.{name}", "type": kind}
        for name, kind in _TASK_FIELD_TYPES
    }
    fields["attempt"]["minimum"] = 1
    return fields


def _recorded_field() -> JsonObject:
    return {"source": "worker protocol response.recorded", "type": "boolean"}


def _success_envelope() -> JsonObject:
    return {
        "kind": "success",
        "required_fields": [
            "schema",
            "version",
            "outcome",
            "task",
            "result",
            "metadata",
        ],
        "outcome_fields": {
            "status": {"constant": "succeeded"},
            "recorded": _recorded_field(),
        },
        "task_fields": _task_fields(),
        "result_fields": {
            "payload": {"type": "object", "nullable": True, "codec_tagged": True},
            "metadata": {"type": "object", "nullable": True},
        },
    }


def _failure_envelope() -> JsonObject:
    return {
        "kind": "failure",
        "required_fields": [
            "schema",
            "version",
            "outcome",
            "task",
            "failure",
            "metadata",
        ],
        "outcome_fields": {
            "status": {"constant": "failed"},
            "retryable": {"type": "boolean"},
            "recorded": _recorded_field(),
        },
        "task_fields": _task_fields(),
        "failure_fields": {
            "kind": {"type": "string", "values": [str(kind) for kind in FailureKind]},
            "classification": {
                "type": "string",
                "values": [str(word) for word in FailureClassification],
            },
            "message": {"type": "string"},
            "type": {"type": "string", "nullable": True},
            "stack_trace": {"type": "string", "nullable": True},
            "timeout_type": {
                "type": "string",
                "nullable": True,
                "values": [str(word) for word in FailureTimeout],
            },
            "cancelled": {"type": "boolean"},
            "details": {"type": "object", "nullable": True, "codec_tagged": True},
        },
    }


def _malformed_envelope() -> JsonObject:
    return {
        "kind": "malformed_output",
        "required_fields": [
            "schema",
            "version",
            "outcome",
            "task",
            "failure",
            "raw_output",
            "metadata",
        ],
        "meaning": "The handler's output was neither a success nor a failure envelope.",
        "retryability": "Only where the mapping says that a repeat is safe.",
        "failure_defaults": {
            "kind": FailureKind.MALFORMED_OUTPUT.value,
            "classification": FailureClassification.MALFORMED_OUTPUT.value,
            "retryable": False,
            "cancelled": False,
        },
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _FailureExample:
    kind: FailureKind
    classification: FailureClassification
    message: str
    type: str
    is_retryable: bool = False
    is_recorded: bool = True
    timeout_type: FailureTimeout | None = None
    details: str | None = None
    duration_ms: int = 25


# Fixture name to what it shows. The blobs are base64 of a short JSON text.
_FAILURES: Final = {
    "failure": _FailureExample(
        kind=FailureKind.TIMEOUT,
        classification=FailureClassification.DEADLINE_EXCEEDED,
        message="The parcel service did not answer before the deadline.",
        type="ParcelServiceTimeout",
        is_retryable=True,
        timeout_type=FailureTimeout.DEADLINE_EXCEEDED,
        details="eyJ3YWl0ZWRfbXMiOjMwMDB9",
        duration_ms=3000,
    ),
    "malformed_output": _FailureExample(
        kind=FailureKind.MALFORMED_OUTPUT,
        classification=FailureClassification.MALFORMED_OUTPUT,
        message="The handler ended without a result envelope.",
        type="MalformedHandlerOutput",
        is_recorded=False,
    ),
    "cancellation": _FailureExample(
        kind=FailureKind.CANCELLATION,
        classification=FailureClassification.CANCELLED,
        message="The activity was cancelled while the handler ran.",
        type="ActivityCancelled",
    ),
    "handler_crash": _FailureExample(
        kind=FailureKind.HANDLER_CRASH,
        classification=FailureClassification.HANDLER_CRASH,
        message="The handler process died without a result envelope.",
        type="HandlerCrash",
        is_retryable=True,
    ),
    "decode_failure": _FailureExample(
        kind=FailureKind.DECODE_FAILURE,
        classification=FailureClassification.DECODE_FAILURE,
        message="The handler's output is not UTF-8 JSON.",
        type="OutputNotDecodable",
        details="eyJvZmZzZXQiOjE3fQ==",
    ),
    "unsupported_payload_codec": _FailureExample(
        kind=FailureKind.UNSUPPORTED_PAYLOAD,
        classification=FailureClassification.UNSUPPORTED_PAYLOAD_CODEC,
        message="The handler cannot read this payload codec.",
        type="PayloadCodecNotSupported",
        details="eyJjb2RlYyI6ImF2cm8ifQ==",
    ),
    "unsupported_payload_reference": _FailureExample(
        kind=FailureKind.UNSUPPORTED_PAYLOAD,
        classification=FailureClassification.UNSUPPORTED_PAYLOAD_REFERENCE,
        message="The handler cannot fetch payloads from this store.",
        type="PayloadReferenceNotSupported",
        details="eyJzdG9yZSI6InMzIn0=",
    ),
}


def _fixtures() -> JsonObject:
    examples = {"success": _success_example()} | {
        name: _failure_example(shown) for name, shown in _FAILURES.items()
    }
    return {
        name: fixture(
            EXTERNAL_TASK_RESULT,
            name.replace("_", "-"),
            media_type=TASK_RESULT_MEDIA_TYPE,
            example=example,
        )
        for name, example in examples.items()
    }


def _example_task() -> JsonObject:
    return {
        "id": "01jz0000000000000000000005",
        "kind": "activity_task",
        "attempt": 1,
        "idempotency_key": "01JZ0000000000000000000006",
    }


def _example_metadata(duration_ms: int) -> JsonObject:
    return {
        "handler": "orders.ship",
        "carrier": "shell-carrier",
        "duration_ms": duration_ms,
    }


def _success_example() -> JsonObject:
    return {
        "outcome": {"status": "succeeded", "recorded": True},
        "task": _example_task(),
        "result": {
            "payload": {"codec": "avro", "blob": "AAhudWxsAg=="},
            "metadata": {
                "content_type": "application/vnd.durable-workflow.result+json"
            },
        },
        "metadata": _example_metadata(120),
    }


def _failure_example(shown: _FailureExample) -> JsonObject:
    details = None
    if shown.details is not None:
        details = {"codec": "json/plain", "blob": shown.details}
    example: JsonObject = {
        "outcome": {
            "status": "failed",
            "retryable": shown.is_retryable,
            "recorded": shown.is_recorded,
        },
        "task": _example_task(),
        "failure": {
            "kind": shown.kind.value,
            "classification": shown.classification.value,
            "message": shown.message,
            "type": shown.type,
            "stack_trace": None,
            "timeout_type": shown.timeout_type and shown.timeout_type.value,
            "cancelled": shown.kind is FailureKind.CANCELLATION,
            "details": details,
        },
    }
    if shown.kind is FailureKind.MALFORMED_OUTPUT:
        example["raw_output"] = {
            "stdout_preview": '{"shipped":',
            "stderr_preview": "",
            "exit_code": 64,
        }
    example["metadata"] = _example_metadata(shown.duration_ms)
    return example
