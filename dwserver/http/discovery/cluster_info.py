"""The discovery document (``spec/topology-and-operations.md`` §1).

Most of it never changes while the process runs and is serialised once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import orjson

from dwserver.http.auth.principal import AccessRole, Principal
from dwserver.http.discovery.readiness import Readiness
from dwserver.http.node import NodeFacts
from dwserver.protocol.control_plane import control_plane_block
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.auth_composition import auth_composition_contract
from dwserver.protocol.manifests.bridge_adapter_outcome import (
    bridge_adapter_outcome_contract,
)
from dwserver.protocol.manifests.client_compatibility import (
    client_compatibility,
    supported_sdk_versions,
)
from dwserver.protocol.manifests.executor_config import (
    NOT_CONFIGURED,
    ExecutorConfigState,
)
from dwserver.protocol.manifests.limits import (
    Limits,
    StructuralLimits,
    limits_block,
    structural_limits_block,
)
from dwserver.protocol.manifests.server_features import (
    ServerFeature,
    capabilities_block,
)
from dwserver.protocol.manifests.worker_protocol import worker_protocol_block
from dwserver.topology.manifest import topology_manifest
from dwserver.topology.shapes import Shape

# Keys of the document in published order; the last one is for few eyes.
_KEYS: Final = (
    "server_id",
    "version",
    "default_namespace",
    "supported_sdk_versions",
    "capabilities",
    "worker_fleet",
    "task_repair",
    "limits",
    "structural_limits",
    "topology",
    "coordination_health",
    "client_compatibility",
    "auth_composition_contract",
    "control_plane",
    "worker_protocol",
    "bridge_adapter_outcome_contract",
    "package_provenance",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """What the document says about this build and its configuration.

    ``package_provenance`` is ``{source, ref, commit}``, ``None`` when it is not to
    be shown; ``version`` identifies the build and means nothing else.
    """

    server_id: str
    version: str
    features: frozenset[ServerFeature]
    limits: Limits
    structural_limits: StructuralLimits
    executor_config: ExecutorConfigState = NOT_CONFIGURED
    package_provenance: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBlocks:
    """The parts that change: ``worker_fleet`` of a namespace (§1.4), ``task_repair``
    (§4.5), ``routing_drains`` of all namespaces (§5.8)."""

    worker_fleet: Callable[[str], Awaitable[JsonObject]]
    task_repair: Callable[[], Awaitable[JsonObject]]
    routing_drains: Callable[[], Awaitable[JsonObject]]


class ClusterInfo:
    """Assembles the document for one request."""

    def __init__(
        self,
        server: ServerFacts,
        node: NodeFacts,
        *,
        live: LiveBlocks,
        readiness: Readiness,
    ) -> None:
        self._live = live
        self._readiness = readiness
        self._is_split = node.identity.shape is Shape.SPLIT_CONTROL_EXECUTION
        self._provenance = server.package_provenance
        self._static = {
            key: orjson.dumps(block) for key, block in _static(server, node).items()
        }

    async def document(self, namespace: str, principal: Principal) -> bytes:
        """JSON text of the document; the namespace need not exist."""
        evaluation = await self._readiness.evaluate()
        # Together: each may wait for a database that says nothing.
        drains, fleet, repair = await asyncio.gather(
            self._live.routing_drains(),
            self._live.worker_fleet(namespace),
            self._live.task_repair(),
        )
        blocks: JsonObject = {
            "worker_fleet": fleet,
            "task_repair": repair,
            "coordination_health": evaluation.workflow.coordination_health(drains),
        }
        if self._shows_provenance(principal):
            blocks["package_provenance"] = self._provenance
        members = {key: orjson.dumps(block) for key, block in blocks.items()}
        members.update(self._static)
        return b"{%s}" % b",".join(
            b'"%s":%s' % (key.encode(), members[key]) for key in _KEYS if key in members
        )

    def _shows_provenance(self, principal: Principal) -> bool:
        if self._provenance is None:
            return False
        return not self._is_split or AccessRole.ADMIN in principal.roles


def _static(server: ServerFacts, node: NodeFacts) -> JsonObject:
    advertised = node.advertised_version
    return {
        "server_id": server.server_id,
        "version": server.version,
        "default_namespace": node.default_namespace,
        "supported_sdk_versions": supported_sdk_versions(),
        "capabilities": capabilities_block(
            server.features,
            is_compression_enabled=node.features.is_compression_enabled,
        ),
        "limits": limits_block(server.limits),
        "structural_limits": structural_limits_block(server.structural_limits),
        "topology": topology_manifest(node.identity),
        "client_compatibility": client_compatibility(advertised),
        "auth_composition_contract": auth_composition_contract(),
        "control_plane": control_plane_block(),
        "worker_protocol": worker_protocol_block(
            node.features, advertised, server.executor_config
        ),
        "bridge_adapter_outcome_contract": bridge_adapter_outcome_contract(),
    }
