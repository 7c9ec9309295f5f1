"""Schema names and versions of everything versioned on its own.

Source: ``spec/topology-and-operations.md`` §1.7-1.9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dwserver.protocol.json_types import JsonObject


@dataclass(frozen=True, slots=True)
class Schema:
    """A document's schema name and its version."""

    name: str
    version: int = 1

    def identity(self) -> JsonObject:
        return {"schema": self.name, "version": self.version}


CONTROL_PLANE_RESPONSE: Final = Schema("durable-workflow.v2.control-plane-response")
CONTROL_PLANE_RESPONSE_CONTRACT: Final = Schema(
    "durable-workflow.v2.control-plane-response.contract"
)
CONTROL_PLANE_REQUEST: Final = Schema(
    "durable-workflow.v2.control-plane-request.contract"
)
CLIENT_COMPATIBILITY: Final = Schema("durable-workflow.v2.client-compatibility")
AUTH_COMPOSITION: Final = Schema("durable-workflow.v2.auth-composition.contract")
EXTERNAL_EXECUTION_SURFACE: Final = Schema(
    "durable-workflow.v2.external-execution-surface.contract"
)
EXTERNAL_EXECUTOR_CONFIG_CONTRACT: Final = Schema(
    "durable-workflow.v2.external-executor-config.contract"
)
EXTERNAL_EXECUTOR_CONFIG: Final = Schema("durable-workflow.external-executor.config")
INVOCABLE_CARRIER: Final = Schema("durable-workflow.v2.invocable-carrier.contract")
EXTERNAL_TASK_INPUT_CONTRACT: Final = Schema(
    "durable-workflow.v2.external-task-input.contract"
)
EXTERNAL_TASK_INPUT: Final = Schema("durable-workflow.v2.external-task-input")
EXTERNAL_TASK_RESULT_CONTRACT: Final = Schema(
    "durable-workflow.v2.external-task-result.contract"
)
EXTERNAL_TASK_RESULT: Final = Schema("durable-workflow.v2.external-task-result")
HISTORY_EXPORT: Final = Schema("durable-workflow.v2.history-export")
HISTORY_BUNDLE_VERIFICATION: Final = Schema(
    "durable-workflow.v2.history-bundle-verification"
)
BRIDGE_ADAPTER_OUTCOME: Final = Schema(
    "durable-workflow.v2.bridge-adapter-outcome.contract"
)
