"""The worker: ``python -m examples.order_processing.worker``, until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib

from durable_workflow import Client, Worker

from examples.order_processing.activities import ACTIVITIES
from examples.order_processing.connection import TASK_QUEUE, connect
from examples.order_processing.workflow import ProcessOrder


def order_worker(client: Client) -> Worker:
    """A worker for everything an order needs."""
    return Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[ProcessOrder],
        activities=ACTIVITIES,
    )


async def main() -> None:
    async with connect() as client:
        await order_worker(client).run()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())
