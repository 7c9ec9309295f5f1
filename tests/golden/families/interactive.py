"""The workflow type that the recordings of messages are about, and its worker.

There it is a class of the server's own; here a worker declares what it understands.
"""

from __future__ import annotations

from typing import Any

from tests.golden.deviations import Deviation
from tests.golden.families.family import Act
from tests.golden.replaying import Replay

DECLARED = "tests.interactive-command-workflow"
QUEUE = "cq"
WORKER = "C"
WAIT = {"type": "open_condition_wait", "condition_key": "k"}


def a_parameter(name: str, type_name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "required": True, "type": type_name, **fields}


CONTRACT = {
    "signals": ["advance", "finish"],
    "signal_contracts": [
        {"name": "advance", "parameters": [a_parameter("name", "string")]}
    ],
    "updates": ["approve"],
    "update_contracts": [
        {
            "name": "approve",
            "parameters": [
                a_parameter("approved", "bool", allows_null=False),
                a_parameter("source", "string", required=False, default="manual"),
            ],
        }
    ],
}


async def prepare(replay: Replay) -> None:
    await replay.make_namespace()
    contracts = {DECLARED: CONTRACT}
    await replay.register(
        WORKER,
        QUEUE,
        supported_workflow_types=["c.flow", "tests.await-approval-workflow", DECLARED],
        workflow_command_contracts=contracts,
    )


async def waiting(replay: Replay, workflow_id: str) -> None:
    """A workflow that waits for a condition; so does every other that had a task."""
    await replay.start(workflow_id, DECLARED, task_queue=QUEUE)
    body = {"worker_id": WORKER, "task_queue": QUEUE}
    found = None
    while found != workflow_id:
        task = (await replay.worker("workflow-tasks/poll", body))["task"]
        await replay.complete(task, WAIT)
        found = task["workflow_id"]


def waits(*workflow_ids: str) -> Act:
    async def act(replay: Replay) -> None:
        for workflow_id in workflow_ids:
            await waiting(replay, workflow_id)

    return act


def terminated(*workflow_ids: str) -> Act:
    async def act(replay: Replay) -> None:
        for workflow_id in workflow_ids:
            await replay.operator("POST", f"/api/workflows/{workflow_id}/terminate", {})

    return act


NO_CLASSES = (
    Deviation(
        r"event\.payload\.workflow_class",
        "engine §7.6: without PHP classes the type stands for the class",
    ),
    Deviation(
        r"event\.payload\.(declared_\w+|workflow_definition_fingerprint)",
        "control-plane §17 D3: what a type declares is known from its workers",
        "missing",
    ),
)
