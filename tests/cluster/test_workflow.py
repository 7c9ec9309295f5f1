"""A workflow from start to end through the edge of a split cluster."""

from __future__ import annotations

import asyncio

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import QUEUE
from tests.support.json_http import operator, read_history
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

RUNS = 10


async def test_a_workflow_runs_through_the_ingress_on_the_official_worker(
    cluster: Cluster,
) -> None:
    client = operator(cluster.base_url, TOKEN)
    started = []
    for number in range(RUNS):
        body = {
            "workflow_type": "greet",
            "task_queue": QUEUE,
            "input": [f"guest {number}"],
        }
        answer = await asyncio.to_thread(client.request, "POST", "/api/workflows", body)
        started.append(answer.expect(201))

    async def outputs() -> list[object] | None:
        """All of them, once all runs have ended."""
        found = []
        for each in started:
            path = f"/api/workflows/{each['workflow_id']}"
            run = (await asyncio.to_thread(client.request, "GET", path)).expect(200)
            if not run["is_terminal"]:
                return None
            found.append(run["output"])
        return found

    found = await eventually(outputs, deadline_seconds=30)
    assert found == [{"greeting": f"hello, guest {n}"} for n in range(RUNS)]
    first = started[0]
    events = await asyncio.to_thread(
        read_history, client, first["workflow_id"], first["run_id"]
    )
    assert events[0]["event_type"] == "StartAccepted"
    assert events[-1]["event_type"] == "WorkflowCompleted"
    workers = await asyncio.to_thread(client.request, "GET", "/api/workers")
    (worker,) = workers.expect(200)["workers"]
    assert worker["worker_id"].startswith(f"{ProcessClass.EXECUTION_NODE.value}-1-")
