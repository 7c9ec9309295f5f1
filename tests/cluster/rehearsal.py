"""What the rehearsals of failures have in common: clients and watchers of a cluster."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.cluster.cluster import TOKEN
from tests.support.json_http import WORKER_HEADER, Answer, JsonHttp, operator
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

LOOK_SECONDS = 0.25


def operator_of(node: ServerProcess) -> JsonHttp:
    return operator(node.base_url, TOKEN)


async def ask(client: JsonHttp, method: str, path: str, body: object = None) -> Answer:
    """A request that leaves the event loop free."""
    return await asyncio.to_thread(client.request, method, path, body)


async def work(node: ServerProcess | str, path: str, body: Mapping[str, Any]) -> Answer:
    """A request of the worker plane."""
    base_url = node if isinstance(node, str) else node.base_url
    client = JsonHttp(
        base_url, {"Authorization": f"Bearer {TOKEN}", WORKER_HEADER: "1.20"}
    )
    return await ask(client, "POST", f"/api/worker/{path}", body)


async def checks_of(node: ServerProcess) -> dict[str, Any]:
    """The checks of readiness, whatever its status."""
    body = (await ask(JsonHttp(node.base_url), "GET", "/api/ready")).body
    checks: dict[str, Any] = body["checks"]
    return checks


async def warnings_of(node: ServerProcess) -> set[str]:
    """Checks of readiness, and of the engine within them, that warn; not because of
    tasks that a test leaves waiting."""
    checks = await checks_of(node)
    found = {name for name, check in checks.items() if check["status"] == "warning"}
    of_engine = set(checks["workflow_v2"]["warning_checks"]) - {"routing_health"}
    return (found - {"workflow_v2"}) | of_engine


async def seconds_until(
    holds: Callable[[], Any], *, what: str, deadline_seconds: float = 30.0
) -> float:
    """How long it took."""
    began = time.monotonic()
    await eventually(holds, what=what, deadline_seconds=deadline_seconds)
    return time.monotonic() - began


@asynccontextmanager
async def watching_readiness(
    nodes: Iterable[ServerProcess],
) -> AsyncIterator[Counter[tuple[str, int | str]]]:
    """How often each node answered readiness with which status, in the block."""
    seen: Counter[tuple[str, int | str]] = Counter()
    timeout = aiohttp.ClientTimeout(total=5.0)

    async def watch(session: aiohttp.ClientSession, node: ServerProcess) -> None:
        while True:
            status: int | str
            try:
                async with session.get(f"{node.base_url}/api/ready") as answer:
                    status = answer.status
            except (aiohttp.ClientError, TimeoutError) as error:
                status = type(error).__name__
            seen[node.log_path.stem, status] += 1
            await asyncio.sleep(LOOK_SECONDS)

    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        asyncio.TaskGroup() as watchers,
    ):
        tasks = [watchers.create_task(watch(session, node)) for node in nodes]
        yield seen
        for task in tasks:
            task.cancel()
