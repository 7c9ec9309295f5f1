"""``server_capabilities``: what this server can do, told on every worker answer.

Source: ``spec/worker-protocol.md`` §2.1, ``spec/topology-and-operations.md`` §1.9,
``spec/client-compatibility.md`` §3.3. Only what is passed in as working is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

import orjson

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    EXTERNAL_EXECUTION_SURFACE,
    EXTERNAL_EXECUTOR_CONFIG,
    EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
    EXTERNAL_TASK_INPUT_CONTRACT,
    EXTERNAL_TASK_RESULT_CONTRACT,
    INVOCABLE_CARRIER,
)
from dwserver.protocol.versions import Feature, WorkerVersion

RESPONSE_ENCODINGS: Final = ("gzip", "deflate")
# Histories of at least this many events are worth compressing.
HISTORY_COMPRESSION_THRESHOLD_EVENTS: Final = 50
HISTORY_PAGE_SIZE_DEFAULT: Final = 500
HISTORY_PAGE_SIZE_MAX: Final = 1000

EXTERNAL_EXECUTION_NAME: Final = "activity_grade_external_execution"
INVOCABLE_CARRIER_TYPE: Final = "invocable_http"


class WorkerCommand(StrEnum):
    """Commands of a workflow-task completion, in the order they are advertised."""

    COMPLETE_WORKFLOW = "complete_workflow"
    FAIL_WORKFLOW = "fail_workflow"
    CONTINUE_AS_NEW = "continue_as_new"
    SCHEDULE_ACTIVITY = "schedule_activity"
    START_TIMER = "start_timer"
    START_CHILD_WORKFLOW = "start_child_workflow"
    COMPLETE_UPDATE = "complete_update"
    FAIL_UPDATE = "fail_update"
    RECORD_SIDE_EFFECT = "record_side_effect"
    RECORD_VERSION_MARKER = "record_version_marker"
    UPSERT_SEARCH_ATTRIBUTES = "upsert_search_attributes"
    OPEN_CONDITION_WAIT = "open_condition_wait"
    OPEN_SIGNAL_WAIT = "open_signal_wait"
    UPSERT_MEMO = "upsert_memo"


TERMINAL_COMMANDS: Final = frozenset(
    {
        WorkerCommand.COMPLETE_WORKFLOW,
        WorkerCommand.FAIL_WORKFLOW,
        WorkerCommand.CONTINUE_AS_NEW,
    }
)

# Commands that only workers of a later protocol may send.
COMMAND_FEATURES: Final[Mapping[WorkerCommand, Feature]] = MappingProxyType(
    {
        WorkerCommand.OPEN_SIGNAL_WAIT: Feature.SIGNAL_WAITS,
        WorkerCommand.UPSERT_MEMO: Feature.UPSERT_MEMO,
    }
)


class Capability(StrEnum):
    """Abilities that are told as a plain ``true``, in the order they are told."""

    POLL_REQUEST_IDEMPOTENCY = "workflow_task_poll_request_idempotency"
    POLL_STATUS = "poll_status"
    QUERY_TASKS = "query_tasks"
    ACTIVITY_RETRY_POLICY = "activity_retry_policy"
    ACTIVITY_TIMEOUTS = "activity_timeouts"
    CHILD_WORKFLOW_RETRY_POLICY = "child_workflow_retry_policy"
    CHILD_WORKFLOW_TIMEOUTS = "child_workflow_timeouts"
    PARENT_CLOSE_POLICY = "parent_close_policy"
    NON_RETRYABLE_FAILURES = "non_retryable_failures"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingFeatures:
    """What this build and configuration really offer to workers.

    ``long_poll_timeout_seconds`` is how long a poll is held at most.
    """

    commands: frozenset[WorkerCommand]
    capabilities: frozenset[Capability]
    long_poll_timeout_seconds: int = 30
    is_compression_enabled: bool = True


def may_send(command: WorkerCommand, version: WorkerVersion) -> bool:
    """Whether a worker of ``version`` may send ``command``."""
    feature = COMMAND_FEATURES.get(command)
    return feature is None or version.supports(feature)


def server_capabilities(
    features: WorkingFeatures, version: WorkerVersion
) -> JsonObject:
    """The object for a worker that speaks ``version``.

    The discovery document uses the advertised version.
    """
    encodings = list(RESPONSE_ENCODINGS) if features.is_compression_enabled else []
    commands = [
        command
        for command in WorkerCommand
        if command in features.commands and may_send(command, version)
    ]
    told = [word for word in Capability if word in features.capabilities]
    body: JsonObject = {
        "long_poll_timeout": features.long_poll_timeout_seconds,
        "supported_workflow_task_commands": [str(command) for command in commands],
    }
    body.update((str(word), True) for word in told if word in _BEFORE_PAGE_SIZES)
    body["history_page_size_default"] = HISTORY_PAGE_SIZE_DEFAULT
    body["history_page_size_max"] = HISTORY_PAGE_SIZE_MAX
    body.update((str(word), True) for word in told if word not in _BEFORE_PAGE_SIZES)
    if WorkerCommand.UPSERT_MEMO in commands:
        body["workflow_memo_updates"] = {"supported": True}
    body["response_compression"] = encodings
    body["history_compression"] = {
        "supported_encodings": encodings,
        "compression_threshold": HISTORY_COMPRESSION_THRESHOLD_EVENTS,
    }
    body.update(_carrier_contracts())
    return body


# The reference tells how polls behave before it tells about pages.
_BEFORE_PAGE_SIZES: Final = frozenset(
    {Capability.POLL_REQUEST_IDEMPOTENCY, Capability.POLL_STATUS}
)


def _carrier_contracts() -> JsonObject:
    return {
        "external_execution_surface": {
            **EXTERNAL_EXECUTION_SURFACE.identity(),
            "name": EXTERNAL_EXECUTION_NAME,
        },
        "external_executor_config": {
            **EXTERNAL_EXECUTOR_CONFIG_CONTRACT.identity(),
            "config_schema": EXTERNAL_EXECUTOR_CONFIG.name,
            "config_schema_version": EXTERNAL_EXECUTOR_CONFIG.version,
        },
        "invocable_carrier": {
            **INVOCABLE_CARRIER.identity(),
            "carrier_type": INVOCABLE_CARRIER_TYPE,
        },
        "external_task_input": EXTERNAL_TASK_INPUT_CONTRACT.identity(),
        "external_task_result": EXTERNAL_TASK_RESULT_CONTRACT.identity(),
    }


def serialize_capabilities(features: WorkingFeatures, version: WorkerVersion) -> bytes:
    """The same object as JSON: compute once per version, reuse in every answer."""
    return orjson.dumps(server_capabilities(features, version))
