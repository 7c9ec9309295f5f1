"""The floor keeps the protocol, and its one statement writes what was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import orjson
import pytest
from aiohttp import web

from benchmarks.floor.group_commit import GroupCommit, create_schema
from benchmarks.floor.protocol import Document, Floor
from benchmarks.floor.rows import Rows, merged
from benchmarks.floor.server import answer, build_application, store_nothing
from benchmarks.load.closed_loop import run_closed_loop
from benchmarks.load.order import Order, Phase
from benchmarks.load.session import Session
from benchmarks.workloads import WORKLOADS
from tests.support.ports import LOOPBACK, free_port


@asynccontextmanager
async def serving(floor: Floor) -> AsyncIterator[str]:
    runner = web.AppRunner(
        build_application(floor), access_log=None, shutdown_timeout=0.1
    )
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    try:
        yield f"http://{LOOPBACK}:{port}"
    finally:
        await runner.cleanup()


def order_of(workload: str, url: str) -> Order:
    return Order(
        workload=workload,
        urls=[url],
        token="secret",
        concurrency=3,
        warmup_seconds=0.0,
        window_seconds=0.3,
        tag="t",
    )


@pytest.mark.parametrize("workload", ["w1", "w2", "w3"])
async def test_closed_loop_completes_and_verifies_on_the_floor(workload: str) -> None:
    phases: list[Phase] = []
    async with serving(Floor(store_nothing)) as url:
        session = Session(order_of(workload, url))
        await run_closed_loop(session, WORKLOADS[workload], phases.append)
        await session.close()
    result = session.load_result()
    assert result.errors == {}
    assert phases == list(Phase)
    assert result.counts["verified completed"] >= 3
    assert result.counts["duplicate completions"] == 0
    plan = WORKLOADS[workload]
    completed = result.counts["workflow tasks"] - result.counts["workflow ids"]
    assert completed == result.counts["workflow ids"] * plan.steps


async def test_session_counts_refusals_by_route_and_not_by_id() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"reason": "no_such_thing"}, status=404)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", refuse)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, LOOPBACK, port).start()
    session = Session(order_of("w1", f"http://{LOOPBACK}:{port}"))
    connection = session.control_connection()
    for workflow_id in ("a", "b"):
        assert await session.get(connection, f"/api/workflows/{workflow_id}") is None
    await session.close()
    await runner.cleanup()
    assert session.errors == {"GET /api/workflows/*: 404 no_such_thing": 2}


def test_merged_rows_change_a_run_once() -> None:
    first, second = Rows(), Rows()
    first.change_run("r1", "waiting", 4)
    first.add("close_task", "t1")
    second.change_run("r1", "completed", 5)
    second.add("close_task", "t2")
    sql, arguments = merged([first, second]).statement()
    assert sql.count("update run") == 1
    assert arguments[1:] == [["r1"], ["completed"], [5], ["t1", "t2"]]


async def test_group_commit_stores_a_workflow(empty_postgres_url: str) -> None:
    await create_schema(empty_postgres_url)
    commits = GroupCommit(empty_postgres_url)
    writing = asyncio.create_task(commits.run())
    floor = Floor(commits.write)
    start = {"workflow_id": "w", "task_queue": "q", "input": {}}
    await answer(floor, "/api/workflows", start)
    for command in ("schedule_activity", "complete_workflow"):
        poll = {"worker_id": "v", "task_queue": "q"}
        task = await _poll(floor, "workflow-tasks", poll)
        work: Document = {"type": command, "activity_type": "a", "arguments": {}}
        path = f"/api/worker/workflow-tasks/{task['task_id']}/complete"
        await answer(floor, path, {"commands": [work]})
        if command == "schedule_activity":
            task = await _poll(floor, "activity-tasks", poll)
            path = f"/api/worker/activity-tasks/{task['task_id']}/complete"
            await answer(floor, path, {"result": {}})
    writing.cancel()
    connection = await asyncpg.connect(empty_postgres_url)
    run = await connection.fetchrow("select status, last_sequence from run")
    events = await connection.fetch("select type from event order by sequence")
    open_tasks = await connection.fetchval(
        "select count(*) from task where status <> 'completed'"
    )
    await connection.close()
    assert tuple(run) == ("completed", 6)
    assert [row["type"] for row in events] == [
        "StartAccepted",
        "WorkflowStarted",
        "ActivityScheduled",
        "ActivityStarted",
        "ActivityCompleted",
        "WorkflowCompleted",
    ]
    assert open_tasks == 0


async def _poll(floor: Floor, kind: str, body: dict[str, str]) -> dict[str, str]:
    document = orjson.loads(await answer(floor, f"/api/worker/{kind}/poll", body))
    task: dict[str, str] = document["task"]
    return task
