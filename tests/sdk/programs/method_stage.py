"""Where scenarios of client methods take place."""

from __future__ import annotations

import asyncio
import inspect
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from durable_workflow import Client, ScheduleAction, ScheduleSpec

TYPE = "methods.Order"
ACTIVITY = "methods.Charge"
LEAP_DAY = {
    "start_time": "2024-02-28T00:00:00Z",
    "end_time": "2024-03-01T00:00:00Z",
}


def same(found: Any, expected: Any) -> None:
    assert found == expected, (found, expected)


class Stage:
    """A client with a task queue of its own, so that scenarios can run side by side."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.name = f"m-{uuid.uuid4().hex[:12]}"
        self.worker_id = f"{self.name}-worker"
        self.run_id = ""

    async def start(self, workflow_id: str | None = None, **options: Any) -> Any:
        handle = await self.client.start_workflow(
            workflow_type=TYPE,
            task_queue=self.name,
            workflow_id=workflow_id or self.name,
            input=[1, "two"],
            **options,
        )
        self.run_id = handle.run_id
        return handle

    async def register(self) -> Any:
        """A worker of the queue; releases of the second generation ask for a manifest
        of what it is capable of."""
        method = self.client.register_worker
        asked = inspect.signature(method).parameters
        more = {"capability_manifest": {}} if "capability_manifest" in asked else {}
        return await method(
            worker_id=self.worker_id,
            task_queue=self.name,
            supported_workflow_types=[TYPE],
            supported_activity_types=[ACTIVITY],
            **more,
        )

    async def event_types(self) -> list[str]:
        """Types of the events behind those of the start."""
        history = await self.client.get_history(self.name, self.run_id)
        return [event["event_type"] for event in history["events"]][2:]

    async def workflow_task(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """A leased workflow task, and the fields that its completion repeats."""
        await self.register()
        await self.start()
        task = await self.client.poll_workflow_task(
            worker_id=self.worker_id, task_queue=self.name
        )
        same(task["workflow_id"], self.name)
        lease = {
            "task_id": task["task_id"],
            "lease_owner": task["lease_owner"],
            "workflow_task_attempt": task["workflow_task_attempt"],
        }
        return task, lease

    async def activity_task(self) -> dict[str, Any]:
        """The lease of an activity task."""
        _, lease = await self.workflow_task()
        command = {"type": "schedule_activity", "activity_type": ACTIVITY}
        await self.client.complete_workflow_task(**lease, commands=[command])
        task = await self.client.poll_activity_task(
            worker_id=self.worker_id, task_queue=self.name
        )
        same(task["activity_type"], ACTIVITY)
        return {
            "task_id": task["task_id"],
            "activity_attempt_id": task["activity_attempt_id"],
            "lease_owner": task["lease_owner"],
        }

    async def standalone(self) -> Any:
        """The handle of an activity without a workflow."""
        return await self.client.start_activity(
            activity_type=ACTIVITY,
            task_queue=self.name,
            activity_id=self.name,
            input=["Ada"],
        )

    async def paid(self) -> Any:
        """:meth:`standalone`, completed by a worker."""
        await self.register()
        handle = await self.standalone()
        task = await self.client.poll_activity_task(
            worker_id=self.worker_id, task_queue=self.name
        )
        await self.client.complete_activity_task(
            task_id=task["task_id"],
            activity_attempt_id=task["activity_attempt_id"],
            lease_owner=task["lease_owner"],
            result="paid",
        )
        return handle

    async def query_task(self) -> tuple[asyncio.Task[Any], dict[str, Any]]:
        """A query under way, and the lease of its task."""
        await self.register()
        await self.start()
        query = asyncio.create_task(self.client.query_workflow(self.name, "total"))
        task = await self.client.poll_query_task(
            worker_id=self.worker_id, task_queue=self.name
        )
        same(task["query_name"], "total")
        lease = {
            "query_task_id": task["query_task_id"],
            "lease_owner": task["lease_owner"],
            "query_task_attempt": task["query_task_attempt"],
        }
        return query, lease

    async def closed(self) -> Any:
        """The handle of a workflow that has completed, without a result."""
        _, lease = await self.workflow_task()
        command = {"type": "complete_workflow", "result": None}
        await self.client.complete_workflow_task(**lease, commands=[command])
        return self.client.get_workflow_handle(self.name, run_id=self.run_id)

    async def schedule(self, *, paused: bool = False) -> Any:
        """The handle of a schedule that is not due for a long time."""
        return await self.client.create_schedule(
            schedule_id=self.name,
            spec=ScheduleSpec(cron_expressions=["0 0 29 2 *"]),
            action=ScheduleAction(workflow_type=TYPE, task_queue=self.name, input=[1]),
            paused=paused,
        )

    async def namespace(self) -> str:
        await self.client.create_namespace(self.name)
        return self.name

    async def attribute(self) -> str:
        name = f"A{self.name.replace('-', '')}"
        await self.client.create_search_attribute(name, "keyword")
        return name


Scenario = Callable[[Stage], Awaitable[None]]
