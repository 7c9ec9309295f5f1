"""Real nodes of the split shape: what each says about itself, what it answers, and who
is a member (``spec/topology-and-operations.md`` §7.1, V1–V4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape
from tests.cli.command import run
from tests.support.faulty_link import faulty_link
from tests.support.json_http import Answer, JsonHttp, operator
from tests.support.processes import TEST_TOKEN
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.full

SPLIT = BUNDLES[Shape.SPLIT_CONTROL_EXECUTION]
INGRESS, CONTROL = ProcessClass.INGRESS_NODE, ProcessClass.CONTROL_PLANE_NODE
# Of the execution node the tests are elsewhere: it needs code to run.
STARTED = [name for name in SPLIT if name is not ProcessClass.EXECUTION_NODE]
HOSTED = ("/api/workflows", "/api/namespaces", "/api/workflows/w/runs")

COMMON_CHECKS = {
    "database",
    "migrations",
    "default_namespace",
    "cache",
    "auth",
    "workflow_v2",
}

Start = Callable[[ProcessClass], ServerProcess]


def a_node(
    process_class: ProcessClass, database_url: str, redis_url: str, *, folder: Path
) -> ServerProcess:
    env = {
        "DW_DATABASE_URL": database_url,
        "DW_REDIS_URL": redis_url,
        "DW_AUTH_TOKEN": TEST_TOKEN,
        "DW_SERVER_KEY": "the key of all nodes",
        "DW_SERVER_ID": process_class.value,
        "DW_NODE_HEARTBEAT_SECONDS": "1",
    }
    command = ("serve", "--shape", Shape.SPLIT_CONTROL_EXECUTION.value)
    return ServerProcess(
        env,
        log_path=folder / f"{process_class}.log",
        command=(*command, "--process-class", process_class.value),
    )


@pytest.fixture
def start(postgres_url: str, redis_url: str, tmp_path: Path) -> Iterator[Start]:
    """Starts nodes of one cluster and waits until each answers."""
    with ExitStack() as nodes:

        def start(process_class: ProcessClass) -> ServerProcess:
            node = a_node(process_class, postgres_url, redis_url, folder=tmp_path)
            return nodes.enter_context(node)

        yield start


def client_of(node: ServerProcess) -> JsonHttp:
    return operator(node.base_url, TEST_TOKEN)


def body_of(node: ServerProcess, path: str) -> Mapping[str, Any]:
    return client_of(node).request("GET", path).expect(200)


def checks_of(node: ServerProcess) -> Mapping[str, Any]:
    checks: Mapping[str, Any] = body_of(node, "/api/ready")["checks"]
    return checks


def is_refused(answer: Answer) -> bool:
    is_gate = answer.body.get("reason") == "topology_role_unavailable"
    assert is_gate == (answer.status == 503), answer
    return is_gate


def wait_for_members(node: ServerProcess, expected: set[str]) -> None:
    def listed() -> set[str]:
        rows = body_of(node, "/api/cluster/nodes")["nodes"]
        return {row["node_id"] for row in rows}

    wait_until(lambda: listed() == expected, what=f"the members {expected}")


def test_every_class_describes_itself_and_refuses_what_it_does_not_host(
    start: Start,
) -> None:
    """V1–V3."""
    nodes = {name: start(name) for name in STARTED}
    for name, node in nodes.items():
        roles = [role.value for role in SPLIT[name]]
        info = body_of(node, "/api/cluster/info")
        assert info["server_id"] == name
        assert info["topology"]["current_process_class"] == name
        assert info["topology"]["current_roles"] == roles
        assert info["coordination_health"]["status"] == "ok"
        for path in ("/api/health", "/api/ready"):
            summary = body_of(node, path)["topology"]
            assert summary["current_process_class"] == name
            assert summary["current_roles"] == roles
    wait_for_members(nodes[CONTROL], {name.value for name in STARTED})
    rows = body_of(nodes[CONTROL], "/api/cluster/nodes")["nodes"]
    for row in rows:
        name = ProcessClass(row["process_class"])
        assert row["roles"] == [role.value for role in SPLIT[name]]
        assert row["shape"] == Shape.SPLIT_CONTROL_EXECUTION
        assert row["address"] == nodes[name].base_url
        assert row["is_answering"] == (name is CONTROL)
    for name in set(STARTED) - {CONTROL, INGRESS}:
        for path in HOSTED:
            assert is_refused(client_of(nodes[name]).request("GET", path))
    # What each class says about its own part.
    wait_until(
        lambda: (
            checks_of(nodes[ProcessClass.SCHEDULER_NODE])["scheduler"]
            == {"status": "ok", "is_leading": True, "term": 1}
        ),
        what="a leading scheduler",
    )
    polls = checks_of(nodes[ProcessClass.MATCHING_NODE])["matching"]["polls_waiting"]
    assert polls == {"workflow": 0, "activity": 0}
    assert checks_of(nodes[INGRESS])["peers"] == {"status": "ok"}
    for name in (INGRESS, ProcessClass.SCHEDULER_NODE, ProcessClass.MATCHING_NODE):
        shown = set(body_of(nodes[name], "/api/health")["checks"]) - {"database"}
        assert shown == set(checks_of(nodes[name])) - COMMON_CHECKS


def test_members_come_and_go_and_what_needs_them_with_them(start: Start) -> None:
    """V4: nodes find each other through the database alone."""
    ingress = start(INGRESS)
    assert checks_of(ingress)["peers"]["status"] == "warning"
    assert is_refused(client_of(ingress).request("GET", HOSTED[0]))
    control = start(CONTROL)
    wait_for_members(control, {INGRESS.value, CONTROL.value})
    wait_until(
        lambda: not is_refused(client_of(ingress).request("GET", HOSTED[0])),
        what="an answer through the ingress node",
    )
    wait_until(
        lambda: checks_of(ingress)["peers"]["status"] == "ok",
        what="a readiness without a warning",
    )
    assert control.terminate() == 0
    wait_until(
        lambda: is_refused(client_of(ingress).request("GET", HOSTED[0])),
        what="a refusal: nobody hosts the control plane",
    )
    # Another class under the id of the one that has gone.
    again = start(CONTROL)
    wait_for_members(again, {INGRESS.value, CONTROL.value})
    again.kill()
    last = start(ProcessClass.MATCHING_NODE)
    assert body_of(last, "/api/cluster/info")["topology"]["current_roles"] == [
        "matching"
    ]


def test_r2_nodes_that_started_before_the_bootstrap_recover(
    empty_postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """On an ingress node and the node behind it."""
    with ExitStack() as stack:
        nodes = {}
        for name in (INGRESS, CONTROL):
            node = a_node(name, empty_postgres_url, redis_url, folder=tmp_path)
            stack.callback(node.kill)
            node.start()
            nodes[name] = node
        for node in nodes.values():
            wait_until(node.ready_status, deadline_seconds=30, what="an answer")
            ready = client_of(node).request("GET", "/api/ready").expect(503)
            assert ready["topology"]["current_shape"] == Shape.SPLIT_CONTROL_EXECUTION
            assert ready["checks"]["workflow_v2"]["blocked_by"] == ["migrations"]
            body_of(node, "/api/health")
        blocked = client_of(nodes[CONTROL]).request("GET", HOSTED[0]).expect(503)
        assert blocked["reason"] == "workflow_v2_blocked"
        # Nobody can register yet.
        assert is_refused(client_of(nodes[INGRESS]).request("GET", HOSTED[0]))
        prepared = run("bootstrap", env={"DW_DATABASE_URL": empty_postgres_url})
        assert prepared.status == 0, prepared
        for node in nodes.values():
            node.wait_ready()
        wait_for_members(nodes[CONTROL], {name.value for name in nodes})
        wait_until(
            lambda: not is_refused(client_of(nodes[INGRESS]).request("GET", HOSTED[0])),
            what="an answer through the ingress node",
        )


async def test_discovery_answers_while_the_database_says_nothing(
    postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    """Long before the time that one statement may take, three of which it needs."""
    server = urlsplit(postgres_url)
    assert server.hostname is not None
    assert server.port is not None
    async with faulty_link(server.hostname, server.port) as link:
        user = server.netloc.rpartition("@")[0]
        url = server._replace(netloc=f"{user}@127.0.0.1:{link.port}").geturl()
        node = a_node(ProcessClass.MATCHING_NODE, url, redis_url, folder=tmp_path)
        await asyncio.to_thread(node.__enter__)
        try:
            client = operator(node.base_url, TEST_TOKEN)
            link.freeze()
            status = 200
            while status != 503:
                # What was found a moment ago counts for a second.
                found = await asyncio.to_thread(client.request, "GET", "/api/ready")
                status = found.status
            answer = await asyncio.to_thread(client.request, "GET", "/api/cluster/info")
        finally:
            await asyncio.to_thread(node.kill)
            link.mend()
    info = answer.expect(200)
    assert info["topology"]["current_roles"] == ["matching"]
    assert info["coordination_health"]["blocked_by"] == ["database", "migrations"]
    assert info["worker_fleet"]["active_workers"] == 0
    assert "candidates" not in info["task_repair"]
