"""The bodies of the discovery routes, as declared for the description of the API
(``spec/topology-and-operations.md`` §1.2, §3). Blocks that are documents of their own,
with a schema name, are left open."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from dwserver.http.route_shape import IsoTime, JsonMap


class HealthAnswer(TypedDict):
    status: Literal["serving", "degraded"]
    timestamp: IsoTime
    checks: dict[str, str]
    topology: JsonMap


class ReadyAnswer(TypedDict):
    """Every check has a ``status``; the node is ready if all are ok or a warning."""

    status: Literal["ready", "not_ready"]
    timestamp: IsoTime
    checks: dict[str, JsonMap]
    topology: JsonMap


class ClusterInfoAnswer(TypedDict):
    server_id: str
    version: str
    default_namespace: str
    supported_sdk_versions: dict[str, str]
    capabilities: JsonMap
    worker_fleet: JsonMap
    task_repair: JsonMap
    limits: dict[str, int]
    structural_limits: JsonMap
    topology: JsonMap
    coordination_health: JsonMap
    client_compatibility: JsonMap
    auth_composition_contract: JsonMap
    control_plane: JsonMap
    worker_protocol: JsonMap
    bridge_adapter_outcome_contract: JsonMap
    embedded_v2_import_contract: JsonMap
    package_provenance: NotRequired[JsonMap]
