"""Build-id rollouts."""

from __future__ import annotations

from collections.abc import Sequence

from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
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

_PUT_ROLLOUT = block("put_rollout")
_RESUME_WORKERS = block("resume_workers")
_LIST_ROLLOUTS = block("list_rollouts")
_LIST_COHORT_WORKERS = block("list_cohort_workers")
_LIST_DRAINING_QUEUES = block("list_draining_queues")


class Rollouts:
    """See :class:`dwserver.store.rollouts.Rollouts`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def put_rollout(
        self, cohort: CohortKey, *, is_draining: bool, at: int
    ) -> Rollout:
        row = rollout_row(cohort, is_draining=is_draining, at=at)
        return to_rollout(dict((await self._pool.write(_PUT_ROLLOUT, *row))[0]))

    async def resume_workers(self, cohort: CohortKey) -> list[str]:
        key = (*cohort[:2], cohort.build_id or "")
        return [row[0] for row in await self._pool.write(_RESUME_WORKERS, *key)]

    async def list_rollouts(
        self, queues: Sequence[QueueName], *, limit: int
    ) -> list[Rollout]:
        rows = await self._pool.fetch(_LIST_ROLLOUTS, *_columns(queues), limit)
        return to_rollouts(map(dict, rows))

    async def list_cohort_workers(
        self, queues: Sequence[QueueName], *, silent_since: int, rows: int
    ) -> list[CohortWorkers]:
        found = await self._pool.fetch(
            _LIST_COHORT_WORKERS, silent_since, rows, *_columns(queues)
        )
        return to_cohort_workers(map(dict, found))

    async def list_draining_queues(
        self, namespace: str | None, *, rows: int, limit: int
    ) -> list[QueueName]:
        found = await self._pool.fetch(_LIST_DRAINING_QUEUES, namespace, rows, limit)
        return [QueueName(**dict(row)) for row in found]


def _columns(queues: Sequence[QueueName]) -> tuple[list[str], list[str]]:
    return [each.namespace for each in queues], [each.queue for each in queues]
