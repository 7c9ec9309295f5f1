"""Health, readiness and cluster info as clients see them, beside the recordings."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from dwserver.http.auth.authenticator import Credentials
from dwserver.http.auth.drivers import build_authenticator
from dwserver.http.discovery.cluster_info import ClusterInfo, LiveBlocks, ServerFacts
from dwserver.http.discovery.handlers import Discovery
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.limits import Limits, StructuralLimits
from dwserver.protocol.manifests.server_features import ServerFeature
from dwserver.runtime.clock import ManualClock
from dwserver.topology.shapes import ProcessClass, Shape
from tests.http.harness import TOKENS, Client, FakeGate, Node, serving
from tests.http.test_readiness import NOW, World
from tests.http.test_recorded_refusals import (
    AUTH_FAMILIES,
    check_refusal,
    load,
    replay,
)

INFO = "/api/cluster/info"
ADMIN = {"Authorization": "Bearer admin-token"}
OPERATOR = {"Authorization": "Bearer operator-token"}
PROVENANCE = {"source": "git", "ref": "v1", "commit": "abc"}
DRAINS = {"queues_with_drains": 0, "queues": []}


@dataclass
class Site:
    """A server with its discovery routes, and what it was asked for."""

    node: Node = field(default_factory=Node)
    world: World = field(default_factory=World)
    provenance: JsonObject | None = None
    namespaces: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        clock = ManualClock(NOW)
        authenticator = self.node.authenticator
        readiness = self.world.readiness(auth=authenticator.state)
        cluster_info = ClusterInfo(
            ServerFacts(
                server_id="server-1",
                version="2.0.0",
                features=frozenset(ServerFeature),
                limits=Limits(),
                structural_limits=StructuralLimits(),
                package_provenance=self.provenance,
            ),
            self.node.facts,
            live=LiveBlocks(
                worker_fleet=self.fleet,
                task_repair=self.repair,
                routing_drains=self.drains,
            ),
            readiness=readiness,
        )
        discovery = Discovery(
            readiness, cluster_info, self.node.identity, now=clock.now
        )
        async with serving(self.node.pipeline(discovery.routes())) as client:
            yield client

    async def fleet(self, namespace: str) -> JsonObject:
        self.namespaces.append(namespace)
        return {"namespace": namespace, "workers": []}

    async def repair(self) -> JsonObject:
        return {"policy": {}, "candidates": {}}

    async def drains(self) -> JsonObject:
        return DRAINS


def contains(actual: Any, expected: Any) -> bool:
    """Every recorded member is there; ours may tell more."""
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value)
            for key, value in expected.items()
        )
    return bool(actual == expected)


def probe_cases() -> list[Any]:
    cases = []
    for family in (*AUTH_FAMILIES, "topology", "health"):
        for recording in load(family):
            if recording["request"]["path"] in ("/api/health", "/api/ready"):
                case = pytest.param(
                    family, recording, id=f"{family}-{recording['name']}"
                )
                cases.append(case)
    return cases


def node_of(family: str, name: str) -> Node:
    """The node of a recording; those of the topology are named ``shape/class``."""
    driver, tokens, keys = AUTH_FAMILIES.get(family, ("token", TOKENS, Credentials()))
    authenticator = build_authenticator(driver, tokens=tokens, signature_keys=keys)
    if family != "topology":
        return Node(authenticator=authenticator)
    shape, _, process_class = name.partition(":")[0].partition("/")
    return Node(
        shape=Shape(shape),
        process_class=ProcessClass(process_class),
        authenticator=authenticator,
    )


@pytest.mark.parametrize(("family", "recording"), probe_cases())
async def test_recorded_probe(family: str, recording: dict[str, Any]) -> None:
    async with Site(node_of(family, recording["name"])).serving() as client:
        answer = await replay(client, recording)
    expected = recording["response"]
    assert answer.status == expected["status"]
    if recording["request"]["method"] != "GET":
        return
    assert contains(answer.body, told(recording))
    assert "X-Durable-Workflow-Control-Plane-Version" not in answer.headers


def told(recording: dict[str, Any]) -> JsonObject:
    """The recorded body as it would be at our time, without what differs."""
    body: JsonObject = copy.deepcopy(recording["response"]["body"])
    body["timestamp"] = "2026-04-13T12:00:00+00:00"
    for check in body["checks"].values():
        if isinstance(check, dict):
            # Our sentence names our variables.
            check.pop("remediation", None)
    if recording["name"].startswith("embedded/"):
        # The recorded server also ran in embedded mode, which is not the shape.
        del body["topology"]["execution_mode"], body["topology"]["matching_role"]
    return body


@pytest.mark.parametrize(
    "recording",
    [row for row in load("health") if row["request"]["path"].startswith(INFO)],
    ids=lambda recording: recording["name"],
)
async def test_recorded_cluster_info(recording: dict[str, Any]) -> None:
    async with Site().serving() as client:
        answer = await replay(client, recording)
    expected = recording["response"]
    if expected["status"] != 200:
        check_refusal(recording, answer)
        return
    assert answer.status == 200
    for header in ("content-encoding", "vary"):
        assert answer.headers.get(header) == expected["headers"].get(header)
    assert "X-Durable-Workflow-Control-Plane-Version" not in answer.headers


async def test_cluster_info_has_its_keys_in_order() -> None:
    async with Site().serving() as client:
        body = (await client.send("GET", INFO, ADMIN)).body
    assert list(body) == [
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
        "embedded_v2_import_contract",
    ]
    assert (body["server_id"], body["version"]) == ("server-1", "2.0.0")
    assert body["worker_protocol"]["version"] == "1.20"
    assert body["limits"]["max_payload_bytes"] == 2_097_152


async def test_coordination_health_is_the_readiness_evaluation() -> None:
    world = World(database=OSError())
    async with Site(world=world).serving() as client:
        health = (await client.send("GET", INFO, ADMIN)).body["coordination_health"]
        ready = (await client.send("GET", "/api/ready")).body["checks"]["workflow_v2"]
    assert health["schema"] == "durable-workflow.v2.coordination-health.contract"
    assert health["version"] == 2
    assert health["namespace_scope"] == "all_namespaces"
    assert health["routing_drains"] == DRAINS
    assert health["http_status"] == 503
    assert {key: health[key] for key in ready} == ready
    assert health["blocked_by"] == ["database", "migrations"]


@pytest.mark.parametrize(
    ("header", "query", "namespace"),
    [(None, "", "default"), ("Nope", "", "nope"), (None, "?namespace=q", "q")],
)
async def test_cluster_info_scopes_the_fleet_and_never_404s(
    header: str | None, query: str, namespace: str
) -> None:
    site = Site()
    headers = OPERATOR if header is None else OPERATOR | {"X-Namespace": header}
    async with site.serving() as client:
        answer = await client.send("GET", INFO + query, headers)
    assert answer.status == 200
    assert answer.body["worker_fleet"]["namespace"] == namespace
    assert site.namespaces == [namespace]


@pytest.mark.parametrize("token", ["worker-token", "operator-token", "admin-token"])
async def test_cluster_info_answers_every_role_on_every_node(token: str) -> None:
    node = Node(
        shape=Shape.SPLIT_CONTROL_EXECUTION,
        process_class=ProcessClass.MATCHING_NODE,
        gate=FakeGate("database"),
    )
    async with Site(node).serving() as client:
        answer = await client.send("GET", INFO, {"Authorization": f"Bearer {token}"})
    assert answer.status == 200
    assert answer.body["topology"]["current_roles"] == ["matching"]


@pytest.mark.parametrize(
    ("process_class", "headers", "is_shown"),
    [
        (ProcessClass.SERVER_HTTP_NODE, OPERATOR, True),
        (ProcessClass.CONTROL_PLANE_NODE, OPERATOR, False),
        (ProcessClass.CONTROL_PLANE_NODE, ADMIN, True),
    ],
)
async def test_provenance_of_a_split_node_is_for_admins(
    process_class: ProcessClass, headers: dict[str, str], is_shown: bool
) -> None:
    is_split = process_class is ProcessClass.CONTROL_PLANE_NODE
    shape = Shape.SPLIT_CONTROL_EXECUTION if is_split else Shape.STANDALONE_SERVER
    node = Node(shape=shape, process_class=process_class)
    async with Site(node, provenance=PROVENANCE).serving() as client:
        body = (await client.send("GET", INFO, headers)).body
    assert (body.get("package_provenance") == PROVENANCE) is is_shown


async def test_a_node_shows_the_state_of_its_own_roles() -> None:
    """Health shows words and stays as it is; readiness shows all and follows."""
    check = {"status": "invalid", "message": "no modules"}
    site = Site(world=World(role_checks={"execution": lambda: check}))
    async with site.serving() as client:
        health = await client.send("GET", "/api/health")
        ready = await client.send("GET", "/api/ready")
    assert (health.status, health.body["status"]) == (200, "serving")
    assert health.body["checks"] == {"database": "ok", "execution": "invalid"}
    assert (ready.status, ready.body["status"]) == (503, "not_ready")
    assert ready.body["checks"]["execution"] == check
    assert ready.body["topology"] == health.body["topology"]


async def test_health_degrades_with_the_database_only() -> None:
    async with Site(world=World(database=OSError())).serving() as client:
        down = await client.send("GET", "/api/health")
    async with Site(world=World(cache=OSError())).serving() as client:
        up = await client.send("GET", "/api/health")
    assert (down.status, down.body["status"]) == (503, "degraded")
    assert down.body["checks"] == {"database": "unavailable"}
    assert (up.status, up.body["status"]) == (200, "serving")
