"""What every part of a load process shares: connections, the window, the counters."""

from __future__ import annotations

import asyncio
import math
import random
import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Coroutine, Mapping
from typing import Any, TypeAlias

import orjson

from benchmarks.load.http_client import Connection, HttpError
from benchmarks.load.latency import Latency, summarise
from benchmarks.load.order import LoadResult, Order
from benchmarks.load.payloads import avro_envelope, sample_text

Document: TypeAlias = dict[str, Any]

NAMESPACE = "default"
WORKFLOW_TYPE = "bench"
ACTIVITY_TYPE = "bench.act"
PROTOCOL_VERSION = "1.0"
CONTROL_PLANE_VERSION = "2"
RUN_TIMEOUT_SECONDS = 3_600
AFTER_ERROR_SECONDS = 0.2
BEFORE_REPEAT_SECONDS = 0.05

now = time.monotonic


class Session:
    """State of one load process; ``order.tag`` names its queue and ids."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.queue = f"bench-{order.tag}"
        self.arguments = avro_envelope([sample_text()])
        self.result = avro_envelope(sample_text())
        self.errors: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.operations = 0
        self.is_stopping = False
        # Whether what got no answer, or a 5xx, is sent again until it is answered.
        self.is_persistent = False
        self.completed_at: list[float] = []
        self._samples: defaultdict[str, array[float]] = defaultdict(lambda: array("d"))
        self._window = (math.inf, math.inf)
        self._tasks: list[asyncio.Task[None]] = []
        self._connections: list[Connection] = []

    # --- window -----------------------------------------------------------------------

    def open_window(self) -> None:
        """Count from now on, for the ordered time."""
        opened_at = now()
        self._window = (opened_at, opened_at + self.order.window_seconds)

    def open_endless_window(self) -> None:
        """Count from now on, until the work is done."""
        self._window = (now(), math.inf)

    @property
    def is_over(self) -> bool:
        return now() >= self._window[1]

    def in_window(self, moment: float) -> bool:
        return self._window[0] <= moment < self._window[1]

    def count_operation(self, name: str, *, started_at: float, ended_at: float) -> None:
        """One finished operation; it counts when it ended within the window."""
        if self.in_window(ended_at):
            self.operations += 1
            self.sample(name, ended_at - started_at)

    def sample(self, name: str, seconds: float) -> None:
        self._samples[name].append(seconds)

    # --- requests ---------------------------------------------------------------------

    def worker_connection(self) -> Connection:
        return self._connect(
            {"X-Durable-Workflow-Protocol-Version": PROTOCOL_VERSION},
        )

    def control_connection(self) -> Connection:
        return self._connect(
            {"X-Durable-Workflow-Control-Plane-Version": CONTROL_PLANE_VERSION},
        )

    def _connect(self, version: Mapping[str, str]) -> Connection:
        headers = {
            "X-Namespace": NAMESPACE,
            "Authorization": f"Bearer {self.order.token}",
            **version,
        }
        urls = self.order.urls
        at = random.randrange(len(urls))
        connection = Connection(urls[at], headers, [*urls[at + 1 :], *urls[:at]])
        self._connections.append(connection)
        return connection

    async def post(
        self, connection: Connection, path: str, body: Mapping[str, object]
    ) -> Document | None:
        """The answer's document; None after a failure, which is counted."""
        return await self._call(connection, path, orjson.dumps(body))

    async def get(self, connection: Connection, path: str) -> Document | None:
        return await self._call(connection, path, None)

    async def _call(
        self, connection: Connection, path: str, body: bytes | None
    ) -> Document | None:
        method = "GET" if body is None else "POST"
        while True:
            try:
                status, raw = await connection.request(method, path, body)
            except (HttpError, OSError) as error:
                status, problem = 0, str(error)
            else:
                if 200 <= status < 300:
                    document: Document = orjson.loads(raw)
                    return document
                problem = f"{status} {_reason(raw)}"
            text = f"{method} {_route(path)}: {problem}"
            if not self.is_persistent or self.is_stopping:
                await self._failed(text)
                return None
            if status and status < 500:
                # The answer to what was done already, or is not wanted any more.
                self.counts["refused"] += 1
                return None
            self.counts["sent again"] += 1
            await asyncio.sleep(BEFORE_REPEAT_SECONDS)

    async def _failed(self, text: str) -> None:
        if not self.is_stopping:
            self.errors[text[:200]] += 1
            await asyncio.sleep(AFTER_ERROR_SECONDS)

    # --- workflows --------------------------------------------------------------------

    def new_workflow_id(self) -> str:
        self.counts["workflow ids"] += 1
        number = self.counts["workflow ids"]
        return f"bench-{self.order.tag}-{number}-{random.getrandbits(24):06x}"

    async def start_workflow(self, connection: Connection, workflow_id: str) -> bool:
        """Whether the server accepted it."""
        body = {
            "workflow_id": workflow_id,
            "workflow_type": WORKFLOW_TYPE,
            "task_queue": self.queue,
            "input": self.arguments,
            "execution_timeout_seconds": RUN_TIMEOUT_SECONDS,
            "run_timeout_seconds": RUN_TIMEOUT_SECONDS,
        }
        return await self.post(connection, "/api/workflows", body) is not None

    # --- commands ---------------------------------------------------------------------

    def complete_workflow(self) -> Document:
        return {"type": "complete_workflow", "result": self.result}

    def schedule_activity(self) -> Document:
        return {
            "type": "schedule_activity",
            "activity_type": ACTIVITY_TYPE,
            "arguments": self.arguments,
            "queue": self.queue,
        }

    # --- life -------------------------------------------------------------------------

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def close(self) -> None:
        """End what was spawned and close every connection; crashes are counted."""
        self.is_stopping = True
        for task in self._tasks:
            task.cancel()
        for ended in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                self.errors[f"generator: {ended!r}"[:200]] += 1
        for connection in self._connections:
            connection.close()

    def load_result(self) -> LoadResult:
        summaries = {name: summarise(times) for name, times in self._samples.items()}
        latencies: dict[str, Latency] = {k: v for k, v in summaries.items() if v}
        return LoadResult(
            operations=self.operations,
            counts=dict(sorted(self.counts.items())),
            errors=dict(self.errors.most_common()),
            latencies=latencies,
            completed_at=self.completed_at,
        )


def _route(path: str) -> str:
    """The path without ids, so that equal failures are counted together."""
    words = path.split("?")[0].split("/")
    is_worker = len(words) > 2 and words[2] == "worker"
    kept = {"api", "worker", "poll", "complete", "register", "workflows", "signal"}
    kept |= {"workflow-tasks", "activity-tasks"} if is_worker else set()
    return "/".join(word if word in kept or not word else "*" for word in words)


def _reason(raw: bytes) -> str:
    try:
        document = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return raw[:80].decode("latin1")
    if not isinstance(document, dict):
        return ""
    parts = (document.get("reason"), document.get("message"), document.get("errors"))
    return " ".join(str(part) for part in parts if part)
