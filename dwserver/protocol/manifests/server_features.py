"""The ``capabilities`` block: which families of operations the server offers.

Source: ``spec/topology-and-operations.md`` §1.3. Only what is passed in as working
is told; unknown features are absent rather than false.
"""

from __future__ import annotations

from enum import StrEnum

from dwserver.protocol.capabilities import RESPONSE_ENCODINGS
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.payloads.records import KNOWN_CODECS


class ServerFeature(StrEnum):
    """Features in the order they are published."""

    WORKFLOW_TASKS = "workflow_tasks"
    ACTIVITY_TASKS = "activity_tasks"
    SIGNALS = "signals"
    QUERIES = "queries"
    UPDATES = "updates"
    SCHEDULES = "schedules"
    SCHEDULE_JITTER = "schedule_jitter"
    SCHEDULE_MAX_RUNS = "schedule_max_runs"
    SEARCH_ATTRIBUTES = "search_attributes"
    HISTORY_EXPORT = "history_export"
    CONTINUE_AS_NEW = "continue_as_new"
    CHILD_WORKFLOWS = "child_workflows"
    ACTIVITY_TIMEOUTS = "activity_timeouts"
    ACTIVITY_RETRY_POLICY = "activity_retry_policy"
    CHILD_WORKFLOW_RETRY_POLICY = "child_workflow_retry_policy"
    CHILD_WORKFLOW_TIMEOUTS = "child_workflow_timeouts"
    PARENT_CLOSE_POLICY = "parent_close_policy"
    NON_RETRYABLE_FAILURES = "non_retryable_failures"
    HISTORY_RETENTION = "history_retention"
    PAYLOAD_CODEC_ENVELOPE = "payload_codec_envelope"
    PAYLOAD_CODEC_ENVELOPE_RESPONSES = "payload_codec_envelope_responses"
    BRIDGE_ADAPTER_OUTCOME_CONTRACT = "bridge_adapter_outcome_contract"
    EXTERNAL_EXECUTOR_CONFIG_CONTRACT = "external_executor_config_contract"
    INVOCABLE_CARRIER_CONTRACT = "invocable_carrier_contract"
    EMBEDDED_V2_IMPORT = "embedded_v2_import"


def capabilities_block(
    features: frozenset[ServerFeature], *, is_compression_enabled: bool
) -> JsonObject:
    """``capabilities`` of the discovery document."""
    block: JsonObject = {
        str(feature): True for feature in ServerFeature if feature in features
    }
    block["payload_codecs"] = list(KNOWN_CODECS)
    block["response_compression"] = (
        list(RESPONSE_ENCODINGS) if is_compression_enabled else []
    )
    return block
