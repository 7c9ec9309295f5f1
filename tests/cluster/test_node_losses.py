"""A node of the small cluster, a worker, an execution node is lost under work.

HA rows "API node loss" and "worker loss" of ``spec/topology-and-operations.md`` §7.3.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dwserver.topology.shapes import ProcessClass, Shape
from examples.order_processing.workflow import APPROVE, WORKFLOW_TYPE
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster, Report
from tests.cluster.rehearsal import ask, operator_of, seconds_until, work
from tests.durability.checker import check, check_standing
from tests.durability.client_log import ClientLog
from tests.durability.conftest import SHORT_LEASES
from tests.durability.load import running_load
from tests.support.faulty_link import FaultyLink, faulty_link
from tests.support.ports import LOOPBACK
from tests.support.server_process import ServerProcess
from tests.support.stored_state import read_state

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

SERVER = ProcessClass.SERVER_HTTP_NODE
EXECUTION = ProcessClass.EXECUTION_NODE
WARM = 100
END_SECONDS = 60.0
# What the load-balancer rules of the specification ask for, only faster.
LOOK_SECONDS = 0.5
LOOKS_TO_EJECT = 2
# Of a lease, or of the looks of the balancer; the rest is for a busy machine.
BOUND_SECONDS = 10.0


async def balance(link: FaultyLink, nodes: list[ServerProcess]) -> None:
    """Leads the link to the next node when readiness of this one fails repeatedly."""
    failures, current = 0, 0
    while True:
        status = await asyncio.to_thread(nodes[current].ready_status)
        failures = 0 if status == 200 else failures + 1
        if failures >= LOOKS_TO_EJECT:
            failures, current = 0, (current + 1) % len(nodes)
            await link.lead_to(LOOPBACK, nodes[current].port)
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def balancer(nodes: list[ServerProcess]) -> AsyncIterator[str]:
    """URL of a load balancer with one node at a time."""
    async with faulty_link(LOOPBACK, nodes[0].port) as link:
        balancing = asyncio.create_task(balance(link, nodes))
        try:
            yield f"http://{LOOPBACK}:{link.port}"
        finally:
            balancing.cancel()


async def test_ha_api_node_loss_is_over_when_the_balancer_has_noticed(
    new_cluster: NewCluster,
    client_log: ClientLog,
    choice: random.Random,
    report: Report,
) -> None:
    """Requests are repeated on the other node, and every repetition converges."""
    small = new_cluster(
        shape=Shape.STANDALONE_SERVER,
        counts={SERVER: 2, ProcessClass.SCHEDULER_NODE: 1},
        environment=SHORT_LEASES,
    )
    nodes = small.of_class(SERVER)
    async with (
        balancer(nodes) as url,
        running_load(url, TOKEN, client_log, choice) as load,
    ):
        await load.after_acknowledged(WARM)
        began = time.monotonic()
        await asyncio.to_thread(nodes[0].kill)
        await load.after_acknowledged(WARM)
        took = time.monotonic() - began
        report("API node killed, others serve", took, bound_seconds=BOUND_SECONDS)
        assert load.repeated > 0
        await load.finish(END_SECONDS)
    assert check(read_state(small.settings.database_url), client_log) == []


async def test_ha_worker_loss_a_lease_that_ends_goes_to_another_worker(
    new_cluster: NewCluster, report: Report
) -> None:
    """With the next attempt; what the lost worker reports late is refused."""
    cluster = new_cluster(environment=SHORT_LEASES)
    edge = cluster.node(ProcessClass.INGRESS_NODE)
    start = {"workflow_id": "wf", "workflow_type": "any", "task_queue": "q"}

    async def polled(worker_id: str) -> Any:
        body = {"worker_id": worker_id, "task_queue": "q"}
        registration = {**body, "runtime": "python"}
        (await work(edge, "register", registration)).expect(201)
        poll = {**body, "timeout_seconds": 30}
        return (await work(edge, "workflow-tasks/poll", poll)).expect(200)["task"]

    async def complete(task: Any) -> Any:
        path = f"workflow-tasks/{task['task_id']}/complete"
        body = {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": [{"type": "complete_workflow", "result": None}],
        }
        return await work(edge, path, body)

    (await ask(operator_of(edge), "POST", "/api/workflows", start)).expect(201)
    lost = await polled("lost")
    began = time.monotonic()
    found = await polled("other")
    took = time.monotonic() - began
    report("worker lost, task redelivered", took, bound_seconds=BOUND_SECONDS)
    assert found["task_id"] == lost["task_id"]
    assert (lost["workflow_task_attempt"], found["workflow_task_attempt"]) == (1, 2)
    late = await complete(lost)
    assert late.expect(409)["reason"] == "lease_owner_mismatch"
    assert (await complete(found)).expect(200)["run_status"] == "completed"
    assert check_standing(read_state(cluster.settings.database_url)) == []


# --- execution nodes ------------------------------------------------------------------

ORDERS = 20
MODULES = "examples.order_processing.workflow,examples.order_processing.activities"


@pytest.fixture
def factory(new_cluster: NewCluster) -> Cluster:
    """A cluster whose two execution nodes process orders."""
    return new_cluster(
        counts={each: 1 for each in ProcessClass} | {EXECUTION: 2},
        environment=SHORT_LEASES,
        of_class={
            EXECUTION: {
                "DW_EXECUTION_MODULES": MODULES,
                "DW_EXECUTION_TASK_QUEUES": "orders",
            }
        },
    )


async def order(cluster: Cluster, number: int) -> str:
    """Start a workflow and approve it; its id."""
    client = operator_of(cluster.node(ProcessClass.INGRESS_NODE))
    body = {
        "workflow_type": WORKFLOW_TYPE,
        "task_queue": "orders",
        "input": [
            {
                "order_id": f"o-{number}",
                "item": "cup",
                "quantity": 2,
                "unit_price_cents": 5,
                "address": "1 Old Lane",
            }
        ],
    }
    started = (await ask(client, "POST", "/api/workflows", body)).expect(201)
    workflow_id = str(started["workflow_id"])
    path = f"/api/workflows/{workflow_id}/signal/{APPROVE}"
    (await ask(client, "POST", path, {"input": ["ada"]})).expect(202)
    return workflow_id


async def shipped(cluster: Cluster, workflow_ids: list[str]) -> int:
    """How many of them have ended as they should."""
    client = operator_of(cluster.node(ProcessClass.INGRESS_NODE))
    count = 0
    for workflow_id in workflow_ids:
        run = (await ask(client, "GET", f"/api/workflows/{workflow_id}")).expect(200)
        if run["is_terminal"]:
            assert run["status"] == "completed", run
            assert run["output"]["status"] == "shipped"
            assert run["output"]["payment"] == {"charged_cents": 10}
            count += 1
    return count


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_ha_worker_loss_an_execution_node_leaves_its_work_to_the_other(
    factory: Cluster, how: str, report: Report
) -> None:
    workflow_ids = [await order(factory, number) for number in range(ORDERS)]
    node = factory.node(EXECUTION)
    if how == "killed":
        await asyncio.to_thread(node.kill)
    else:
        assert await asyncio.to_thread(node.terminate) == 0

    async def all_shipped() -> bool:
        return await shipped(factory, workflow_ids) == ORDERS

    took = await seconds_until(
        all_shipped, what="all orders are shipped", deadline_seconds=END_SECONDS
    )
    report(f"execution node {how}, all {ORDERS} orders shipped", took)
    client = operator_of(factory.node(ProcessClass.INGRESS_NODE))
    workers = (await ask(client, "GET", "/api/workers")).expect(200)["workers"]
    left = {each["worker_id"].startswith(f"{EXECUTION}-1-") for each in workers}
    # Only a node that ends by itself takes its workers along.
    assert left == ({True, False} if how == "killed" else {False})
    assert check_standing(read_state(factory.settings.database_url)) == []
