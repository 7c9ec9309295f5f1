"""The small cluster of the deployment guide: equal nodes without sticky sessions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dwserver.topology.shapes import ProcessClass, Shape
from tests.cluster.cluster import TOKEN, Cluster
from tests.cluster.conftest import NewCluster
from tests.support.json_http import WORKER_HEADER, JsonHttp, operator
from tests.support.server_process import ServerProcess

pytestmark = [pytest.mark.cluster, pytest.mark.full, pytest.mark.timeout(180)]

QUEUE = "small"


@pytest.fixture
def small(new_cluster: NewCluster) -> Cluster:
    return new_cluster(
        shape=Shape.STANDALONE_SERVER,
        counts={ProcessClass.SERVER_HTTP_NODE: 2, ProcessClass.SCHEDULER_NODE: 1},
    )


def client_of(node: ServerProcess) -> JsonHttp:
    return operator(node.base_url, TOKEN)


def work(node: ServerProcess, path: str, body: dict[str, Any]) -> Any:
    answer = client_of(node).request(
        "POST", f"/api/worker/{path}", body, headers={WORKER_HEADER: "1.20"}
    )
    assert answer.status in (200, 201), answer
    return answer.body


async def test_r4_a_poll_on_one_node_is_completed_on_the_other(small: Cluster) -> None:
    first, second = small.of_class(ProcessClass.SERVER_HTTP_NODE)
    worker = {"worker_id": "traveller", "task_queue": QUEUE}
    registered = work(first, "register", {**worker, "runtime": "python"})
    assert registered["registered"] is True
    # The poll waits on one node while the run is started on the other.
    waiting = asyncio.create_task(
        asyncio.to_thread(
            work, first, "workflow-tasks/poll", {**worker, "timeout_seconds": 30}
        )
    )
    started = client_of(second).request(
        "POST", "/api/workflows", {"workflow_type": "any", "task_queue": QUEUE}
    )
    workflow_id = started.expect(201)["workflow_id"]
    task = (await waiting)["task"]
    assert task["workflow_id"] == workflow_id
    completed = work(
        second,
        f"workflow-tasks/{task['task_id']}/complete",
        {
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
            "commands": [{"type": "complete_workflow", "result": None}],
        },
    )
    assert completed["recorded"] is True
    assert completed["run_status"] == "completed"
    for node in (first, second):
        run = client_of(node).request("GET", f"/api/workflows/{workflow_id}")
        assert run.expect(200)["status"] == "completed"
