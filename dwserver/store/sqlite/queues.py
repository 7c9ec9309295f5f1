"""What lies in task queues, and who serves them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.store.api import QueueKey
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
from dwserver.store.rollouts import QueueName
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch, snapshot, to_array
from dwserver.store.sqlite.rollouts import queue_pairs


class Queues(OnThreads):
    """See :class:`dwserver.store.queues.QueueReads`."""

    async def list_queues(self, namespace: str, *, rows: int, limit: int) -> list[str]:
        return await self._list(_list_queues, namespace, rows, limit)

    async def queue_backlogs(
        self,
        namespace: str,
        queues: Sequence[str],
        *,
        now: int,
        overdue_before: int,
        rows: int,
    ) -> QueueBacklogs:
        return await self._list(
            _read_backlogs,
            namespace,
            queues,
            now=now,
            overdue_before=overdue_before,
            rows=rows,
        )

    async def queue_leases(
        self, namespace: str, queue: str, *, now: int
    ) -> list[QueueLease]:
        return await self._list(_list_leases, namespace, queue, now)

    async def queue_workers(
        self, namespace: str, queues: Sequence[str], *, silent_since: int, rows: int
    ) -> dict[str, QueueWorkers]:
        return await self._list(_count_workers, namespace, queues, silent_since, rows)

    async def count_active_leases(self, key: QueueKey, *, now: int) -> tuple[int, int]:
        return await self._read(_count_active_leases, key, now)


def _list_queues(connection: sqlite3.Connection, *args: object) -> list[str]:
    return [
        row["queue"]
        for row in fetch(connection, "list_queues", *args, MAX_RECENT_TASKS)
    ]


def _read_backlogs(
    connection: sqlite3.Connection,
    namespace: str,
    queues: Sequence[str],
    *,
    now: int,
    overdue_before: int,
    rows: int,
) -> QueueBacklogs:
    key = (namespace, to_array(queues), now)
    with snapshot(connection):
        (ready,) = fetch(connection, "count_ready_tasks", namespace, rows + 1)
        each = share(rows, ready=ready["tasks"], queues=len(queues))
        block = "count_ready_of_queues"
        return to_backlogs(
            queues,
            ready=fetch(connection, block, *key, overdue_before, each),
            oldest=fetch(connection, "find_oldest_ready_of_queues", *key, each),
            leased=fetch(connection, "count_leases_of_queues", namespace, rows, now),
        )


def _list_leases(connection: sqlite3.Connection, *key: object) -> list[QueueLease]:
    return to_leases(fetch(connection, "list_leases_of_queue", *key, MAX_LEASES_LISTED))


def _count_workers(
    connection: sqlite3.Connection,
    namespace: str,
    queues: Sequence[str],
    silent_since: int,
    rows: int,
) -> dict[str, QueueWorkers]:
    pairs = queue_pairs([QueueName(namespace, queue) for queue in queues])
    block = "count_workers_of_queues"
    return to_queue_workers(fetch(connection, block, silent_since, rows, pairs))


def _count_active_leases(
    connection: sqlite3.Connection, key: QueueKey, now: int
) -> tuple[int, int]:
    (counts,) = fetch(
        connection, "count_active_leases", key.namespace, key.queue, key.kind, now
    )
    return counts["in_queue"], counts["in_namespace"]
