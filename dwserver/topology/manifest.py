"""The role-topology manifest (v4) and its public summary.

Source: ``spec/topology-and-operations.md`` §1.10 (whole manifest, in discovery)
and §3.1 (summary, in health and readiness).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.protocol.json_types import JsonObject
from dwserver.topology.identity import (
    BACKPRESSURE_MODEL,
    PARTITION_PRIMITIVES,
    ExecutionMode,
    MatchingSettings,
    NodeIdentity,
)
from dwserver.topology.roles import AUTHORITY_ORDER, MUTATION_AUTHORITIES, ROLE_FACTS
from dwserver.topology.shapes import BUNDLES, Bundle, Role, Shape

MANIFEST_SCHEMA: Final = "durable-workflow.v2.role-topology"
# Revision of the manifest, unrelated to the version of the build.
MANIFEST_VERSION: Final = 4

# Fixed by the protocol: how ready tasks are found, in the published units.
DISCOVERY_LIMITS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "poll_batch_cap": 100,
        "availability_ceiling_seconds": 1,
        "wake_signal_ttl_seconds": 60,
        "workflow_task_lease_seconds": 300,
        "activity_task_lease_seconds": 300,
    }
)

# Steps from one process to many, each of which can be taken back.
MIGRATION_PATH: Final = (
    ("audit_role_boundaries", "writes across roles are found before anything moves"),
    ("expose_role_bindings", "a role can be bound to code in another process"),
    (
        "introduce_dedicated_matching_shape",
        "matching gets a process class, tasks are claimed as before",
    ),
    (
        "split_history_projection",
        "history and projections move out and keep one writer",
    ),
    (
        "split_scheduler",
        "schedules fire behind an elected leader; a single replica stays fine",
    ),
    (
        "optional_execution_partitioning",
        "workers are divided by namespace, connection, queue or compatibility",
    ),
)

# What stays true in every shape.
KERNEL_INVARIANTS: Final = (
    ("single_persistence_engine", "all roles share one workflow database"),
    ("single_worker_protocol", "workers speak one HTTP protocol to every shape"),
    ("single_history_writer", "each history event is written by one writer, once"),
    (
        "single_control_authority_per_run",
        "changes of a run are put in order by one authority, replicas included",
    ),
    (
        "embedded_topology_remains_supported",
        "one process with every role stays a supported way to run",
    ),
    (
        "role_split_is_topology_only",
        "roles can be split and joined again; the product is the same",
    ),
)


def topology_manifest(identity: NodeIdentity) -> JsonObject:
    """``topology`` of the discovery document of this node."""
    matching = matching_block(identity.matching)
    matching["discovery_limits"] = dict(DISCOVERY_LIMITS)
    return {
        "schema": MANIFEST_SCHEMA,
        "version": MANIFEST_VERSION,
        "supported_shapes": _all_shapes(),
        "role_vocabulary": [role.value for role in Role],
        **_current(identity),
        "matching_role": matching,
        "role_catalog": _role_catalog(identity.roles),
        "shape_assignments": {
            shape.value: {
                "process_classes": [
                    {"name": name.value, "roles": _words(roles)}
                    for name, roles in classes.items()
                ]
            }
            for shape, classes in BUNDLES.items()
        },
        "authority_boundaries": {
            role.value: {"writes": list(ROLE_FACTS[role].writes)}
            for role in AUTHORITY_ORDER
        },
        "authority_surfaces": _authority_surfaces(),
        "failure_domains": {
            f"{role.value}_down": {
                "effect": ROLE_FACTS[role].loss_effect,
                "operator_signal": ROLE_FACTS[role].loss_signal,
            }
            for role in AUTHORITY_ORDER
        },
        "scaling_boundaries": {
            role.value: ROLE_FACTS[role].scales_with for role in Role
        },
        "supported_topologies": _supported_topologies(),
        "migration_path": [
            {"step": step, "result": result, "reversible": True}
            for step, result in MIGRATION_PATH
        ],
        "kernel_invariants": [
            {"id": name, "summary": summary, "applies_to": _all_shapes()}
            for name, summary in KERNEL_INVARIANTS
        ],
    }


def topology_summary(identity: NodeIdentity) -> JsonObject:
    """``topology`` of health and readiness: what anyone may know."""
    return {
        "schema": MANIFEST_SCHEMA,
        "version": MANIFEST_VERSION,
        **_current(identity),
        "matching_role": matching_block(identity.matching),
    }


def _all_shapes() -> list[str]:
    return [shape.value for shape in Shape]


def _words(roles: Bundle) -> list[str]:
    return [role.value for role in roles]


def _current(identity: NodeIdentity) -> JsonObject:
    return {
        "current_shape": identity.shape.value,
        "current_process_class": identity.process_class.value,
        "current_roles": _words(identity.roles),
        "execution_mode": identity.execution_mode.value,
    }


def matching_block(matching: MatchingSettings) -> JsonObject:
    """``matching_role`` without the limits of discovery (§1.10)."""
    return {
        "queue_wake_enabled": matching.is_queue_wake_enabled,
        "shape": matching.shape.value,
        "wake_owner": matching.wake_owner.value,
        "task_dispatch_mode": matching.task_dispatch_mode.value,
        "partition_primitives": list(PARTITION_PRIMITIVES),
        "backpressure_model": BACKPRESSURE_MODEL,
    }


def _role_catalog(hosted: Bundle) -> JsonObject:
    return {
        role.value: {
            "plane": facts.plane,
            "hosted_by_current_node": role in hosted,
            "runs_user_code": facts.runs_user_code,
            "accepts_external_http": facts.accepts_external_http,
            "steady_state_interface": facts.steady_state_interface,
        }
        for role, facts in ROLE_FACTS.items()
    }


def _authority_surfaces() -> JsonObject:
    surfaces: JsonObject = {}
    for authority in MUTATION_AUTHORITIES:
        surface = surfaces.setdefault(authority.surface, {"mutations": {}})
        surface["mutations"][authority.mutation] = {
            "owning_roles": _words(authority.owners),
            "read_roles": _words(authority.readers),
        }
    return surfaces


def _supported_topologies() -> JsonObject:
    return {
        shape.value: {
            "execution_mode": _usual_execution_mode(shape).value,
            "process_classes": {
                name.value: {"roles": _words(roles)} for name, roles in classes.items()
            },
        }
        for shape, classes in BUNDLES.items()
    }


def _usual_execution_mode(shape: Shape) -> ExecutionMode:
    if shape is Shape.EMBEDDED:
        return ExecutionMode.LOCAL_QUEUE_WORKER
    return ExecutionMode.REMOTE_WORKER_PROTOCOL
