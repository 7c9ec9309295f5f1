"""An execution node as a process, beside the server that its workers poll."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.execution.programs import greetings
from tests.support.json_http import JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer
from tests.support.server_process import ServerProcess
from tests.support.waiting import eventually

QUEUE = "greetings"
MODULE = "tests.execution.programs.greetings"


class StartNode(Protocol):
    def __call__(self, env: Mapping[str, str]) -> ServerProcess: ...


@pytest.fixture
def server(start_server: StartServer, postgres_url: str) -> ServerProcess:
    return start_server(postgres_url)


@pytest.fixture
def start_node(postgres_url: str, tmp_path: Path) -> Iterator[StartNode]:
    """Starts an execution node, without waiting for anything."""
    with ExitStack() as nodes:

        def start(env: Mapping[str, str]) -> ServerProcess:
            node = ServerProcess(
                {
                    "DW_DATABASE_URL": postgres_url,
                    "DW_AUTH_TOKEN": TEST_TOKEN,
                    "DW_SERVER_PROCESS_CLASS": "worker_node",
                    "DW_SERVER_ID": "node-1",
                    "DW_EXECUTION_TASK_QUEUES": QUEUE,
                    "NO_PROXY": "127.0.0.1",
                    greetings.FOLDER: str(tmp_path),
                    **env,
                },
                log_path=tmp_path / "node.log",
            )
            node.start()
            nodes.callback(node.kill)
            return node

        yield start


def env_for(server: ServerProcess) -> dict[str, str]:
    return {
        "DW_EXECUTION_MODULES": MODULE,
        "DW_EXECUTION_SERVER_URL": server.base_url,
    }


def start_run(server: ServerProcess, workflow_type: str, *arguments: object) -> str:
    client = operator(server.base_url, TEST_TOKEN)
    body = {
        "workflow_type": workflow_type,
        "task_queue": QUEUE,
        "input": list(arguments),
    }
    started = client.request("POST", "/api/workflows", body).expect(201)
    return str(started["workflow_id"])


async def ended(server: ServerProcess, workflow_id: str) -> Any:
    client = operator(server.base_url, TEST_TOKEN)

    async def closed() -> Any:
        path = f"/api/workflows/{workflow_id}"
        run = (await asyncio.to_thread(client.request, "GET", path)).expect(200)
        return run if run["is_terminal"] else None

    return await eventually(closed, deadline_seconds=20)


def workers_of(server: ServerProcess) -> list[Any]:
    client = operator(server.base_url, TEST_TOKEN)
    listed: list[Any] = client.request("GET", "/api/workers").expect(200)["workers"]
    return listed


async def readiness_of(node: ServerProcess, status: str) -> Any:
    """The answer to readiness once the check of the workers has this status."""

    async def asked() -> Any:
        answer = await asyncio.to_thread(
            JsonHttp(node.base_url).request, "GET", "/api/ready"
        )
        return answer if answer.body["checks"]["execution"]["status"] == status else 0

    await eventually(lambda: node.ready_status() is not None, deadline_seconds=20)
    return await eventually(asked, deadline_seconds=20)


async def test_a_node_runs_the_workflows_of_its_modules(
    server: ServerProcess, start_node: StartNode
) -> None:
    node = start_node(env_for(server) | {"DW_EXECUTION_BUILD_ID": "build-7"})
    workflow_id = await asyncio.to_thread(start_run, server, "greet", "ada")
    run = await ended(server, workflow_id)
    assert run["status"] == "completed"
    assert run["output"] == {"greeting": "hello, ada"}
    (worker,) = await asyncio.to_thread(workers_of, server)
    assert worker["worker_id"].startswith(f"node-1-{QUEUE}-")
    assert worker["build_id"] == "build-7"
    ready = await readiness_of(node, "ok")
    assert ready.status == 200
    assert ready.body["topology"]["current_roles"] == ["execution_plane"]


@pytest.mark.full
async def test_an_embedded_process_runs_modules_that_it_is_given(
    server: ServerProcess, start_node: StartNode
) -> None:
    embedded = {
        "DW_SERVER_TOPOLOGY_SHAPE": "embedded",
        "DW_SERVER_PROCESS_CLASS": "application_process",
    }
    node = start_node(env_for(server) | embedded)
    workflow_id = await asyncio.to_thread(start_run, server, "greet", "eve")
    assert (await ended(server, workflow_id))["output"] == {"greeting": "hello, eve"}
    assert (await readiness_of(node, "ok")).status == 200


async def test_a_stopping_node_finishes_its_activity_and_deregisters(
    server: ServerProcess, start_node: StartNode, tmp_path: Path
) -> None:
    node = start_node(env_for(server))
    workflow_id = await asyncio.to_thread(start_run, server, "linger")
    running = tmp_path / "running"
    await eventually(running.exists, deadline_seconds=20, what="the activity")
    ending = asyncio.create_task(asyncio.to_thread(node.terminate))
    await readiness_of(node, "draining")
    (tmp_path / "released").touch()
    assert await ending == 0
    assert await asyncio.to_thread(workers_of, server) == []
    # What the drained worker did is kept; the rest is for another one.
    start_node(env_for(server))
    run = await ended(server, workflow_id)
    assert run["output"] == "done"


@pytest.mark.full
async def test_workers_register_when_the_server_comes(
    start_server: StartServer, start_node: StartNode, postgres_url: str
) -> None:
    spare = start_server(postgres_url)
    spare.terminate()
    node = start_node(env_for(spare))
    waiting = await readiness_of(node, "unavailable")
    assert waiting.status == 503
    assert QUEUE in waiting.body["checks"]["execution"]["message"]
    spare.start()
    assert (await readiness_of(node, "ok")).status == 200


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "which need DW_EXECUTION_MODULES and DW_EXECUTION_SERVER_URL."),
        ({"DW_EXECUTION_MODULES": MODULE}, "which need DW_EXECUTION_SERVER_URL."),
    ],
)
async def test_a_node_without_its_settings_says_what_is_missing(
    start_node: StartNode, env: dict[str, str], message: str
) -> None:
    node = start_node(env)
    answer = await readiness_of(node, "invalid")
    assert answer.status == 503
    assert message in answer.body["checks"]["execution"]["message"]
    health = await asyncio.to_thread(
        JsonHttp(node.base_url).request, "GET", "/api/health"
    )
    health.expect(200)


async def test_a_node_with_a_bad_module_stays_up_and_is_never_ready(
    server: ServerProcess, start_node: StartNode
) -> None:
    bad = f"{MODULE},no_such_module_anywhere"
    node = start_node(env_for(server) | {"DW_EXECUTION_MODULES": bad})
    answer = await readiness_of(node, "invalid")
    assert answer.status == 503
    check = answer.body["checks"]["execution"]
    assert check["message"] == "DW_EXECUTION_MODULES cannot be used."
    assert "No module named 'no_such_module_anywhere'" in node.log_text()
    assert await asyncio.to_thread(node.terminate) == 0


async def test_a_node_without_the_sdk_says_how_to_get_it(
    server: ServerProcess, start_node: StartNode, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden" / "durable_workflow"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('hidden')\n")
    node = start_node(env_for(server) | {"PYTHONPATH": str(hidden.parent)})
    answer = await readiness_of(node, "invalid")
    check = answer.body["checks"]["execution"]
    assert "not installed" in check["message"]
    assert "`execution`" in check["remediation"]


async def test_a_node_refuses_requests_of_clients(
    start_node: StartNode,
) -> None:
    node = start_node({})
    await readiness_of(node, "invalid")
    client = operator(node.base_url, TEST_TOKEN)
    answer = await asyncio.to_thread(client.request, "GET", "/api/workflows")
    assert answer.expect(503)["reason"] == "topology_role_unavailable"
    assert answer.body["current_process_class"] == "worker_node"
    info = await asyncio.to_thread(client.request, "GET", "/api/cluster/info")
    assert info.expect(200)["topology"]["current_roles"] == ["execution_plane"]
