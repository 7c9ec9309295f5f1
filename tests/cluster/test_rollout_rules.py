"""The rules of a rollout that a single node shows: R1 and R7 of
``spec/topology-and-operations.md`` §7.2."""

from __future__ import annotations

import random
import time
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from tests.cli.command import end, run, start
from tests.cluster.cluster import TOKEN
from tests.cluster.conftest import Report
from tests.cluster.rehearsal import ask, operator_of, seconds_until, work
from tests.support.server_process import ServerProcess

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

QUEUE = "rollout"


def test_r1_a_bootstrap_that_is_killed_is_finished_by_the_next(
    empty_postgres_url: str,
) -> None:
    environ = {"DW_DATABASE_URL": empty_postgres_url}
    for _ in range(3):
        killed = start("bootstrap", env=environ)
        try:
            killed.wait(timeout=random.uniform(0.2, 1.5))
        except TimeoutExpired:
            killed.kill()
        end(killed)
    for _ in range(2):
        ended = run("bootstrap", env=environ)
        assert ended.status == 0, ended
    assert "applied" not in ended.output, "a repetition has nothing to do"


async def test_r7_work_without_a_supporter_waits_for_one(
    postgres_url: str, tmp_path: Path, report: Report
) -> None:
    """In the mode ``fail``: the node is not ready meanwhile."""
    environ = {
        "DW_DATABASE_URL": postgres_url,
        "DW_AUTH_TOKEN": TOKEN,
        "DW_V2_CURRENT_COMPATIBILITY": "b1",
        "DW_V2_FLEET_VALIDATION_MODE": "fail",
    }
    node = ServerProcess(environ, log_path=tmp_path / "node.log")
    node.start()
    try:
        await seconds_until(lambda: node.ready_status() == 503, what="an answer")
        await work_without_a_supporter(node, report)
    finally:
        node.kill()


async def work_without_a_supporter(node: ServerProcess, report: Report) -> None:
    async def blocked_runs() -> int:
        path = "/api/system/operator-metrics"
        metrics = (await ask(operator_of(node), "GET", path)).expect(200)
        count: int = metrics["operator_metrics"]["backlog"][
            "compatibility_blocked_runs"
        ]
        return count

    async def is_clear() -> bool:
        return node.ready_status() == 200 and await blocked_runs() == 0

    async def polled(build_id: str, seconds: int) -> Any:
        worker = {"worker_id": build_id, "task_queue": QUEUE, "build_id": build_id}
        registration = {**worker, "runtime": "python"}
        (await work(node, "register", registration)).expect(201)
        poll = {**worker, "timeout_seconds": seconds}
        return (await work(node, "workflow-tasks/poll", poll)).expect(200)["task"]

    body = {"workflow_id": "r7", "workflow_type": "any", "task_queue": QUEUE}
    started = await ask(operator_of(node), "POST", "/api/workflows", body)
    started.expect(201)
    assert await polled("b2", 1) is None
    assert await blocked_runs() == 1
    ready = (await ask(operator_of(node), "GET", "/api/ready")).expect(503)
    assert "worker_compatibility" in ready["checks"]["workflow_v2"]["error_checks"]
    began = time.monotonic()
    task = await polled("b1", 30)
    report("supporter there, task redelivered", time.monotonic() - began)
    assert task["workflow_id"] == "r7"
    took = await seconds_until(is_clear, what="a ready node without blocked runs")
    report("supporter there, node ready", took)
