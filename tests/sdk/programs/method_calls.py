"""A scenario for each method of the client that works: ``<method>``, and
``handle_<method>``, ``schedule_<method>`` and ``standalone_<method>`` for those of the
handles of a workflow, a schedule and a standalone activity."""

from __future__ import annotations

import asyncio

import durable_workflow
from durable_workflow import Client

from tests.sdk.programs.connection import connect
from tests.sdk.programs.method_stage import LEAP_DAY, TYPE, Stage, same

# discovery and administration --------------------------------------------------------


async def health(stage: Stage) -> None:
    same((await stage.client.health())["status"], "serving")


async def get_cluster_info(stage: Stage) -> None:
    same((await stage.client.get_cluster_info())["control_plane"]["version"], "2")


async def aclose(stage: Stage) -> None:
    await stage.client.health()
    await stage.client.aclose()


async def list_namespaces(stage: Stage) -> None:
    name = await stage.namespace()
    found = await stage.client.list_namespaces()
    assert name in [each.name for each in found.namespaces], found


async def describe_namespace(stage: Stage) -> None:
    name = await stage.namespace()
    same((await stage.client.describe_namespace(name)).retention_days, 30)


async def create_namespace(stage: Stage) -> None:
    made = await stage.client.create_namespace(
        stage.name, description="of a test", retention_days=7
    )
    same(
        (made.name, made.description, made.retention_days), (stage.name, "of a test", 7)
    )


async def update_namespace(stage: Stage) -> None:
    name = await stage.namespace()
    made = await stage.client.update_namespace(name, retention_days=9)
    same(made.retention_days, 9)


async def set_namespace_external_storage(stage: Stage) -> None:
    name = await stage.namespace()
    made = await stage.client.set_namespace_external_storage(
        name, driver="local", enabled=False
    )
    same(made.name, name)


async def test_external_storage(stage: Stage) -> None:
    name = await stage.namespace()
    await stage.client.set_namespace_external_storage(name, driver="local")
    async with connect(namespace=name) as client:
        found = await client.test_external_storage(
            small_payload_bytes=100, large_payload_bytes=70_000
        )
    same((found.status, found.driver), ("passed", "local"))


async def activity_timeout_status(stage: Stage) -> None:
    same((await stage.client.activity_timeout_status())["expired_count"], 0)


async def activity_timeout_pass(stage: Stage) -> None:
    done = await stage.client.activity_timeout_pass(execution_ids=["nobody"])
    same((done["processed"], done["enforced"]), (1, 0))


async def repair_status(stage: Stage) -> None:
    assert "policy" in await stage.client.repair_status()


async def repair_pass(stage: Stage) -> None:
    await stage.start()
    done = await stage.client.repair_pass(instance_id=stage.name)
    same(done["repaired_existing_tasks"], 0)


async def retention_status(stage: Stage) -> None:
    same((await stage.client.retention_status())["namespace"], "default")


async def retention_pass(stage: Stage) -> None:
    done = await stage.client.retention_pass(run_ids=["nobody"])
    same(done["pruned"], 0)


async def send_webhook_bridge_event(stage: Stage) -> None:
    event = {
        "action": "start_workflow",
        "idempotency_key": stage.name,
        "target": {"workflow_type": TYPE, "task_queue": stage.name},
    }
    first = await stage.client.send_webhook_bridge_event("shop", **event)
    again = await stage.client.send_webhook_bridge_event("shop", **event)
    same((first.outcome, again.outcome), ("accepted", "duplicate"))
    same(again.workflow_id, first.workflow_id)


async def list_search_attributes(stage: Stage) -> None:
    name = await stage.attribute()
    found = await stage.client.list_search_attributes()
    same(found.custom_attributes[name], "keyword")


async def create_search_attribute(stage: Stage) -> None:
    name = f"A{stage.name.replace('-', '')}"
    made = await stage.client.create_search_attribute(name, "int")
    same(made["outcome"], "created")


async def delete_search_attribute(stage: Stage) -> None:
    name = await stage.attribute()
    same((await stage.client.delete_search_attribute(name))["outcome"], "deleted")


async def list_workers(stage: Stage) -> None:
    await stage.register()
    found = await stage.client.list_workers(task_queue=stage.name)
    same([each.worker_id for each in found.workers], [stage.worker_id])


async def describe_worker(stage: Stage) -> None:
    await stage.register()
    found = await stage.client.describe_worker(stage.worker_id)
    same((found.worker_id, found.task_queue), (stage.worker_id, stage.name))


async def deregister_worker(stage: Stage) -> None:
    await stage.register()
    gone = await stage.client.deregister_worker(stage.worker_id)
    same(gone["outcome"], "deregistered")


# workflows ---------------------------------------------------------------------------


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
    same(await event_types(stage), ["SignalReceived"])


async def event_types(stage: Stage) -> list[str]:
    """Types of the events behind those of the start."""
    history = await stage.client.get_history(stage.name, stage.run_id)
    return [event["event_type"] for event in history["events"]][2:]


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


async def get_schedule_handle(stage: Stage) -> None:
    same(stage.client.get_schedule_handle("s").schedule_id, "s")


async def get_activity_handle(stage: Stage) -> None:
    same(stage.client.get_activity_handle("a").activity_id, "a")


# standalone activities ---------------------------------------------------------------


async def start_activity(stage: Stage) -> None:
    same((await stage.standalone()).activity_id, stage.name)


async def describe_activity(stage: Stage) -> None:
    await stage.paid()
    found = await stage.client.describe_activity(stage.name)
    same((found.status, found.activity_status), ("completed", "completed"))
    same((found.result, found.attempt_count), ("paid", 1))


async def list_activities(stage: Stage) -> None:
    await stage.standalone()
    found = await stage.client.list_activities(status="running", page_size=200)
    assert stage.name in [each.activity_id for each in found.activities], found


async def get_activity_result(stage: Stage) -> None:
    handle = await stage.paid()
    same(await stage.client.get_activity_result(handle), "paid")


async def standalone_describe(stage: Stage) -> None:
    same((await (await stage.standalone()).describe()).activity_id, stage.name)


async def standalone_result(stage: Stage) -> None:
    same(await (await stage.paid()).result(), "paid")


async def standalone_cancel(stage: Stage) -> None:
    handle = await stage.standalone()
    await handle.cancel(reason="enough")
    same((await handle.describe()).status, "cancelled")


# schedules ---------------------------------------------------------------------------


async def create_schedule(stage: Stage) -> None:
    same((await stage.schedule()).schedule_id, stage.name)


async def list_schedules(stage: Stage) -> None:
    await stage.schedule()
    found = await stage.client.list_schedules()
    assert stage.name in [each.schedule_id for each in found.schedules], found


async def describe_schedule(stage: Stage) -> None:
    await stage.schedule()
    found = await stage.client.describe_schedule(stage.name)
    same((found.schedule_id, found.status), (stage.name, "active"))


async def update_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.update_schedule(stage.name, note="changed")
    same((await handle.describe()).note, "changed")


async def pause_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.pause_schedule(stage.name, note="now")
    same((await handle.describe()).status, "paused")


async def resume_schedule(stage: Stage) -> None:
    handle = await stage.schedule(paused=True)
    await stage.client.resume_schedule(stage.name)
    same((await handle.describe()).status, "active")


async def trigger_schedule(stage: Stage) -> None:
    await stage.schedule()
    fired = await stage.client.trigger_schedule(stage.name)
    same(fired.outcome, "triggered")
    started = await stage.client.describe_workflow(fired.workflow_id)
    same((started.run_id, started.workflow_type), (fired.run_id, TYPE))


async def delete_schedule(stage: Stage) -> None:
    handle = await stage.schedule()
    await stage.client.delete_schedule(stage.name)
    [gone] = await asyncio.gather(handle.describe(), return_exceptions=True)
    assert isinstance(gone, durable_workflow.ScheduleNotFound), gone


async def backfill_schedule(stage: Stage) -> None:
    await stage.schedule()
    done = await stage.client.backfill_schedule(stage.name, **LEAP_DAY)
    same((done.outcome, done.fires_attempted), ("backfill_started", 1))


async def get_schedule_history(stage: Stage) -> None:
    await stage.schedule()
    page = await stage.client.get_schedule_history(stage.name)
    same([event.event_type for event in page.events], ["ScheduleCreated"])


async def iter_schedule_history(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.pause()
    events = stage.client.iter_schedule_history(stage.name, limit=1)
    types = [event.event_type async for event in events]
    same(types, ["ScheduleCreated", "SchedulePaused"])


async def schedule_describe(stage: Stage) -> None:
    same((await (await stage.schedule()).describe()).status, "active")


async def schedule_update(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.update(note="changed")
    same((await handle.describe()).note, "changed")


async def schedule_pause(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.pause()
    same((await handle.describe()).status, "paused")


async def schedule_resume(stage: Stage) -> None:
    handle = await stage.schedule(paused=True)
    await handle.resume()
    same((await handle.describe()).status, "active")


async def schedule_trigger(stage: Stage) -> None:
    same((await (await stage.schedule()).trigger()).outcome, "triggered")


async def schedule_delete(stage: Stage) -> None:
    handle = await stage.schedule()
    await handle.delete()
    [gone] = await asyncio.gather(handle.describe(), return_exceptions=True)
    assert isinstance(gone, durable_workflow.ScheduleNotFound), gone


async def schedule_backfill(stage: Stage) -> None:
    done = await (await stage.schedule()).backfill(**LEAP_DAY)
    same(done.fires_attempted, 1)


async def schedule_history(stage: Stage) -> None:
    page = await (await stage.schedule()).history()
    same([event.event_type for event in page.events], ["ScheduleCreated"])


async def schedule_iter_history(stage: Stage) -> None:
    events = (await stage.schedule()).iter_history()
    same([event.event_type async for event in events], ["ScheduleCreated"])


# worker plane ------------------------------------------------------------------------


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
    assert "ActivityCompleted" in await event_types(stage)


async def fail_activity_task(stage: Stage) -> None:
    lease = await stage.activity_task()
    await stage.client.fail_activity_task(
        **lease, message="no money", failure_type="Broke", non_retryable=True
    )
    assert "ActivityFailed" in await event_types(stage)


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


# handles -----------------------------------------------------------------------------


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
    same(await event_types(stage), ["SignalReceived"])


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
