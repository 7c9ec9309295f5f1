"""Whether a run may start that no live worker could take, or that none would take
because all of them drain (``spec/topology-and-operations.md`` §5.9).

With ``DW_V2_FLEET_VALIDATION_MODE=fail`` a start is refused when its queue has live
workers and none of them supports the marker that the run would get. A queue without
live workers takes starts: the first worker never comes too late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from dwserver.engine.lifecycle.start import Start
from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandRejection, CommandStatus
from dwserver.services.drain_gate import DrainGate
from dwserver.services.fresh_cache import FreshCache
from dwserver.services.workers import Workers
from dwserver.store.api import WorkerRegistration

ANY_MARKER = "*"
# About how long it takes until a worker is known to other processes.
CACHE_TTL = 5_000_000
MAX_QUEUES = 1_000
BLOCKED = CommandRejection.COMPATIBILITY_BLOCKED


class StartGate:
    """``is_closing``: the mode is ``fail``; otherwise markers keep no start out."""

    def __init__(
        self,
        workers: Workers,
        *,
        drains: DrainGate,
        now: Callable[[], int],
        is_closing: bool,
    ) -> None:
        self._workers = workers
        self._drains = drains
        self._is_closing = is_closing
        self._queues = FreshCache(
            self._read, now=now, ttl=CACHE_TTL, max_entries=MAX_QUEUES
        )

    async def refusal(self, start: Start) -> Rejection | None:
        """Why a new run may not start, as the database has it; StoreError."""
        drained = await self._drains.refusal(
            start.namespace, start.task_queue, workflow_type=start.workflow_type
        )
        if drained is None:
            return await self.mismatch(start)
        return replace(
            drained, fields={"workflow_id": start.workflow_id, **drained.fields}
        )

    async def mismatch(self, start: Start) -> Rejection | None:
        """Why no worker could take a new run; one that comes later can take what waits
        for a drain to end."""
        if not self._is_closing or start.compatibility is None:
            return None
        queue = (start.namespace, start.task_queue)
        if not self._is_blocked(start, await self._queues.get(queue) or ()):
            return None
        # Nobody is refused for what is only remembered.
        self._queues.forget(queue)
        if not self._is_blocked(start, await self._queues.get(queue) or ()):
            return None
        message = (
            f"No live worker of task queue [{start.task_queue}] supports the "
            f"compatibility [{start.compatibility}]."
        )
        return Rejection(
            BLOCKED,
            message,
            {
                "workflow_id": start.workflow_id,
                "run_id": None,
                "workflow_type": start.workflow_type,
                "namespace": start.namespace,
                "outcome": BLOCKED.outcome,
                "command_status": CommandStatus.REJECTED,
                "command_source": "control_plane",
                "rejection_reason": BLOCKED,
            },
        )

    def _is_blocked(self, start: Start, workers: Sequence[WorkerRegistration]) -> bool:
        live = [each for each in workers if self._workers.status(each) != "stale"]
        fit = (start.compatibility, ANY_MARKER)
        return bool(live) and all(each.build_id not in fit for each in live)

    async def _read(self, queue: tuple[str, str]) -> Sequence[WorkerRegistration]:
        namespace, name = queue
        return await self._workers.find_all(namespace, queue=name)
