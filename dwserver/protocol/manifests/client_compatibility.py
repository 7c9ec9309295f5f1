"""Which clients fit, and by which manifests they must decide it.

Source: ``spec/topology-and-operations.md`` §1.7; the version windows are
``decisions.md`` 20h.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.schemas import (
    AUTH_COMPOSITION,
    CLIENT_COMPATIBILITY,
    CONTROL_PLANE_REQUEST,
    EXTERNAL_EXECUTION_SURFACE,
    EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
    EXTERNAL_TASK_INPUT_CONTRACT,
    EXTERNAL_TASK_RESULT_CONTRACT,
    INVOCABLE_CARRIER,
    Schema,
)
from dwserver.protocol.versions import (
    CONTROL_PLANE_HEADER,
    CONTROL_PLANE_VERSION,
    WORKER_PROTOCOL_HEADER,
    WorkerVersion,
)

# Informational: clients of today would refuse a server that names less.
SUPPORTED_SDK_VERSIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"php": ">=1.0", "python": ">=0.2,<3.0", "cli": ">=0.1,<3.0"}
)

# Carrier manifests that a worker may insist on, by their key in discovery.
CARRIER_CONTRACTS: Final[Mapping[str, Schema]] = MappingProxyType(
    {
        "external_execution_surface_contract": EXTERNAL_EXECUTION_SURFACE,
        "external_executor_config_contract": EXTERNAL_EXECUTOR_CONFIG_CONTRACT,
        "invocable_carrier_contract": INVOCABLE_CARRIER,
        "external_task_input_contract": EXTERNAL_TASK_INPUT_CONTRACT,
        "external_task_result_contract": EXTERNAL_TASK_RESULT_CONTRACT,
    }
)

_OPERATOR_REQUIREMENTS: Final = (
    "auth_composition.version",
    "control_plane.version",
    "control_plane.request_contract",
)
_WORKER_REQUIREMENTS: Final = (
    *_OPERATOR_REQUIREMENTS,
    "worker_protocol.version",
    *(f"worker_protocol.{key}" for key in CARRIER_CONTRACTS),
)


def supported_sdk_versions() -> JsonObject:
    """``supported_sdk_versions`` of the discovery document."""
    return dict(SUPPORTED_SDK_VERSIONS)


def client_compatibility(advertised: WorkerVersion) -> JsonObject:
    """``client_compatibility`` of a server that advertises this version."""
    return {
        **CLIENT_COMPATIBILITY.identity(),
        "authority": "protocol_manifests",
        "top_level_version_role": "informational",
        "fail_closed": True,
        "required_protocols": {
            "auth_composition": AUTH_COMPOSITION.identity(),
            "control_plane": {
                "version": CONTROL_PLANE_VERSION,
                "header": CONTROL_PLANE_HEADER,
                "request_contract": CONTROL_PLANE_REQUEST.identity(),
            },
            "worker_protocol": {
                "version": str(advertised),
                "header": WORKER_PROTOCOL_HEADER,
                **{key: schema.identity() for key, schema in CARRIER_CONTRACTS.items()},
            },
        },
        "clients": {
            "cli": _client("cli", _OPERATOR_REQUIREMENTS),
            "sdk-python": _client("python", _WORKER_REQUIREMENTS),
            "sdk-php": _client("php", _WORKER_REQUIREMENTS),
        },
    }


def _client(name: str, requirements: tuple[str, ...]) -> JsonObject:
    return {
        "supported_versions": SUPPORTED_SDK_VERSIONS[name],
        "requires": list(requirements),
    }
