"""Scenarios of the client's methods about workflows, and ``handle_<method>`` for those
of a workflow's handle."""

from __future__ import annotations

import asyncio

from durable_workflow import Client

from tests.sdk.programs.method_stage import TYPE, Stage, same


async def start_workflow(stage: Stage) -> None:
    name = await stage.attribute() if hasattr(Client, "create_search_attribute") else ""
    attributes = {name: "x"} if name else {}
    handle = await stage.start(memo={"a": 1}, search_attributes=attributes)
    assert handle.run_id, handle
    again = await stage.start(duplicate_policy="use-existing")
    same(again.run_id, handle.run_id)


async def describe_workflow(stage: Stage) -> None:
    await stage.start()
    found = await stage.client.describe_workflow(stage.name)
    same(
        (found.workflow_id, found.run_id, found.workflow_type, found.status),
        (stage.name, stage.run_id, TYPE, "pending"),
    )


async def list_workflows(stage: Stage) -> None:
    for number in range(3):
        await stage.start(f"{stage.name}-{number}")
    found = []
    token = None
    while True:
        page = await stage.client.list_workflows(
            workflow_type=TYPE,
            status="running",
            query=stage.name,
            page_size=2,
            next_page_token=token,
        )
        found += [each.workflow_id for each in page.executions]
        token = page.next_page_token
        if not token:
            break
    same(found, [f"{stage.name}-{number}" for number in (2, 1, 0)])


async def list_workflow_runs(stage: Stage) -> None:
    await stage.start()
    found = await stage.client.list_workflow_runs(stage.name)
    same([each.run_id for each in found.runs], [stage.run_id])


async def describe_workflow_run(stage: Stage) -> None:
    await stage.start()
    found = await stage.client.describe_workflow_run(stage.name, stage.run_id)
    same(found.run_id, stage.run_id)


async def get_history(stage: Stage) -> None:
    await stage.start()
    history = await stage.client.get_history(stage.name, stage.run_id)
    types = [event["event_type"] for event in history["events"]]
    same(types, ["StartAccepted", "WorkflowStarted"])


async def export_history(stage: Stage) -> None:
    await stage.start()
    bundle = await stage.client.export_history(stage.name, stage.run_id)
    same(bundle["workflow"]["run_id"], stage.run_id)
    same(len(bundle["history_events"]), 2)


async def get_workflow_handle(stage: Stage) -> None:
    await stage.start()
    handle = stage.client.get_workflow_handle(stage.name)
    same((await handle.describe()).run_id, stage.run_id)


async def get_result(stage: Stage) -> None:
    handle = await stage.closed()
    same(await stage.client.get_result(handle), None)


async def signal_workflow(stage: Stage) -> None:
    await stage.start()
    await stage.client.signal_workflow(stage.name, "go", args=[1])
    same(await stage.event_types(), ["SignalReceived"])


async def query_workflow(stage: Stage) -> None:
    query, lease = await stage.query_task()
    await stage.client.complete_query_task(**lease, result=7)
    same((await query)["result"], 7)


async def update_workflow(stage: Stage) -> None:
    await stage.start()
    made = await stage.client.update_workflow(
        stage.name, "add", args=[1], wait_for="accepted", request_id="once"
    )
    again = await stage.client.update_workflow(
        stage.name, "add", args=[1], wait_for="accepted", request_id="once"
    )
    same(again["update_id"], made["update_id"])


async def cancel_workflow(stage: Stage) -> None:
    await stage.start()
    await stage.client.cancel_workflow(stage.name, reason="enough")
    same((await stage.client.describe_workflow(stage.name)).status, "cancelled")


async def terminate_workflow(stage: Stage) -> None:
    await stage.start()
    await stage.client.terminate_workflow(stage.name, reason="enough")
    same((await stage.client.describe_workflow(stage.name)).status, "terminated")


async def archive_workflow(stage: Stage) -> None:
    await stage.closed()
    done = await stage.client.archive_workflow(stage.name, reason="old")
    same(done.outcome, "archived")


async def repair_workflow(stage: Stage) -> None:
    await stage.start()
    done = await stage.client.repair_workflow(stage.name)
    same(done.outcome, "repair_not_needed")


async def handle_result(stage: Stage) -> None:
    same(await (await stage.closed()).result(), None)


async def handle_describe(stage: Stage) -> None:
    same((await (await stage.start()).describe()).status, "pending")


async def handle_describe_run(stage: Stage) -> None:
    same((await (await stage.start()).describe_run()).run_id, stage.run_id)


async def handle_list_runs(stage: Stage) -> None:
    same(len((await (await stage.start()).list_runs()).runs), 1)


async def handle_get_history(stage: Stage) -> None:
    same(len((await (await stage.start()).get_history())["events"]), 2)


async def handle_export_history(stage: Stage) -> None:
    bundle = await (await stage.start()).export_history()
    same(bundle["workflow"]["instance_id"], stage.name)


async def handle_signal(stage: Stage) -> None:
    await (await stage.start()).signal("go", [1])
    same(await stage.event_types(), ["SignalReceived"])


async def handle_query(stage: Stage) -> None:
    await stage.register()
    handle = await stage.start()
    query = asyncio.create_task(handle.query("total"))
    task = await stage.client.poll_query_task(
        worker_id=stage.worker_id, task_queue=stage.name
    )
    await stage.client.complete_query_task(
        query_task_id=task["query_task_id"],
        lease_owner=task["lease_owner"],
        query_task_attempt=task["query_task_attempt"],
        result=8,
    )
    same((await query)["result"], 8)


async def handle_update(stage: Stage) -> None:
    made = await (await stage.start()).update("add", [1], wait_for="accepted")
    assert made["update_id"], made


async def handle_cancel(stage: Stage) -> None:
    await (await stage.start()).cancel()
    same((await stage.client.describe_workflow(stage.name)).status, "cancelled")


async def handle_archive(stage: Stage) -> None:
    same((await (await stage.closed()).archive()).outcome, "archived")


async def handle_repair(stage: Stage) -> None:
    same((await (await stage.start()).repair()).outcome, "repair_not_needed")


async def handle_terminate(stage: Stage) -> None:
    await (await stage.start()).terminate()
    same((await stage.client.describe_workflow(stage.name)).status, "terminated")
