"""An ingress, a control-plane and a matching node as real processes on PostgreSQL."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest

from benchmarks.metering import pss_bytes
from tests.support.embedded_bundles import a_bundle
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.probes import run_in_thread
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.waiting import wait_until

pytestmark = pytest.mark.full

QUEUE = "orders"
WORKER = {"Authorization": f"Bearer {TEST_TOKEN}", WORKER_HEADER: "1.20"}
POLL = "/api/worker/workflow-tasks/poll"
POLLS, WORKERS = 2000, 50
# While the last ones open, the first ones return and are sent again.
MOST_POLLS = 1900
KB = 1024


@dataclass(frozen=True)
class Split:
    database_url: str
    ingress: ServerProcess
    control: ServerProcess
    matching: ServerProcess

    @property
    def operator(self) -> JsonHttp:
        return operator(self.ingress.base_url, TEST_TOKEN)

    @property
    def worker(self) -> JsonHttp:
        return JsonHttp(self.ingress.base_url, WORKER)

    def register(self, worker_id: str = "w1") -> None:
        body = {"worker_id": worker_id, "task_queue": QUEUE, "runtime": "python"}
        self.worker.request("POST", "/api/worker/register", body).expect(201)

    def poll(self, seconds: float) -> Any:
        body = {"worker_id": "w1", "task_queue": QUEUE, "timeout_seconds": seconds}
        return self.worker.request("POST", POLL, body).expect(200)

    def start_workflow(self, workflow_id: str) -> Any:
        body = {
            "workflow_id": workflow_id,
            "workflow_type": "orders.Ship",
            "task_queue": QUEUE,
        }
        return self.operator.request("POST", "/api/workflows", body).expect(201)


@pytest.fixture
def split(postgres_url: str, start_server: StartServer) -> Split:
    def start(process_class: str) -> ServerProcess:
        env = {
            "DW_SERVER_TOPOLOGY_SHAPE": "split_control_execution",
            "DW_SERVER_PROCESS_CLASS": process_class,
            "DW_SERVER_KEY": "the key of all nodes of this test",
        }
        return start_server(postgres_url, env)

    matching, control = start("matching_node"), start("control_plane_node")
    wait_until(
        lambda: len(nodes_of(control)) == 2,
        deadline_seconds=30,
        what="two registered nodes",
    )
    # What it sees first is both of them.
    ingress = start("ingress_node")
    found = Split(postgres_url, ingress, control, matching)
    wait_until(
        lambda: found.operator.request("GET", "/api/workflows").status == 200,
        deadline_seconds=30,
        what="an answer through the ingress",
    )
    return found


def test_a_workflow_runs_through_an_ingress(split: Split) -> None:
    split.register()
    split.start_workflow("order-1")
    task = split.poll(20)["task"]
    assert task["workflow_id"] == "order-1"
    body = {
        "lease_owner": "w1",
        "workflow_task_attempt": task["workflow_task_attempt"],
        "commands": [{"type": "complete_workflow"}],
    }
    path = f"/api/worker/workflow-tasks/{task['task_id']}/complete"
    split.worker.request("POST", path, body).expect(200)
    described = split.operator.request("GET", "/api/workflows/order-1").expect(200)
    assert described["status"] == "completed"
    run = described["run_id"]
    history = f"/api/workflows/order-1/runs/{run}/history"
    events = split.operator.request("GET", history).expect(200)["events"]
    assert [event["event_type"] for event in events][-1] == "WorkflowCompleted"
    # The nodes behind it do not answer clients themselves.
    direct = JsonHttp(split.matching.base_url, WORKER)
    refused = direct.request("POST", POLL, {"worker_id": "w1", "task_queue": QUEUE})
    assert refused.expect(503)["reason"] == "topology_role_unavailable"


def test_a_poll_outlives_the_node_that_held_it(split: Split) -> None:
    """The control plane takes it over, or its next one, and has the task."""
    split.register()
    with ThreadPoolExecutor() as threads:
        polling = threads.submit(split.poll, 50)
        wait_until(
            lambda: polls_waiting(split) > 0,
            deadline_seconds=20,
            what="a poll at the matching node",
        )
        split.matching.kill()
        split.start_workflow("order-1")
        task = polling.result(timeout=60)["task"] or split.poll(30)["task"]
    assert task["workflow_id"] == "order-1"


def nodes_of(entry: ServerProcess) -> list[Any]:
    answer = operator(entry.base_url, TEST_TOKEN).request("GET", "/api/cluster/nodes")
    return list(answer.expect(200)["nodes"])


def polls_waiting(split: Split) -> int:
    """At the matching node, as of its last heartbeat."""
    port = str(split.matching.port)
    nodes = nodes_of(split.control)
    found = next(node for node in nodes if node["address"].endswith(port))
    return int(found["load"]["polls_waiting"])


def test_idle_polls_cost_memory_and_no_query(split: Split) -> None:
    for number in range(WORKERS):
        split.register(f"w{number}")
    run_in_thread(hold_polls(split))


async def hold_polls(split: Split) -> None:
    connection = await asyncpg.connect(split.database_url)
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    try:
        quiet = await transactions_per_second(connection)
        before = pss_bytes(split.ingress.pid)
        polls = [
            asyncio.create_task(poll_idle(session, split.ingress.base_url, number))
            for number in range(POLLS)
        ]
        await asyncio.to_thread(
            wait_until,
            lambda: polls_waiting(split) >= MOST_POLLS,
            deadline_seconds=90,
            what="polls at the matching node",
        )
        per_poll = (pss_bytes(split.ingress.pid) - before) / POLLS
        idle = await transactions_per_second(connection)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)
    finally:
        await session.close()
        await connection.close()
    # The sweep of the matching node looks at each queue with pollers once a second.
    assert idle - quiet < 10
    assert per_poll < 40 * KB


async def poll_idle(session: aiohttp.ClientSession, url: str, number: int) -> None:
    body = {
        "worker_id": f"w{number % WORKERS}",
        "task_queue": QUEUE,
        "timeout_seconds": 60,
    }
    while True:
        async with session.post(f"{url}{POLL}", json=body, headers=WORKER) as answer:
            assert answer.status == 200
            await answer.read()


async def transactions_per_second(
    connection: asyncpg.Connection, seconds: float = 6.0
) -> float:
    read = "select xact_commit from pg_stat_database where datname = current_database()"
    # Backends report what they did when they are idle, at most a second later.
    first = await connection.fetchval(read)
    await asyncio.sleep(seconds)
    return float(await connection.fetchval(read) - first) / seconds


def test_a_bundle_larger_than_other_requests_goes_through(split: Split) -> None:
    large = {"available": True, "data": "A" * 3_000_000}
    nothing = {"available": False, "data": None}
    payloads = {"codec": "avro", "arguments": large, "output": nothing}
    bundle = a_bundle("moved", payloads=payloads)
    path = "/api/workflows/import/embedded-v2"
    report = split.operator.request("POST", path, bundle).expect(201)
    assert report["status"] == "imported"
    split.register()
    assert split.poll(30)["task"]["workflow_id"] == "moved"
