"""Whether a queue takes new work while its builds are drained
(``spec/control-plane-api.md`` §5.2).

It does not when all of its live workers drain. A queue without live workers takes
starts, whatever was drained there once: the next worker never comes too late.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from dwserver.engine.outcome import Rejection
from dwserver.engine.words import CommandRejection, CommandStatus
from dwserver.services.build_rollouts import BuildRollouts, Cohort
from dwserver.services.fresh_cache import FreshCache
from dwserver.services.workers import DRAINING
from dwserver.store.rollouts import QueueName

# About how long it takes until a worker is known to other processes.
CACHE_TTL: Final = 5_000_000
MAX_NAMESPACES: Final = 1_000
MAX_QUEUES: Final = 1_000
REFUSED: Final = CommandRejection.TASK_QUEUE_DRAINING


class DrainGate:
    """A queue where nothing is drained costs a look into memory."""

    def __init__(self, rollouts: BuildRollouts, *, now: Callable[[], int]) -> None:
        self._rollouts = rollouts
        self._drained = FreshCache(
            rollouts.names_of_drained,
            now=now,
            ttl=CACHE_TTL,
            max_entries=MAX_NAMESPACES,
        )
        self._queues = FreshCache(
            self._read, now=now, ttl=CACHE_TTL, max_entries=MAX_QUEUES
        )

    async def refusal(
        self, namespace: str, queue: str, *, workflow_type: str
    ) -> Rejection | None:
        """Why nothing new may start, as the database has it; StoreError."""
        drained = self._drained.fresh(namespace)
        if drained is None:
            drained = await self._drained.get(namespace)
        name = QueueName(namespace, queue)
        if queue not in (drained or ()) or not is_closed(await self._cohorts(name)):
            return None
        # Nobody is refused for what is only remembered.
        self._queues.forget(name)
        cohorts = await self._cohorts(name)
        if not is_closed(cohorts):
            return None
        return Rejection(
            REFUSED,
            f"All workers of task queue [{queue}] are draining.",
            {
                "outcome": REFUSED.outcome,
                "command_status": CommandStatus.REJECTED,
                "command_source": "control_plane",
                "rejection_reason": REFUSED,
                "workflow_type": workflow_type,
                "task_queue": queue,
                "routing_status": DRAINING,
                "active_worker_count": 0,
                "draining_worker_count": sum(each.draining for each in cohorts),
                "stale_worker_count": sum(each.stale for each in cohorts),
                "draining_build_ids": [
                    each.key.build_id
                    for each in cohorts
                    if each.is_draining or each.draining
                ],
                "drain_intent": DRAINING,
            },
        )

    async def _cohorts(self, queue: QueueName) -> Sequence[Cohort]:
        return await self._queues.get(queue) or ()

    async def _read(self, queue: QueueName) -> Sequence[Cohort]:
        return await self._rollouts.of_queue(*queue)


def is_closed(cohorts: Sequence[Cohort]) -> bool:
    """Whether there are live workers, all of which drain."""
    return any(each.draining for each in cohorts) and not any(
        each.active for each in cohorts
    )
