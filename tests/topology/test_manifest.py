"""The v4 manifest and its summary against recorded documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dwserver.protocol.json_types import JsonObject
from dwserver.topology.gate import HOSTED_ROUTE_ROLES, missing_roles, role_unavailable
from dwserver.topology.identity import (
    ExecutionMode,
    MatchingSettings,
    NodeIdentity,
    ServerMode,
    TaskDispatchMode,
)
from dwserver.topology.manifest import topology_manifest, topology_summary
from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape
from tests.protocol.recordings import masked, recording

RECORDED = recording(Path(__file__).parent, "manifest_v4.json")
NODES: dict[str, Any] = RECORDED["nodes"]
SPLIT = "split_control_execution"
# Our class for projections (architecture §5), last in its shape.
OURS = "history_projection_node"


def identity_of(node: str, **settings: Any) -> NodeIdentity:
    shape, process_class = node.split("/")
    return NodeIdentity(
        shape=Shape(shape), process_class=ProcessClass(process_class), **settings
    )


def take_out_deviations(document: JsonObject) -> JsonObject:
    """Remove what we publish beyond the recording; fail if it is not there."""
    listed = document["shape_assignments"][SPLIT]["process_classes"]
    assert listed.pop() == {"name": OURS, "roles": ["history_projection"]}
    by_name = document["supported_topologies"][SPLIT]["process_classes"]
    assert by_name.pop(OURS) == {"roles": ["history_projection"]}
    # Documented for the era, later than the recording.
    assert document["matching_role"].pop("discovery_limits") == {
        "poll_batch_cap": 100,
        "availability_ceiling_seconds": 1,
        "wake_signal_ttl_seconds": 60,
        "workflow_task_lease_seconds": 300,
        "activity_task_lease_seconds": 300,
    }
    return document


@pytest.mark.parametrize("node", NODES)
def test_whole_manifest(node: str) -> None:
    ours = masked(take_out_deviations(topology_manifest(identity_of(node))))
    assert ours == RECORDED["shared"] | NODES[node]["current"]
    assert list(ours) == RECORDED["key_order"]


@pytest.mark.parametrize("node", NODES)
def test_summary(node: str) -> None:
    ours = topology_summary(identity_of(node))
    assert list(ours.items()) == list(NODES[node]["summary"].items())


def test_recorded_nodes_are_all_but_ours() -> None:
    known = {
        f"{shape}/{process_class}"
        for shape, classes in BUNDLES.items()
        for process_class in classes
    }
    assert known - set(NODES) == {f"{SPLIT}/{OURS}"}


@pytest.mark.parametrize("node", NODES)
def test_refusals(node: str) -> None:
    identity = identity_of(node)
    missing = missing_roles(HOSTED_ROUTE_ROLES, identity.roles)
    recorded = NODES[node].get("refusal")
    if recorded is None:
        assert missing == ()
    else:
        ours = masked(role_unavailable(identity, missing))
        assert list(ours.items()) == list(recorded.items())


def test_a_dedicated_matcher_is_told_apart() -> None:
    matching = MatchingSettings(
        is_queue_wake_enabled=False, task_dispatch_mode=TaskDispatchMode.QUEUE
    )
    identity = identity_of(f"{SPLIT}/matching_node", matching=matching)
    block = topology_summary(identity)["matching_role"]
    assert block["queue_wake_enabled"] is False
    assert block["shape"] == "dedicated"
    assert block["wake_owner"] == "dedicated_repair_pass"
    assert block["task_dispatch_mode"] == "queue"


def test_mode_is_independent_of_the_shape() -> None:
    mode = ServerMode("embedded").execution_mode
    identity = identity_of("standalone_server/server_http_node", execution_mode=mode)
    summary = topology_summary(identity)
    assert summary["current_shape"] == "standalone_server"
    assert summary["execution_mode"] == "local_queue_worker"
    assert ServerMode("service").execution_mode is ExecutionMode.REMOTE_WORKER_PROTOCOL


def test_documents_are_fresh() -> None:
    identity = identity_of("standalone_server/server_http_node")
    topology_manifest(identity)["role_vocabulary"].clear()
    topology_manifest(identity)["kernel_invariants"][0]["applies_to"].clear()
    again = topology_manifest(identity)
    assert again["role_vocabulary"]
    assert again["kernel_invariants"][0]["applies_to"] == list(Shape)
