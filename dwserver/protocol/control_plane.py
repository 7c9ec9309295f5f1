"""The nested ``control_plane`` object of workflow operations, and its manifests.

Source: ``spec/control-plane-api.md`` §4, ``decisions.md`` 20c and 20f.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.records import AVRO_CODEC
from dwserver.protocol.reasons import Reason
from dwserver.protocol.schemas import (
    CONTROL_PLANE_REQUEST,
    CONTROL_PLANE_RESPONSE,
    CONTROL_PLANE_RESPONSE_CONTRACT,
)
from dwserver.protocol.versions import CONTROL_PLANE_HEADER, CONTROL_PLANE_VERSION


class Operation(StrEnum):
    """Workflow operations: their answers, errors too, carry ``control_plane``."""

    LIST = "list"
    START = "start"
    DESCRIBE = "describe"
    LIST_RUNS = "list_runs"
    DESCRIBE_RUN = "describe_run"
    DEBUG_WORKFLOW = "debug_workflow"
    HISTORY = "history"
    SIGNAL = "signal"
    QUERY = "query"
    UPDATE = "update"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    REPAIR = "repair"
    ARCHIVE = "archive"


@dataclass(frozen=True, slots=True)
class OperationContract:
    """Keys of ``control_plane`` that a client may insist on.

    ``required_fields`` hold always, ``success_fields`` on 2xx. The rejection
    lists are published only where they are not empty.
    """

    required_fields: tuple[str, ...] = ()
    success_fields: tuple[str, ...] = ()
    operation_name_field: str | None = None
    rejection_fields: tuple[str, ...] = ()
    rejection_reasons: tuple[Reason, ...] = ()


_NAMED: Final = ("workflow_id", "operation_name", "operation_name_field")
_COMMAND: Final = OperationContract(("workflow_id",), ("outcome",))

CONTRACTS: Final[Mapping[Operation, OperationContract]] = MappingProxyType(
    {
        Operation.LIST: OperationContract(),
        Operation.START: OperationContract(
            success_fields=("workflow_id", "outcome"),
            rejection_fields=(
                "workflow_id",
                "command_status",
                "command_source",
                "outcome",
                "reason",
                "rejection_reason",
                "message",
            ),
            rejection_reasons=(
                Reason.DUPLICATE_NOT_ALLOWED,
                Reason.TASK_QUEUE_DRAINING,
                Reason.COMPATIBILITY_BLOCKED,
            ),
        ),
        Operation.DESCRIBE: OperationContract(("workflow_id",)),
        Operation.LIST_RUNS: OperationContract(("workflow_id",)),
        Operation.DESCRIBE_RUN: OperationContract(("workflow_id",), ("run_id",)),
        Operation.DEBUG_WORKFLOW: OperationContract(
            ("workflow_id",), ("run_id", "diagnostic_status")
        ),
        Operation.HISTORY: OperationContract(
            ("workflow_id", "run_id"), ("next_page_token",)
        ),
        Operation.SIGNAL: OperationContract(_NAMED, ("outcome",), "signal_name"),
        Operation.QUERY: OperationContract(_NAMED, ("result",), "query_name"),
        Operation.UPDATE: OperationContract(_NAMED, ("outcome",), "update_name"),
        Operation.CANCEL: _COMMAND,
        Operation.TERMINATE: _COMMAND,
        Operation.REPAIR: _COMMAND,
        Operation.ARCHIVE: _COMMAND,
    }
)

# Payload keys copied into the nested object, in wire order.
PROJECTED_FIELDS: Final = (
    "run_id",
    "workflow_type",
    "namespace",
    "business_key",
    "status",
    "status_bucket",
    "is_terminal",
    "task_queue",
    "run_number",
    "run_count",
    "workflow_count",
    "is_current_run",
    "compatibility",
    "started_at",
    "closed_at",
    "last_progress_at",
    "wait_kind",
    "wait_reason",
    "next_page_token",
    "command_id",
    "command_status",
    "command_source",
    "target_scope",
    "outcome",
    "reason",
    "rejection_reason",
    "validation_errors",
    "result",
    "result_envelope",
    "update_id",
    "update_status",
    "wait_for",
    "wait_timed_out",
    "wait_timeout_seconds",
    "blocked_reason",
    "message",
    "diagnostic_status",
)

# Names of an older wire, which no payload may carry, and what replaced them.
LEGACY_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "query": "query_name",
        "signal": "signal_name",
        "update": "update_name",
        "wait_policy": "wait_for",
    }
)


def _contract_boundary() -> JsonObject:
    return {
        **CONTROL_PLANE_RESPONSE_CONTRACT.identity(),
        "legacy_field_policy": "reject_non_canonical",
        "legacy_fields": dict(LEGACY_FIELDS),
    }


def _field_lists(contract: OperationContract) -> JsonObject:
    lists: JsonObject = {
        "required_fields": list(contract.required_fields),
        "success_fields": list(contract.success_fields),
    }
    if contract.rejection_fields:
        lists["rejection_fields"] = list(contract.rejection_fields)
    if contract.rejection_reasons:
        lists["rejection_reasons"] = [str(word) for word in contract.rejection_reasons]
    return lists


# Shared by every envelope of an operation: never changed, only serialised.
_ENVELOPE_CONTRACTS: Final[Mapping[Operation, JsonObject]] = MappingProxyType(
    {
        operation: {**_contract_boundary(), **_field_lists(contract)}
        for operation, contract in CONTRACTS.items()
    }
)


def envelope(
    operation: Operation, operation_name: str | None, payload: JsonObject
) -> JsonObject:
    """The ``control_plane`` object for a response body ``payload``.

    ``operation_name`` is the signal, query or update name of the request; other
    operations have none. Every projected key that the payload has is copied,
    nulls included. Treat the result as read-only: its contract is shared.
    """
    nested: JsonObject = {
        **CONTROL_PLANE_RESPONSE.identity(),
        "operation": operation.value,
        "workflow_id": payload.get("workflow_id"),
        "contract": _ENVELOPE_CONTRACTS[operation],
    }
    name_field = CONTRACTS[operation].operation_name_field
    if name_field is not None and operation_name:
        nested["operation_name"] = operation_name
        nested["operation_name_field"] = name_field
    for key in PROJECTED_FIELDS:
        if key in payload:
            nested[key] = payload[key]
    return nested


def attach_envelope(
    payload: JsonObject,
    operation: Operation,
    operation_name: str | None = None,
    *,
    workflow_id: str | None = None,
    run_id: str | None = None,
) -> JsonObject:
    """``payload`` as the operation answers it.

    The ids of the request path are added where the payload lacks them, then the
    nested object. ``payload`` itself is left alone.
    """
    body = dict(payload)
    if workflow_id is not None and "workflow_id" not in body:
        body["workflow_id"] = workflow_id
    if run_id is not None and "run_id" not in body:
        body["run_id"] = run_id
    body["control_plane"] = envelope(operation, operation_name, body)
    return body


def response_contract() -> JsonObject:
    """``control_plane.response_contract`` of the discovery document."""
    return {
        **CONTROL_PLANE_RESPONSE.identity(),
        "contract": _contract_boundary(),
        "projected_fields": list(PROJECTED_FIELDS),
        "operations": {
            operation.value: {
                "operation_name_field": contract.operation_name_field,
                **_field_lists(contract),
            }
            for operation, contract in CONTRACTS.items()
        },
    }


LIST_STATUSES: Final = ("running", "completed", "failed")
LIST_STATUS_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "cancelled": "failed",
        "terminated": "failed",
        "pending": "running",
        "waiting": "running",
    }
)
DUPLICATE_POLICIES: Final = ("fail", "use-existing")
DUPLICATE_POLICY_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"use_existing": "use-existing"}
)


class WaitStage(StrEnum):
    """How far an update must have come before it is answered."""

    ACCEPTED = "accepted"
    COMPLETED = "completed"


UNSUPPORTED_START_FIELDS: Final = (
    "workflow_execution_timeout",
    "workflow_run_timeout",
    "workflow_task_timeout",
    "retry_policy",
    "idempotency_key",
    "request_id",
)
# Read by people: the CLI prints these sentences.
REMOVED_UPDATE_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {"wait_policy": "Use wait_for."}
)


def request_contract() -> JsonObject:
    """``control_plane.request_contract`` of the discovery document.

    Clients refuse to send anything without it; the CLI checks option values
    against it before it sends them.
    """
    positive_integer = {"type": "integer", "min": 1}
    return {
        **CONTROL_PLANE_REQUEST.identity(),
        "operations": {
            Operation.LIST.value: {
                "fields": {
                    "status": {
                        "canonical_values": list(LIST_STATUSES),
                        "rejected_aliases": dict(LIST_STATUS_ALIASES),
                    },
                },
            },
            Operation.START.value: {
                "fields": {
                    "duplicate_policy": {
                        "canonical_values": list(DUPLICATE_POLICIES),
                        "rejected_aliases": dict(DUPLICATE_POLICY_ALIASES),
                    },
                    "execution_timeout_seconds": dict(positive_integer),
                    "run_timeout_seconds": dict(positive_integer),
                    "payload_codec": {
                        "type": "string",
                        "canonical_values": [AVRO_CODEC],
                        "description": "Taken from the input envelope; "
                        "plain JSON input is encoded by the server.",
                    },
                },
                "unsupported_fields": list(UNSUPPORTED_START_FIELDS),
            },
            Operation.UPDATE.value: {
                "fields": {"wait_for": {"canonical_values": list(WaitStage)}},
                "removed_fields": dict(REMOVED_UPDATE_FIELDS),
            },
        },
    }


def control_plane_block() -> JsonObject:
    """``control_plane`` of the discovery document."""
    return {
        "version": CONTROL_PLANE_VERSION,
        "header": CONTROL_PLANE_HEADER,
        "response_contract": response_contract(),
        "request_contract": request_contract(),
    }
