"""Which workers could answer a query about a run (``spec/worker-protocol.md §10``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dwserver.engine.hosts import is_host
from dwserver.engine.model import Run
from dwserver.engine.outcome import Rejection
from dwserver.services.fresh_cache import FreshCache
from dwserver.services.workers import Workers
from dwserver.store.api import WorkerRegistration

# About how long it takes until a poll counts as a heartbeat for other processes.
CACHE_TTL = 5_000_000
MAX_QUEUES = 1_000


class QueryWorkers:
    """The workers of a queue, remembered for a few seconds; nobody is refused for what
    is only remembered."""

    def __init__(self, workers: Workers, *, now: Callable[[], int]) -> None:
        self._workers = workers
        self._queues = FreshCache(
            self._read, now=now, ttl=CACHE_TTL, max_entries=MAX_QUEUES
        )

    async def refusal(self, run: Run) -> Rejection | None:
        """Why no worker can answer, as the database has it."""
        if await self.can_answer(run):
            return None
        queue = (run.namespace, run.task_queue)
        self._queues.forget(queue)
        return self._refusal(run, await self._queues.get(queue) or ())

    async def can_answer(self, run: Run) -> bool:
        """Whether a worker could, as far as this process remembers."""
        workers = await self._queues.get((run.namespace, run.task_queue))
        return self._refusal(run, workers or ()) is None

    async def _read(self, queue: tuple[str, str]) -> Sequence[WorkerRegistration]:
        namespace, name = queue
        return await self._workers.find_all(namespace, queue=name)

    def _refusal(
        self, run: Run, workers: Sequence[WorkerRegistration]
    ) -> Rejection | None:
        if is_host(run):
            text = f"A standalone activity answers no queries: [{run.workflow_id}]."
            return Rejection("query_not_found", text)
        serving = [
            worker
            for worker in workers
            if self._workers.status(worker) == "active" and _runs(worker, run)
        ]
        if not serving:
            return Rejection(
                "query_worker_unavailable",
                f"No active worker of task queue [{run.task_queue}] runs "
                f"[{run.workflow_type}].",
            )
        marker = run.compatibility
        if marker is not None and all(each.build_id != marker for each in serving):
            return Rejection(
                "query_worker_incompatible",
                f"No active worker of task queue [{run.task_queue}] has build id "
                f"[{marker}].",
            )
        return None


def _runs(worker: WorkerRegistration, run: Run) -> bool:
    return not worker.workflow_types or run.workflow_type in worker.workflow_types
