"""``run_client.py SCENARIO QUEUE WORKFLOW_ID TIMEOUT``: starts it, waits for its end.

Prints one JSON object: ``run_id`` and either ``result`` or ``error`` and ``message``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from connection import connect
from durable_workflow import WorkflowFailed
from scenarios import SCENARIOS


async def main(scenario: str, queue: str, workflow_id: str, timeout: str) -> None:
    workflow_class, arguments = SCENARIOS[scenario]
    async with connect() as client:
        handle = await client.start_workflow(
            workflow_type=workflow_class.__workflow_name__,
            workflow_id=workflow_id,
            task_queue=queue,
            input=arguments,
        )
        answer: dict[str, Any] = {"run_id": handle.run_id}
        try:
            answer["result"] = await handle.result(
                timeout=float(timeout), poll_interval=0.1
            )
        except WorkflowFailed as error:
            answer["error"] = type(error).__name__
            answer["message"] = str(error)
    print(json.dumps(answer))


asyncio.run(main(*sys.argv[1:]))
