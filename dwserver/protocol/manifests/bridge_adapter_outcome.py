"""Outcomes of bridge adapters: outside events turned into workflow commands.

Source: ``spec/control-plane-api.md`` §8. The enums here are also the vocabulary of
the bridge route.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.reasons import Reason
from dwserver.protocol.schemas import BRIDGE_ADAPTER_OUTCOME


class BridgeAction(StrEnum):
    START_WORKFLOW = "start_workflow"
    SIGNAL_WORKFLOW = "signal_workflow"
    UPDATE_WORKFLOW = "update_workflow"
    HANDOFF_EXTERNAL_TASK = "handoff_external_task"


# Actions that the webhook route performs.
WEBHOOK_ACTIONS: Final = (
    BridgeAction.START_WORKFLOW,
    BridgeAction.SIGNAL_WORKFLOW,
    BridgeAction.UPDATE_WORKFLOW,
)


class BridgeOutcome(StrEnum):
    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    UNAUTHORIZED = "unauthorized"


class BridgeDuplicatePolicy(StrEnum):
    """What a repeated start does."""

    REJECT_DUPLICATE = "reject_duplicate"
    USE_EXISTING = "use_existing"


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """HTTP status of an outcome, and whether the event is settled by it."""

    http_status: int
    is_terminal: bool
    meaning: str


OUTCOMES: Final[Mapping[BridgeOutcome, OutcomeFacts]] = MappingProxyType(
    {
        BridgeOutcome.ACCEPTED: OutcomeFacts(202, False, "The event became a command."),
        BridgeOutcome.DUPLICATE: OutcomeFacts(
            200, True, "An event with this idempotency key came before."
        ),
        BridgeOutcome.REJECTED: OutcomeFacts(
            422, True, "The event cannot become a command; the reason says why."
        ),
        BridgeOutcome.UNAUTHORIZED: OutcomeFacts(
            401, True, "The sender is not allowed to do this."
        ),
    }
)

REJECTION_REASONS: Final = (
    Reason.UNKNOWN_TARGET,
    Reason.AUTH_FAILED,
    Reason.MALFORMED_PAYLOAD,
    Reason.DUPLICATE_START,
    Reason.UNSUPPORTED_ROUTING,
    Reason.UNSUPPORTED_ACTION,
    Reason.PAYLOAD_TOO_LARGE,
    Reason.ADAPTER_UNAVAILABLE,
)

# Keys of an outcome body, in order; null ones are left out.
OUTCOME_FIELDS: Final = (
    "schema",
    "version",
    "adapter",
    "action",
    "accepted",
    "outcome",
    "reason",
    "idempotency_key",
    "target",
    "correlation",
)

_WEBHOOK_PATH: Final = "/api/bridge-adapters/webhook/{adapter}"


def bridge_adapter_outcome_contract() -> JsonObject:
    actions = [str(action) for action in WEBHOOK_ACTIONS]
    handoff = BridgeAction.HANDOFF_EXTERNAL_TASK.value
    return {
        **BRIDGE_ADAPTER_OUTCOME.identity(),
        "boundary": {
            "role": "bounded_ingress_or_handoff",
            "not_a_workflow_runtime": True,
            "allowed_actions": [*actions, handoff],
            "forbidden_responsibilities": [
                "workflow_replay",
                "event_history_interpretation",
                "workflow_state_transition_authority",
            ],
        },
        "patterns": {
            "webhook_receiver": {
                "description": "An authenticated HTTP event becomes one command.",
                "allowed_actions": actions,
            },
            "eventbridge_handoff": {
                "description": "A cloud event becomes one command under a stable key.",
                "allowed_actions": actions,
            },
            "queue_backed_adapter": {
                "description": "A queue message becomes one external task.",
                "allowed_actions": [handoff],
            },
        },
        "idempotency": {
            "required": True,
            "key_sources": [
                "explicit_idempotency_key",
                "provider_event_id",
                "dedupe_header",
                "adapter_generated_stable_hash",
            ],
            "duplicate_policy": {
                action.value: (
                    [str(policy) for policy in BridgeDuplicatePolicy]
                    if action is BridgeAction.START_WORKFLOW
                    else ["record_duplicate_without_redelivery"]
                )
                for action in BridgeAction
            },
        },
        "visibility": {
            "outcome_fields": list(OUTCOME_FIELDS),
            "redaction": {
                "never_echo": [
                    "authorization",
                    "signature",
                    "token",
                    "secret",
                    "raw_payload",
                ],
                "safe_references": ["credential_ref", "profile", "namespace", "target"],
            },
        },
        "outcomes": {
            outcome.value: {
                "http_status": facts.http_status,
                "retriable": False,
                "terminal": facts.is_terminal,
                "meaning": facts.meaning,
            }
            for outcome, facts in OUTCOMES.items()
        },
        "rejection_reasons": [str(reason) for reason in REJECTION_REASONS],
        "examples": _examples(),
        "reference_journeys": {
            "incident_webhook_signals_workflow": _signal_journey(),
            "commerce_event_starts_workflow": _start_journey(),
        },
    }


def _examples() -> JsonObject:
    return {
        "operator_webhook_to_signal": {
            "pattern": "webhook_receiver",
            "action": BridgeAction.SIGNAL_WORKFLOW.value,
            "idempotency_key": "provider_event_id",
            "target": ["workflow_id", "signal_name"],
        },
        "integration_queue_to_external_task": {
            "pattern": "queue_backed_adapter",
            "action": BridgeAction.HANDOFF_EXTERNAL_TASK.value,
            "idempotency_key": "queue_message_id",
            "target": ["task_queue", "handler"],
        },
    }


def _delivery(outcome: BridgeOutcome, **fields: str | None) -> JsonObject:
    return {
        "http_status": OUTCOMES[outcome].http_status,
        "outcome": outcome.value,
        **fields,
    }


def _journey_request(action: BridgeAction, adapter: str) -> JsonObject:
    return {
        "method": "POST",
        "path_template": _WEBHOOK_PATH,
        "adapter_example": adapter,
        "action": action.value,
        "idempotency_key_source": "provider_event_id",
    }


def _signal_journey() -> JsonObject:
    unknown = Reason.UNKNOWN_TARGET.value
    return {
        "pattern": "webhook_receiver",
        "operator_story": "An alert wakes a waiting workflow, once per alert.",
        "request": {
            **_journey_request(BridgeAction.SIGNAL_WORKFLOW, "alerts"),
            "target": {
                "workflow_id": "the waiting workflow, required",
                "signal_name": "the signal it waits for, required",
            },
            "input": "list or object of arguments, optional",
        },
        "expected_outcomes": {
            "first_delivery": _delivery(BridgeOutcome.ACCEPTED, reason=None),
            "redelivery": _delivery(
                BridgeOutcome.DUPLICATE,
                control_plane_outcome="deduped_existing_command",
            ),
            "missing_workflow": _delivery(BridgeOutcome.REJECTED, reason=unknown),
        },
        "visibility": {
            "redacted_target_fields": ["workflow_id", "signal_name"],
            "command_context_metadata": [
                "adapter",
                "action",
                "idempotency_key",
                "request_id",
                "signal_name",
            ],
        },
    }


def _start_journey() -> JsonObject:
    unknown = Reason.UNKNOWN_TARGET.value
    return {
        "pattern": "webhook_receiver",
        "operator_story": "A shop's order event starts one workflow per order.",
        "request": {
            **_journey_request(BridgeAction.START_WORKFLOW, "shop"),
            "target": {
                "workflow_type": "type to start, required",
                "workflow_id": "id of the workflow, optional",
                "task_queue": "queue of the workflow, optional",
                "business_key": "key to find it by, optional",
                "duplicate_policy": [str(policy) for policy in BridgeDuplicatePolicy],
            },
        },
        "expected_outcomes": {
            "first_delivery": _delivery(
                BridgeOutcome.ACCEPTED, control_plane_outcome="started_new"
            ),
            "redelivery": _delivery(
                BridgeOutcome.DUPLICATE,
                reason=Reason.DUPLICATE_START.value,
                control_plane_outcome="returned_existing_active",
            ),
            "unconfigured_workflow_type": _delivery(
                BridgeOutcome.REJECTED, reason=unknown
            ),
        },
        "visibility": {
            "redacted_target_fields": [
                "workflow_id",
                "workflow_type",
                "task_queue",
                "business_key",
            ],
            "command_context_metadata": ["adapter", "action", "idempotency_key"],
        },
    }
