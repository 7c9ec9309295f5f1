"""Scenarios of the client's methods about workers and their tasks."""

from __future__ import annotations

import asyncio

import durable_workflow

from tests.sdk.programs.method_stage import Stage, same
from tests.sdk.programs.workflow_calls import query_workflow


async def register_worker(stage: Stage) -> None:
    same((await stage.register())["worker_id"], stage.worker_id)


async def heartbeat_worker(stage: Stage) -> None:
    await stage.register()
    await stage.client.heartbeat_worker(worker_id=stage.worker_id)


async def deregister_worker_registration(stage: Stage) -> None:
    await stage.register()
    await stage.client.deregister_worker_registration(stage.worker_id)


async def poll_workflow_task(stage: Stage) -> None:
    await stage.workflow_task()


async def poll_workflow_task_response(stage: Stage) -> None:
    await stage.register()
    await stage.start()
    answer = await stage.client.poll_workflow_task_response(
        worker_id=stage.worker_id, task_queue=stage.name
    )
    same(answer["task"]["workflow_id"], stage.name)


async def workflow_task_history(stage: Stage) -> None:
    await stage.register()
    await stage.start()
    for _ in range(600):
        await stage.client.signal_workflow(stage.name, "go")
    task = await stage.client.poll_workflow_task(
        worker_id=stage.worker_id, task_queue=stage.name
    )
    token = task["next_history_page_token"]
    assert token, "the history of the task has one page only"
    page = await stage.client.workflow_task_history(
        task_id=task["task_id"],
        page_token=token,
        lease_owner=task["lease_owner"],
        workflow_task_attempt=task["workflow_task_attempt"],
    )
    first = page["history_events"][0]["sequence"]
    same(first, task["history_events"][-1]["sequence"] + 1)


async def complete_workflow_task(stage: Stage) -> None:
    await stage.closed()
    same((await stage.client.describe_workflow(stage.name)).status, "completed")


async def fail_workflow_task(stage: Stage) -> None:
    _, lease = await stage.workflow_task()
    failed = await stage.client.fail_workflow_task(
        **lease, message="not now", failure_type="Busy"
    )
    same(failed["outcome"], "failed")


async def heartbeat_workflow_task(stage: Stage) -> None:
    _, lease = await stage.workflow_task()
    beat = await stage.client.heartbeat_workflow_task(**lease)
    same(beat["renewed"], True)


async def poll_activity_task(stage: Stage) -> None:
    await stage.activity_task()


async def complete_activity_task(stage: Stage) -> None:
    lease = await stage.activity_task()
    await stage.client.complete_activity_task(**lease, result="paid")
    assert "ActivityCompleted" in await stage.event_types()


async def fail_activity_task(stage: Stage) -> None:
    lease = await stage.activity_task()
    await stage.client.fail_activity_task(
        **lease, message="no money", failure_type="Broke", non_retryable=True
    )
    assert "ActivityFailed" in await stage.event_types()


async def heartbeat_activity_task(stage: Stage) -> None:
    lease = await stage.activity_task()
    beat = await stage.client.heartbeat_activity_task(**lease, details={"done": 1})
    same(beat["cancel_requested"], False)


async def poll_query_task(stage: Stage) -> None:
    await query_workflow(stage)


async def complete_query_task(stage: Stage) -> None:
    await query_workflow(stage)


async def fail_query_task(stage: Stage) -> None:
    query, lease = await stage.query_task()
    await stage.client.fail_query_task(**lease, message="not this one")
    [failure] = await asyncio.gather(query, return_exceptions=True)
    assert isinstance(failure, durable_workflow.QueryFailed), failure
    assert "not this one" in str(failure), failure
