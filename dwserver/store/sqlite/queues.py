"""What lies in a task queue. Called on a reader thread; may raise sqlite3.Error."""

from __future__ import annotations

import sqlite3

from dwserver.store.api import (
    MAX_COUNTED,
    MAX_LEASES_LISTED,
    QueueBacklog,
    QueueKey,
)
from dwserver.store.queues import to_backlog
from dwserver.store.sqlite.reads import fetch, snapshot


def read_backlog(
    connection: sqlite3.Connection,
    namespace: str,
    queue: str,
    *,
    now: int,
    overdue_before: int,
) -> QueueBacklog:
    key, block = (namespace, queue, now), "find_oldest_ready_of_queue"
    with snapshot(connection):
        ready = fetch(
            connection, "count_ready_of_queue", *key, overdue_before, MAX_COUNTED
        )
        return to_backlog(
            ready=ready,
            oldest=[
                row
                for counted in ready
                for row in fetch(connection, block, *key, MAX_COUNTED, counted["kind"])
            ],
            leased=fetch(connection, "count_leases_of_queue", *key),
            leases=fetch(connection, "list_leases_of_queue", *key, MAX_LEASES_LISTED),
        )


def count_active_leases(
    connection: sqlite3.Connection, key: QueueKey, *, now: int
) -> tuple[int, int]:
    (counts,) = fetch(
        connection, "count_active_leases", key.namespace, key.queue, key.kind, now
    )
    return counts["in_queue"], counts["in_namespace"]
