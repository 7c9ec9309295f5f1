"""The clients of W9b: schedules are created, and what they start is taken and ended."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from benchmarks.load.http_client import Connection, HttpError

QUEUE: Final = "scheduled"
CREATING_CLIENTS: Final = 32
POLLERS: Final = 64
AFTER_ERROR_SECONDS: Final = 0.2


@dataclass
class Fleet:
    """``delivered``: seconds after the minute by workflow id, the first time."""

    url: str
    token: str
    due_at: int
    schedules: int
    everything: asyncio.Event = field(default_factory=asyncio.Event)
    delivered: dict[str, float] = field(default_factory=dict)
    twice: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def _connection(self, version: dict[str, str]) -> Connection:
        headers = {"Authorization": f"Bearer {self.token}", **version}
        return Connection(self.url, headers)

    def _control(self) -> Connection:
        return self._connection({"X-Durable-Workflow-Control-Plane-Version": "2"})

    async def _send(self, connection: Connection, path: str, body: object) -> Any:
        try:
            status, raw = await connection.request("POST", path, orjson.dumps(body))
        except (HttpError, OSError) as error:
            self.errors[f"{path}: {type(error).__name__}"] += 1
            await asyncio.sleep(AFTER_ERROR_SECONDS)
            return None
        if status >= 300:
            self.errors[f"{path}: {status}"] += 1
            await asyncio.sleep(AFTER_ERROR_SECONDS)
            return None
        return orjson.loads(raw)

    async def create(self) -> float:
        """Schedules that fire at the minute; seconds that it took."""
        minute = datetime.fromtimestamp(self.due_at, UTC)
        expression = f"{minute.minute} {minute.hour} * * *"
        numbers, started_at = iter(range(self.schedules)), time.monotonic()

        async def create_some() -> None:
            connection = self._control()
            for number in numbers:
                body = {
                    "schedule_id": f"s-{number}",
                    "spec": {"cron_expressions": [expression]},
                    "action": {
                        "workflow_type": "bench",
                        "task_queue": QUEUE,
                        "input": ["x"],
                    },
                }
                while await self._send(connection, "/api/schedules", body) is None:
                    self.errors["created again"] += 1

        await asyncio.gather(*(create_some() for _ in range(CREATING_CLIENTS)))
        return time.monotonic() - started_at

    async def register(self) -> None:
        worker = {"worker_id": "w", "task_queue": QUEUE, "runtime": "python"}
        version = {"X-Durable-Workflow-Protocol-Version": "1.0"}
        for number in range(POLLERS):
            body = {**worker, "worker_id": f"w-{number}"}
            await self._send(self._connection(version), "/api/worker/register", body)

    async def poll(self, number: int) -> None:
        """Take tasks and end their workflows, until cancelled."""
        connection = self._connection({"X-Durable-Workflow-Protocol-Version": "1.0"})
        path = "/api/worker/workflow-tasks"
        me = {"worker_id": f"w-{number}", "task_queue": QUEUE}
        while True:
            answer = await self._send(connection, f"{path}/poll", me)
            task = answer and answer["task"]
            if not task:
                continue
            workflow_id = task["workflow_id"]
            if workflow_id in self.delivered:
                self.twice[workflow_id] += 1
            self.delivered.setdefault(workflow_id, time.time() - self.due_at)
            if len(self.delivered) == self.schedules:
                self.everything.set()
            done = {
                "lease_owner": task["lease_owner"],
                "workflow_task_attempt": task["workflow_task_attempt"],
                "commands": [{"type": "complete_workflow"}],
            }
            await self._send(connection, f"{path}/{task['task_id']}/complete", done)
