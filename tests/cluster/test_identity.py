"""What each node says about itself, and what it refuses.

The statements V1 to V5 are those of ``spec/topology-and-operations.md`` §7.1.
"""

from __future__ import annotations

import pytest

from dwserver.topology.shapes import BUNDLES, ProcessClass, Role, Shape
from tests.cluster.cluster import SPLIT, TOKEN, Cluster
from tests.cluster.conftest import NewCluster
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.server_process import ServerProcess

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

CLASSES = [*BUNDLES[SPLIT]]
API_NODE_ROLES = ["api_ingress", "control_plane", "matching", "history_projection"]


def client_of(node: ServerProcess) -> JsonHttp:
    return operator(node.base_url, TOKEN)


@pytest.mark.parametrize("process_class", CLASSES)
def test_v1_every_node_reports_its_own_identity(
    cluster: Cluster, process_class: ProcessClass
) -> None:
    node = cluster.node(process_class)
    info = client_of(node).request("GET", "/api/cluster/info").expect(200)
    topology = info["topology"]
    assert info["server_id"] == f"{process_class.value}-1"
    assert topology["current_shape"] == SPLIT
    assert topology["current_process_class"] == process_class
    published = topology["shape_assignments"][SPLIT.value]["process_classes"]
    bundles = {each["name"]: each["roles"] for each in published}
    assert topology["current_roles"] == bundles[process_class.value]
    assert topology["current_roles"] == [*BUNDLES[SPLIT][process_class]]


@pytest.mark.parametrize("process_class", CLASSES)
@pytest.mark.parametrize("path", ["/api/health", "/api/ready"])
def test_v3_health_and_readiness_answer_on_every_class(
    cluster: Cluster, process_class: ProcessClass, path: str
) -> None:
    node = cluster.node(process_class)
    body = JsonHttp(node.base_url).request("GET", path).expect(200)
    assert body["topology"]["current_process_class"] == process_class


@pytest.mark.parametrize(
    "process_class",
    [each for each in CLASSES if Role.API_INGRESS not in BUNDLES[SPLIT][each]],
)
def test_v3_the_wrong_class_refuses_after_the_version_and_before_the_namespace(
    cluster: Cluster, process_class: ProcessClass
) -> None:
    client = client_of(cluster.node(process_class))
    elsewhere = {"X-Namespace": "no-such-namespace"}
    refused = client.request("GET", "/api/workflows", headers=elsewhere).expect(503)
    assert refused["reason"] == "topology_role_unavailable"
    assert refused["current_process_class"] == process_class
    assert refused["current_roles"] == [*BUNDLES[SPLIT][process_class]]
    assert refused["required_roles"] == ["api_ingress", "control_plane"]
    assert refused["missing_roles"] == ["api_ingress", "control_plane"]
    body = {"worker_id": "w", "task_queue": "q", "runtime": "python"}
    without_version = client.request("POST", "/api/worker/register", body).expect(400)
    assert without_version["reason"] == "missing_protocol_version"
    versioned = {**elsewhere, WORKER_HEADER: "1.0"}
    polled = client.request("POST", "/api/worker/register", body, headers=versioned)
    assert polled.expect(503)["reason"] == "topology_role_unavailable"


@pytest.mark.full
def test_v2_a_standalone_cluster_reports_its_bundles(new_cluster: NewCluster) -> None:
    standalone = new_cluster(
        shape=Shape.STANDALONE_SERVER,
        counts={ProcessClass.SERVER_HTTP_NODE: 2, ProcessClass.SCHEDULER_NODE: 1},
    )
    found = {
        name: client_of(node).request("GET", "/api/cluster/info").expect(200)
        for name, node in standalone.nodes.items()
    }
    assert {name: info["server_id"] for name, info in found.items()} == {
        name: name for name in found
    }
    roles = {name: info["topology"]["current_roles"] for name, info in found.items()}
    assert roles == {
        "server_http_node-1": API_NODE_ROLES,
        "server_http_node-2": API_NODE_ROLES,
        "scheduler_node-1": ["scheduler"],
    }
    modes = {info["topology"]["execution_mode"] for info in found.values()}
    assert modes == {"remote_worker_protocol"}


@pytest.mark.full
def test_v4_v5_a_node_that_is_started_anew_is_what_it_is_told_to_be(
    new_cluster: NewCluster,
) -> None:
    small = new_cluster(counts={ProcessClass.MATCHING_NODE: 1})
    before = client_of(small.node(ProcessClass.MATCHING_NODE))
    info = before.request("GET", "/api/cluster/info").expect(200)["topology"]
    assert (info["matching_role"] | {"discovery_limits": None}).items() >= {
        "queue_wake_enabled": True,
        "shape": "in_worker",
        "wake_owner": "worker_loop",
    }.items()
    after = small.replace(
        ProcessClass.MATCHING_NODE,
        1,
        {
            "DW_SERVER_PROCESS_CLASS": "scheduler_node",
            "DW_V2_MATCHING_ROLE_QUEUE_WAKE": "0",
        },
    )
    info = client_of(after).request("GET", "/api/cluster/info").expect(200)["topology"]
    assert info["current_process_class"] == "scheduler_node"
    assert info["current_roles"] == ["scheduler"]
    assert info["matching_role"]["queue_wake_enabled"] is False
    assert info["matching_role"]["shape"] == "dedicated"
    assert info["matching_role"]["wake_owner"] == "dedicated_repair_pass"
