"""The rules of a rollout: R1, R6 and R7 of ``spec/topology-and-operations.md`` §7.2."""

from __future__ import annotations

import random
import time
from pathlib import Path
from subprocess import TimeoutExpired
from typing import Any

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cli.command import end, run, start
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import Report
from tests.cluster.rehearsal import ask, operator_of, seconds_until, work
from tests.support.server_process import ServerProcess

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

QUEUE = "rollout"
DRAINED_QUEUE = "drained"


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


async def test_r6_a_build_drains_and_is_resumed(cluster: Cluster) -> None:
    """A drained worker polls in vain (decision 16), and ends what it holds."""
    edge = cluster.node(ProcessClass.INGRESS_NODE)
    builds = f"/api/task-queues/{DRAINED_QUEUE}/build-ids"

    async def operate(method: str, path: str, body: object = None) -> Any:
        answer = await ask(operator_of(edge), method, path, body)
        assert answer.status in (200, 201), answer
        return answer.body

    async def cohort(build_id: str) -> Any:
        found = (await operate("GET", builds))["build_ids"]
        return next(each for each in found if each["build_id"] == build_id)

    async def polled(worker: dict[str, str], seconds: int) -> Any:
        poll = {**worker, "timeout_seconds": seconds}
        return (await work(edge, "workflow-tasks/poll", poll)).expect(200)["task"]

    async def complete(task: Any) -> None:
        completion = {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": [{"type": "complete_workflow", "result": None}],
        }
        path = f"workflow-tasks/{task['task_id']}/complete"
        assert (await work(edge, path, completion)).expect(200)["recorded"] is True

    async def start_run(workflow_id: str) -> None:
        body = {"workflow_type": "any", "task_queue": DRAINED_QUEUE}
        await operate("POST", "/api/workflows", {**body, "workflow_id": workflow_id})

    old, new = (
        {"worker_id": f"r6-{build}", "task_queue": DRAINED_QUEUE, "build_id": build}
        for build in ("b1", "b2")
    )
    (await work(edge, "register", {**old, "runtime": "python"})).expect(201)
    await start_run("r6-held")
    held = await polled(old, 30)
    assert (await cohort("b1"))["rollout_status"] == "active"

    drained = await operate("POST", f"{builds}/drain", {"build_id": "b1"})
    assert await operate("POST", f"{builds}/drain", {"build_id": "b1"}) == drained
    # The poll counts as a heartbeat, which is written at about this time.
    assert (await cohort("b1"))["rollout_status"] in {
        "active_with_draining",
        "draining",
    }
    beat = await work(edge, "heartbeat", {"worker_id": old["worker_id"]})
    assert beat.expect(200)["status"] == "draining"
    found = await cohort("b1")
    assert (found["active_worker_count"], found["draining_worker_count"]) == (0, 1)
    (await work(edge, "register", {**new, "runtime": "python"})).expect(201)
    await start_run("r6-next")
    assert await polled(old, 1) is None
    next_task = await polled(new, 30)
    assert next_task["workflow_id"] == "r6-next"
    await complete(held)
    await complete(next_task)

    await operate("DELETE", f"/api/workers/{old['worker_id']}")
    found = await cohort("b1")
    assert (found["rollout_status"], found["total_worker_count"]) == ("draining", 0)
    health = (await operate("GET", "/api/system/health"))["health"]
    (shown,) = health["routing_drains"]["queues"]
    assert (shown["task_queue"], shown["draining_build_id_count"]) == (DRAINED_QUEUE, 1)
    for _ in range(2):
        resumed = await operate("POST", f"{builds}/resume", {"build_id": "b1"})
        assert (resumed["drain_intent"], resumed["drained_at"]) == ("active", None)
    (await work(edge, "register", {**old, "runtime": "python"})).expect(201)
    await start_run("r6-back")
    await complete(await polled(old, 30))


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
