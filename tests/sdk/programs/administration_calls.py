"""Scenarios of the client's methods about everything but workflows and tasks:
discovery, namespaces, search attributes, workers, task queues, maintenance."""

from __future__ import annotations

from tests.sdk.programs.connection import connect
from tests.sdk.programs.method_stage import TYPE, Stage, same


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


async def list_task_queues(stage: Stage) -> None:
    await stage.register()
    found = await stage.client.list_task_queues()
    (own,) = (each for each in found.task_queues if each.name == stage.name)
    same((own.stats["pollers"]["active_count"], own.pollers), (1, None))
    same(own.admission.workflow_tasks.status, "accepting")


async def describe_task_queue(stage: Stage) -> None:
    await stage.register()
    found = await stage.client.describe_task_queue(stage.name)
    same([each["worker_id"] for each in found.pollers], [stage.worker_id])
    admission = found.admission
    same(admission.activity_tasks.active_worker_count, 1)
    same(admission.query_tasks.approximate_pending_count, 0)
    unknown = await stage.client.describe_task_queue(f"{stage.name}/of nobody")
    same((unknown.name, unknown.pollers), (f"{stage.name}/of nobody", []))


async def list_task_queue_build_ids(stage: Stage) -> None:
    await stage.register()
    found = await stage.client.list_task_queue_build_ids(stage.name)
    (cohort,) = found.build_ids
    same((cohort.rollout_status, cohort.total_worker_count), ("active", 1))


async def drain_task_queue_build_id(stage: Stage) -> None:
    await stage.register()
    first = await stage.client.drain_task_queue_build_id(stage.name, None)
    again = await stage.client.drain_task_queue_build_id(stage.name, None)
    same((first.drain_intent, first.build_id), ("draining", None))
    same(again.drained_at, first.drained_at)
    await stage.register()
    found = await stage.client.list_task_queue_build_ids(stage.name)
    same([each.rollout_status for each in found.build_ids], ["draining"])


async def resume_task_queue_build_id(stage: Stage) -> None:
    await stage.client.drain_task_queue_build_id(stage.name, "b1")
    resumed = await stage.client.resume_task_queue_build_id(stage.name, "b1")
    same((resumed.drain_intent, resumed.drained_at), ("active", None))
