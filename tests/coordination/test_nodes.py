"""Two nodes on one PostgreSQL and one Redis, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.faulty_link import FaultyLink
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster
WORKER = {"worker_id": "worker-1", "task_queue": "orders"}


async def ask(client: JsonHttp, *request: Any) -> Any:
    """The body of a 2xx answer; the link between nodes and Redis goes on meanwhile."""
    answer = await asyncio.to_thread(client.request, *request)
    assert answer.status < 300, answer
    return answer.body


def worker(base_url: str) -> JsonHttp:
    headers = {
        "Authorization": f"Bearer {TEST_TOKEN}",
        "X-Namespace": "default",
        WORKER_HEADER: "1.20",
    }
    return JsonHttp(base_url, headers)


async def start(client: JsonHttp, workflow_id: str) -> None:
    body = {
        "workflow_id": workflow_id,
        "workflow_type": "orders.Ship",
        "task_queue": "orders",
    }
    await ask(client, "POST", "/api/workflows", body)


def poll(client: JsonHttp) -> asyncio.Task[Any]:
    path = "/api/worker/workflow-tasks/poll"
    return asyncio.create_task(
        ask(client, "POST", path, {**WORKER, "timeout_seconds": 30})
    )


async def warnings(client: JsonHttp) -> list[str]:
    checks = (await ask(client, "GET", "/api/ready"))["checks"]
    found = [name for name, check in checks.items() if check["status"] == "warning"]
    return found + checks["workflow_v2"]["warning_checks"]


def losses(node: ServerProcess) -> list[str]:
    """What the node has told about its Redis."""
    lines = node.log_text().splitlines()
    words = ("redis_lost", "redis_back")
    return [word for line in lines for word in words if f'"{word}"' in line]


async def test_nodes_lose_redis_and_only_latency(
    start_server: StartServer, postgres_url: str, link: FaultyLink, link_url: str
) -> None:
    environ = {"DW_REDIS_URL": link_url, "DW_V2_MULTI_NODE": "true"}
    a, b = [
        await asyncio.to_thread(start_server, postgres_url, environ) for _ in range(2)
    ]
    control = operator(a.base_url, TEST_TOKEN)
    registration = {**WORKER, "runtime": "python"}
    await ask(worker(b.base_url), "POST", "/api/worker/register", registration)
    assert await warnings(control) == []
    waiting = poll(worker(b.base_url))
    await start(control, "order-1")
    assert (await waiting)["task"]["workflow_id"] == "order-1"

    await link.cut()
    degraded = [
        "cache",
        "workflow_v2",
        "backend_capabilities",
        "long_poll_wake_acceleration",
    ]

    async def is_degraded() -> bool:
        return await warnings(control) == degraded

    await eventually(is_degraded)
    waiting = poll(worker(b.base_url))
    await start(control, "order-2")
    assert (await waiting)["task"]["workflow_id"] == "order-2"
    link.mend()

    async def is_whole() -> bool:
        return await warnings(control) == []

    await eventually(is_whole)
    for node in (a, b):
        await eventually(lambda node=node: losses(node)[-1:] == ["redis_back"])
        told = losses(node)
        # A busy machine may lose it more than once; each loss and its end is told once.
        assert told == ["redis_lost", "redis_back"] * (len(told) // 2)


async def test_a_node_starts_without_its_redis(
    start_server: StartServer, postgres_url: str, link: FaultyLink, link_url: str
) -> None:
    await link.cut()
    environ = {"DW_REDIS_URL": link_url}
    node = await asyncio.to_thread(start_server, postgres_url, environ)
    control = operator(node.base_url, TEST_TOKEN)
    assert "cache" in await warnings(control)
    await start(control, "order-1")
