"""The surface that external handlers of activities may rely on.

Source: ``spec/topology-and-operations.md`` §1.9. Words are the contract, sentences
are ours and carry no machine meaning.
"""

from __future__ import annotations

from dwserver.protocol.capabilities import EXTERNAL_EXECUTION_NAME
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    AUTH_COMPOSITION,
    BRIDGE_ADAPTER_OUTCOME,
    EXTERNAL_EXECUTION_SURFACE,
    EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
    EXTERNAL_TASK_INPUT_CONTRACT,
    EXTERNAL_TASK_RESULT_CONTRACT,
    INVOCABLE_CARRIER,
    Schema,
)


def external_execution_surface_contract() -> JsonObject:
    return {
        **EXTERNAL_EXECUTION_SURFACE.identity(),
        "product_boundary": {
            "name": EXTERNAL_EXECUTION_NAME,
            "definition": "Tasks of bounded length that code outside a workflow "
            "runtime executes, durably tracked by the server.",
            "primary_wedge": "operator_platform_integration",
            "secondary_wedge": "agent_or_script_driven_handlers",
            "contract_first": True,
            "carrier_second": True,
        },
        "runtime_boundary": {
            "external_handlers_may": [
                "run the one task they hold a lease on",
                "report progress by worker heartbeats",
                "answer with a success or failure envelope",
                "reach workflows through bridge adapters",
            ],
            "external_handlers_must_not": [
                "replay workflows",
                "decide how a run continues as new",
                "order signals, updates or queries on their own",
                "write history events",
                "run without bound",
            ],
        },
        "mvp": {
            "contract": "external_task_input_and_result_envelopes",
            "carrier_requirement": "at_least_one_supported_carrier",
            "journeys": [
                "operator_runs_bounded_maintenance_activity",
                "integration_bridge_hands_off_event_to_workflow_ingress",
            ],
        },
        "contract_seams": _contract_seams(),
        "carrier_neutrality": {
            "valid_carriers": [
                "poll_based_cli_or_daemon",
                "http_handler_invocation",
                "queue_backed_worker",
                "serverless_invocation",
            ],
            "carrier_requirements": [
                "must_emit_declared_input_schema",
                "must_accept_declared_result_schema",
                "must_preserve_task_id_attempt_and_idempotency_key",
                "turns transport failures into failure or malformed_output",
                "resolves credentials, TLS and profile the same way every time",
            ],
        },
        "non_goals": [
            "shell_as_workflow_language",
            "agents_as_primary_product_frame",
            "external_handlers_as_replay_runtimes",
            "generic_message_broker_platform",
        ],
    }


def _contract_seams() -> JsonObject:
    return {
        "input_envelope": _published(
            EXTERNAL_TASK_INPUT_CONTRACT,
            "worker_protocol.external_task_input_contract",
            "a handler can read its task whatever carried it",
        ),
        "result_envelope": _published(
            EXTERNAL_TASK_RESULT_CONTRACT,
            "worker_protocol.external_task_result_contract",
            "a handler's outcome means the same whatever carried it",
        ),
        "auth_profile_tls_composition": _published(
            AUTH_COMPOSITION,
            "auth_composition_contract",
            "carriers agree which credential, profile and TLS setting wins",
        ),
        "handler_mappings": _published(
            EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
            "worker_protocol.external_executor_config_contract",
            "a configuration file says which carrier serves which handler",
        ),
        "invocable_http_carrier": _published(
            INVOCABLE_CARRIER,
            "worker_protocol.invocable_carrier_contract",
            "activities can be delivered to an HTTP endpoint",
        ),
        "bridge_adapters": _published(
            BRIDGE_ADAPTER_OUTCOME,
            "bridge_adapter_outcome_contract",
            "outside events get a named outcome, duplicates included",
        ),
        "payload_external_storage": {
            "status": "planned",
            "required_outcome": "references to stored payloads, refused where unknown",
        },
        "admission_and_rollout_safety": {
            "status": "partially_published",
            "required_outcome": "operators see and set admission, drain and retry",
        },
    }


def _published(schema: Schema, path: str, outcome: str) -> JsonObject:
    return {
        **schema.identity(),
        "status": "published",
        "cluster_info_path": path,
        "required_outcome": outcome,
    }
