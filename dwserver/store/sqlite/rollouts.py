"""Build-id rollouts."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from dwserver.store.rollouts import (
    CohortKey,
    CohortWorkers,
    QueueName,
    Rollout,
    rollout_row,
    to_cohort_workers,
    to_rollout,
    to_rollouts,
)
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch
from dwserver.store.sqlite.rows import encode_json


class Rollouts(OnThreads):
    """See :class:`dwserver.store.rollouts.Rollouts`."""

    async def put_rollout(
        self, cohort: CohortKey, *, is_draining: bool, at: int
    ) -> Rollout:
        return await self._write(_put_rollout, cohort, is_draining=is_draining, at=at)

    async def resume_workers(self, cohort: CohortKey) -> list[str]:
        return await self._write(_resume_workers, cohort)

    async def list_rollouts(
        self, queues: Sequence[QueueName], *, limit: int
    ) -> list[Rollout]:
        return await self._list(_list_rollouts, queues, limit)

    async def list_cohort_workers(
        self, queues: Sequence[QueueName], *, silent_since: int, rows: int
    ) -> list[CohortWorkers]:
        return await self._list(_list_cohort_workers, silent_since, rows, queues)

    async def list_draining_queues(
        self, namespace: str | None, *, rows: int, limit: int
    ) -> list[QueueName]:
        return await self._list(_list_draining_queues, namespace, rows, limit)


def _put_rollout(
    connection: sqlite3.Connection, cohort: CohortKey, *, is_draining: bool, at: int
) -> Rollout:
    row = rollout_row(cohort, is_draining=is_draining, at=at)
    return to_rollout(fetch(connection, "put_rollout", *row)[0])


def _resume_workers(connection: sqlite3.Connection, cohort: CohortKey) -> list[str]:
    key = (*cohort[:2], cohort.build_id or "")
    return [row["worker_id"] for row in fetch(connection, "resume_workers", *key)]


def _list_rollouts(
    connection: sqlite3.Connection, queues: Sequence[QueueName], limit: int
) -> list[Rollout]:
    return to_rollouts(fetch(connection, "list_rollouts", queue_pairs(queues), limit))


def _list_cohort_workers(
    connection: sqlite3.Connection,
    silent_since: int,
    rows: int,
    queues: Sequence[QueueName],
) -> list[CohortWorkers]:
    args = (silent_since, rows, queue_pairs(queues))
    return to_cohort_workers(fetch(connection, "list_cohort_workers", *args))


def _list_draining_queues(
    connection: sqlite3.Connection, *args: object
) -> list[QueueName]:
    return [
        QueueName(**row) for row in fetch(connection, "list_draining_queues", *args)
    ]


def queue_pairs(queues: Sequence[QueueName]) -> str:
    """As statements take queues."""
    return encode_json(list(map(list, queues))).decode()
