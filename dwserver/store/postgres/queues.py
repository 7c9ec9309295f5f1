"""What lies in a task queue."""

from __future__ import annotations

from dwserver.engine.words import TaskKind
from dwserver.store.api import (
    MAX_COUNTED,
    MAX_LEASES_LISTED,
    QueueBacklog,
    QueueKey,
)
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.queues import to_backlog

_COUNT_READY = block("count_ready_of_queue")
_FIND_OLDEST = block("find_oldest_ready_of_queue")
_COUNT_LEASES = block("count_leases_of_queue")
_LIST_LEASES = block("list_leases_of_queue")
_COUNT_ACTIVE_LEASES = block("count_active_leases")


class Queues:
    """The reads about task queues of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def queue_backlog(
        self, namespace: str, queue: str, *, now: int, overdue_before: int
    ) -> QueueBacklog:
        fetch, key = self._pool.fetch, (namespace, queue, now)
        ready = await fetch(_COUNT_READY, *key, overdue_before, MAX_COUNTED)
        return to_backlog(
            ready=map(dict, ready),
            oldest=[
                dict(row)
                for counted in ready
                for row in await fetch(
                    _FIND_OLDEST, *key, MAX_COUNTED, TaskKind(counted["kind"])
                )
            ],
            leased=map(dict, await fetch(_COUNT_LEASES, *key)),
            leases=map(dict, await fetch(_LIST_LEASES, *key, MAX_LEASES_LISTED)),
        )

    async def count_active_leases(self, key: QueueKey, *, now: int) -> tuple[int, int]:
        rows = await self._pool.fetch(
            _COUNT_ACTIVE_LEASES, key.namespace, key.queue, key.kind, now
        )
        return rows[0]["in_queue"], rows[0]["in_namespace"]
