"""``run_query.py WORKFLOW_ID NAME ARGUMENTS``: one query; the arguments are JSON.

Prints one JSON object: the answer, or ``error`` and ``message``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from connection import connect
from durable_workflow.errors import QueryFailed


async def main(workflow_id: str, name: str, arguments: str) -> None:
    async with connect() as client:
        try:
            answer: Any = await client.query_workflow(
                workflow_id, name, args=json.loads(arguments)
            )
        except QueryFailed as error:
            answer = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(answer))


asyncio.run(main(*sys.argv[1:]))
