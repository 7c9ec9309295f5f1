"""The ``worker_protocol`` block of the discovery document.

Source: ``spec/topology-and-operations.md`` §1.9.
"""

from __future__ import annotations

from dwserver.protocol.capabilities import WorkingFeatures, server_capabilities
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.executor_config import (
    NOT_CONFIGURED,
    ExecutorConfigState,
    external_executor_config_contract,
)
from dwserver.protocol.manifests.external_execution import (
    external_execution_surface_contract,
)
from dwserver.protocol.manifests.external_task_input import (
    external_task_input_contract,
)
from dwserver.protocol.manifests.external_task_result import (
    external_task_result_contract,
)
from dwserver.protocol.manifests.invocable_carrier import invocable_carrier_contract
from dwserver.protocol.versions import WorkerVersion


def worker_protocol_block(
    features: WorkingFeatures,
    advertised: WorkerVersion,
    executor_config: ExecutorConfigState = NOT_CONFIGURED,
) -> JsonObject:
    """Version, capabilities and carrier manifests of this server."""
    return {
        "version": str(advertised),
        "server_capabilities": server_capabilities(features, advertised),
        "external_execution_surface_contract": external_execution_surface_contract(),
        "external_executor_config_contract": external_executor_config_contract(
            executor_config
        ),
        "invocable_carrier_contract": invocable_carrier_contract(),
        "external_task_input_contract": external_task_input_contract(),
        "external_task_result_contract": external_task_result_contract(),
    }
