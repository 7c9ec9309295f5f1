"""The client: ``python -m examples.order_processing.client`` processes one order."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from durable_workflow import Client, WorkflowHandle

from examples.order_processing.connection import TASK_QUEUE, connect
from examples.order_processing.history_table import history_table
from examples.order_processing.workflow import (
    APPROVE,
    CHANGE_ADDRESS,
    STATUS,
    WORKFLOW_TYPE,
    Order,
)

HISTORY_PAGE_SIZE = 100
HISTORY_PAUSE_SECONDS = 0.2
RESULT_SECONDS = 60.0


async def start_order(client: Client) -> WorkflowHandle:
    """Start the workflow for a new order."""
    order_id = f"order-{uuid.uuid4().hex[:8]}"
    order: Order = {
        "order_id": order_id,
        "item": "teapot",
        "quantity": 3,
        "unit_price_cents": 1900,
        "address": "1 Old Lane",
    }
    return await client.start_workflow(
        workflow_type=WORKFLOW_TYPE,
        workflow_id=order_id,
        task_queue=TASK_QUEUE,
        input=[order],
    )


async def approve_order(handle: WorkflowHandle) -> None:
    """Correct the address and approve the order as soon as it waits for that."""
    await until_recorded(handle, "ConditionWaitOpened")
    status = await handle.query(STATUS)
    print(f"query     {STATUS}: {status['result']}")
    changed = await handle.update(
        CHANGE_ADDRESS, ["2 New Street"], wait_for="completed"
    )
    print(f"update    {CHANGE_ADDRESS}: {changed['result']}")
    await handle.signal(APPROVE, ["ada"])
    print(f"signal    {APPROVE}: ada")


async def until_recorded(handle: WorkflowHandle, event_type: str) -> None:
    """Wait until the history has an event of the type."""
    while True:
        events = await read_history(handle)
        if any(event["event_type"] == event_type for event in events):
            return
        await asyncio.sleep(HISTORY_PAUSE_SECONDS)


async def read_history(handle: WorkflowHandle) -> list[dict[str, Any]]:
    """All events of the run, page by page."""
    events: list[dict[str, Any]] = []
    token: str | None = None
    while True:
        page = await handle.get_history(
            page_size=HISTORY_PAGE_SIZE, next_page_token=token
        )
        events += page["events"]
        token = page.get("next_page_token")
        if token is None:
            return events


async def main() -> None:
    async with connect() as client:
        handle = await start_order(client)
        print(f"started   {handle.workflow_id}, run {handle.run_id}")
        await approve_order(handle)
        print(f"completed {await handle.result(timeout=RESULT_SECONDS)}\n")
        print(history_table(await read_history(handle)))


if __name__ == "__main__":
    asyncio.run(main())
