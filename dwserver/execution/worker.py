"""One worker of the official Python SDK (extra ``execution``).

Only an execution node imports this module, when it starts its workers: the SDK is not
always there, and takes as long to import as all of the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

from durable_workflow import Client, Worker
from durable_workflow.metrics import CLIENT_REQUESTS

from dwserver.execution.definitions import Definitions
from dwserver.execution.plan import WorkerPlan

_REGISTER_ROUTE: Final = "/worker/register"


class _RegistrationWatch:
    """Metrics recorder of the SDK: the only place where it tells that a worker has
    been registered."""

    def __init__(self, on_registered: Callable[[], None]) -> None:
        self._on_registered = on_registered

    def increment(
        self, name: str, value: float = 1.0, tags: Mapping[str, str] | None = None
    ) -> None:
        if name != CLIENT_REQUESTS or tags is None or tags["outcome"] != "ok":
            return
        if tags["route"] == _REGISTER_ROUTE:
            self._on_registered()

    def record(
        self, name: str, value: float, tags: Mapping[str, str] | None = None
    ) -> None:
        """Durations are not looked at."""


async def run_worker(
    plan: WorkerPlan,
    definitions: Definitions,
    *,
    worker_id: str,
    task_queue: str,
    on_registered: Callable[[], None],
    stop: asyncio.Event,
) -> None:
    """Register, poll and run until ``stop`` is set, then finish what runs and
    deregister. Raises what ended the worker otherwise."""
    client = Client(
        plan.server_url,
        token=plan.token,
        namespace=plan.namespace,
        metrics=_RegistrationWatch(on_registered),
    )
    async with client:
        worker = Worker(
            client,
            task_queue=task_queue,
            workflows=definitions.workflows,
            activities=definitions.activities,
            worker_id=worker_id,
            build_id=plan.build_id,
            max_concurrent_workflow_tasks=plan.max_workflow_tasks,
            max_concurrent_activity_tasks=plan.max_activity_tasks,
            shutdown_timeout=plan.drain_seconds,
        )
        await _until_stopped(worker, stop)


def check_definitions(definitions: Definitions) -> None:
    """Raises what the SDK has against these definitions."""
    # Nothing is sent before a worker runs.
    client: Any = None
    Worker(
        client,
        task_queue="check",
        workflows=definitions.workflows,
        activities=definitions.activities,
    )


async def _until_stopped(worker: Worker, stop: asyncio.Event) -> None:
    running = asyncio.create_task(worker.run())
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopped), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await worker.stop()
        await running
    finally:
        stopped.cancel()
        running.cancel()
        await asyncio.wait((running, stopped))
