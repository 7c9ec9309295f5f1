"""``run_worker.py QUEUE [DEFINITION]``: a worker for every scenario, until SIGTERM.

``DEFINITION``: the one that it has of the workflow that is replaced.

Exits with 0 only when the SDK itself called its shutdown a success.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys

from durable_workflow import Worker

from tests.sdk.programs.connection import connect
from tests.sdk.programs.registry import ACTIVITIES, WORKFLOWS
from tests.sdk.programs.replaced_workflows import DEFINITIONS

CONCURRENT_ACTIVITIES = 30


async def main(queue: str, *definitions: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with connect() as client:
        worker = Worker(
            client,
            task_queue=queue,
            workflows=(*WORKFLOWS, *(DEFINITIONS[name] for name in definitions)),
            activities=ACTIVITIES,
            max_concurrent_activity_tasks=CONCURRENT_ACTIVITIES,
        )
        running = asyncio.create_task(worker.run())
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await running  # raises what ended it
            sys.exit("the worker ended although nobody stopped it")
        await worker.stop()
        # Releases before 2.0 stay in their long poll until it is answered.
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


logging.basicConfig(level=logging.INFO)
logging.getLogger("httpx").setLevel(logging.WARNING)
asyncio.run(main(*sys.argv[1:]))
