"""``run_schedules.py QUEUE TIMEOUT < {"schedule_id": ID}``: the life of a schedule.

Prints a JSON object with what the client of the release saw at each step.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import sys
from typing import Any

from durable_workflow import Client, ScheduleAction, ScheduleSpec

from tests.sdk.programs.connection import connect

POLL_SECONDS = 0.25
OPEN = ("pending", "running", "waiting")
NEVER_SOON = {"cron_expressions": ["0 0 29 2 *"], "timezone": "Europe/Berlin"}
WINDOW = {
    "start_time": "2024-02-28T00:00:00Z",
    "end_time": "2028-03-01T00:00:00Z",
}


def plain(value: Any) -> Any:
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value


async def described(client: Client, schedule_id: str) -> Any:
    return plain(await client.describe_schedule(schedule_id))


async def fired(client: Client, schedule_id: str, count: int, timeout: float) -> Any:
    """The description once the schedule has fired so often."""
    async with asyncio.timeout(timeout):
        while True:
            seen = await described(client, schedule_id)
            if seen["fires_count"] >= count:
                return seen
            await asyncio.sleep(POLL_SECONDS)


async def completed(client: Client, workflow_id: str, timeout: float) -> Any:
    """The result of a workflow that a schedule started."""
    async with asyncio.timeout(timeout):
        while True:
            run = await client.describe_workflow(workflow_id)
            if run.status not in OPEN:
                break
            await asyncio.sleep(POLL_SECONDS)
    handle = client.get_workflow_handle(workflow_id)
    handle.run_id = run.run_id
    return await handle.result(timeout=timeout)


async def gone(client: Client, schedule_id: str) -> str:
    try:
        await client.describe_schedule(schedule_id)
    except Exception as error:
        return type(error).__name__
    return "it is there"


async def live(client: Client, queue: str, schedule_id: str, timeout: float) -> Any:
    seen: dict[str, Any] = {}
    action = ScheduleAction(workflow_type="sdk.hello", task_queue=queue, input=["ada"])
    handle = await client.create_schedule(
        schedule_id=schedule_id,
        spec=ScheduleSpec(**NEVER_SOON),
        action=action,
        overlap_policy="allow_all",
        note="made by a test",
    )
    seen["created"] = await described(client, schedule_id)
    listed = (await client.list_schedules()).schedules
    seen["listed"] = [plain(s) for s in listed if s.schedule_id == schedule_id]
    await handle.pause(note="stop")
    seen["paused"] = await described(client, schedule_id)
    seen["skipped"] = plain(await handle.trigger())
    await handle.resume(note="go")
    seen["resumed"] = await described(client, schedule_id)
    seen["triggered"] = plain(await handle.trigger())
    seen["result"] = await completed(client, seen["triggered"]["workflow_id"], timeout)
    seen["backfilled"] = plain(await handle.backfill(**WINDOW))
    await handle.update(spec=ScheduleSpec(intervals=[{"every": "PT1S"}]))
    seen["fired"] = await fired(client, schedule_id, 4, timeout)
    last = seen["fired"]["latest_workflow_instance_id"]
    seen["result_of_tick"] = await completed(client, last, timeout)
    if hasattr(client, "get_schedule_history"):
        page = await client.get_schedule_history(schedule_id)
        seen["history"] = plain(page)
    await handle.delete()
    seen["deleted"] = await gone(client, schedule_id)
    return seen


async def main(queue: str, timeout: str) -> None:
    schedule_id = json.load(sys.stdin)["schedule_id"]
    async with connect() as client:
        seen = await live(client, queue, schedule_id, float(timeout))
    print(json.dumps(seen, default=str))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
