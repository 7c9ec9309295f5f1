"""Configuration that maps activities to external carriers.

Source: ``spec/topology-and-operations.md`` §1.9. The runtime part tells whether a
file is configured and sound; never its full path and never a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    EXTERNAL_EXECUTOR_CONFIG,
    EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
)

CONFIG_PATH_VARIABLE: Final = "DW_EXTERNAL_EXECUTOR_CONFIG_PATH"
CONFIG_OVERLAY_VARIABLE: Final = "DW_EXTERNAL_EXECUTOR_CONFIG_OVERLAY"


class ConfigStatus(StrEnum):
    NOT_CONFIGURED = "not_configured"
    VALID = "valid"
    INVALID = "invalid"


class ConfigErrorCode(StrEnum):
    """Why an executor configuration is refused."""

    UNREADABLE_CONFIG = "unreadable_config"
    INVALID_JSON = "invalid_json"
    INVALID_SCHEMA = "invalid_schema"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_OVERLAY = "unknown_overlay"
    UNKNOWN_CARRIER = "unknown_carrier"
    UNKNOWN_AUTH_REF = "unknown_auth_ref"
    UNKNOWN_HANDLER = "unknown_handler"
    DUPLICATE_MAPPING_NAME = "duplicate_mapping_name"
    INVALID_QUEUE_BINDING = "invalid_queue_binding"
    MISSING_INVOCABLE_AUTH_REF = "missing_invocable_auth_ref"
    MISSING_HANDLER_TARGET = "missing_handler_target"
    UNSUPPORTED_CARRIER_CAPABILITY = "unsupported_carrier_capability"
    INVALID_CARRIER_TARGET = "invalid_carrier_target"
    INVALID_INVOCABLE_CARRIER_SCOPE = "invalid_invocable_carrier_scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigError:
    """One fault of the file; ``context`` names the faulty entry."""

    code: ConfigErrorCode
    message: str
    context: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorConfigState:
    """What loading the configuration gave.

    ``source_basename`` is the file name without its folder, ``None`` when no file
    is configured. ``mapping_kinds`` counts mappings by kind.
    """

    status: ConfigStatus = ConfigStatus.NOT_CONFIGURED
    source_basename: str | None = None
    source_sha256: str | None = None
    overlay: str | None = None
    carrier_count: int = 0
    mapping_kinds: Mapping[str, int] = field(default_factory=dict)
    errors: tuple[ConfigError, ...] = ()


NOT_CONFIGURED: Final = ExecutorConfigState()


def external_executor_config_contract(
    state: ExecutorConfigState = NOT_CONFIGURED,
) -> JsonObject:
    return {
        **EXTERNAL_EXECUTOR_CONFIG_CONTRACT.identity(),
        "config_schema": {
            **EXTERNAL_EXECUTOR_CONFIG.identity(),
            # Names by which the command-line client knows this schema.
            "json_schema_id": "https://durable-workflow.com/schemas/cli/config/"
            "external-executor.schema.json",
            "schema_source": "dw schema:show external-executor-config",
        },
        "steady_state_surface": "config_file",
        "override_precedence": [
            "flags",
            "environment_overlay",
            "config_file",
            "schema_defaults",
        ],
        "server_runtime": {
            "config_path_env": CONFIG_PATH_VARIABLE,
            "overlay_env": CONFIG_OVERLAY_VARIABLE,
            "cluster_info_path": (
                "worker_protocol.external_executor_config_contract.runtime"
            ),
            "execution_status": "validation_discovery_and_activity_poll_resolution",
        },
        "validation": {
            "fail_closed": True,
            "named_errors": [str(code) for code in ConfigErrorCode],
        },
        "redaction": {
            "path_disclosure": "basename_and_sha256_only",
            "never_echo": [
                "token",
                "secret",
                "authorization",
                "signature",
                "raw_environment_values",
            ],
        },
        "runtime": _runtime(state),
    }


def _runtime(state: ExecutorConfigState) -> JsonObject:
    source: JsonObject | None = None
    if state.source_basename is not None:
        source = {"type": "file", "basename": state.source_basename}
        if state.source_sha256 is not None:
            source["sha256"] = state.source_sha256
    return {
        "configured": state.status is not ConfigStatus.NOT_CONFIGURED,
        "status": state.status.value,
        "source": source,
        "overlay": state.overlay,
        "summary": {
            "carrier_count": state.carrier_count,
            "mapping_count": sum(state.mapping_kinds.values()),
            "mapping_kinds": dict(state.mapping_kinds),
        },
        "errors": [
            {
                "code": error.code.value,
                "message": error.message,
                "context": error.context,
            }
            for error in state.errors
        ],
    }
