"""What lies in task queues, and who serves them."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.store.api import QueueKey
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.queues import (
    MAX_LEASES_LISTED,
    MAX_RECENT_TASKS,
    QueueBacklogs,
    QueueLease,
    QueueWorkers,
    share,
    to_backlogs,
    to_leases,
    to_queue_workers,
)

_LIST_QUEUES = block("list_queues")
_COUNT_READY_TASKS = block("count_ready_tasks")
_COUNT_READY = block("count_ready_of_queues")
_FIND_OLDEST = block("find_oldest_ready_of_queues")
_COUNT_LEASES = block("count_leases_of_queues")
_LIST_LEASES = block("list_leases_of_queue")
_COUNT_WORKERS = block("count_workers_of_queues")
_COUNT_ACTIVE_LEASES = block("count_active_leases")


class Queues:
    """The reads about task queues of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def list_queues(self, namespace: str, *, rows: int, limit: int) -> list[str]:
        found = await self._pool.fetch(
            _LIST_QUEUES, namespace, rows, limit, MAX_RECENT_TASKS
        )
        return [row[0] for row in found]

    async def queue_backlogs(
        self,
        namespace: str,
        queues: Sequence[str],
        *,
        now: int,
        overdue_before: int,
        rows: int,
    ) -> QueueBacklogs:
        fetch, names = self._pool.fetch, list(queues)
        (ready,) = await fetch(_COUNT_READY_TASKS, namespace, rows + 1)
        each = share(rows, ready=ready["tasks"], queues=len(names))
        key = (namespace, names, now)
        return to_backlogs(
            names,
            ready=map(dict, await fetch(_COUNT_READY, *key, overdue_before, each)),
            oldest=map(dict, await fetch(_FIND_OLDEST, *key, each)),
            leased=map(dict, await fetch(_COUNT_LEASES, namespace, rows, now)),
        )

    async def queue_leases(
        self, namespace: str, queue: str, *, now: int
    ) -> list[QueueLease]:
        key = (namespace, queue, now)
        rows = await self._pool.fetch(_LIST_LEASES, *key, MAX_LEASES_LISTED)
        return to_leases(map(dict, rows))

    async def queue_workers(
        self, namespace: str, queues: Sequence[str], *, silent_since: int, rows: int
    ) -> dict[str, QueueWorkers]:
        names = list(queues)
        found = await self._pool.fetch(
            _COUNT_WORKERS, silent_since, rows, [namespace] * len(names), names
        )
        return to_queue_workers(map(dict, found))

    async def count_active_leases(self, key: QueueKey, *, now: int) -> tuple[int, int]:
        rows = await self._pool.fetch(
            _COUNT_ACTIVE_LEASES, key.namespace, key.queue, key.kind, now
        )
        return rows[0]["in_queue"], rows[0]["in_namespace"]
