"""Closed runs that are old enough, and what is deleted of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.retention import BEFORE_ALL, ClosedRun, RunPart

_LIST_EXPIRED_RUNS = block("list_expired_runs")
_LIST_RUNS_UNDER_OPEN_ONES = block("list_runs_under_open_ones")
_DELETED = ",\n".join(
    f"{part} as ({block(f'prune_{part}')} returning 1)" for part in RunPart
)
_COUNTED = ",\n".join(f"(select count(*) from {part})" for part in RunPart)
PRUNE = f"""with pruned as ({block("prune_run")}),
{_DELETED}
select {_COUNTED}
from pruned"""


class Retention:
    """See :class:`dwserver.store.retention.Retention`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def expired_runs(
        self,
        namespace: str,
        *,
        closed_before: int,
        after: ClosedRun = BEFORE_ALL,
        limit: int,
    ) -> list[ClosedRun]:
        rows = await self._pool.fetch(
            _LIST_EXPIRED_RUNS,
            namespace,
            closed_before,
            after.closed_at,
            after.run_id,
            limit,
        )
        return [ClosedRun(*row) for row in rows]

    async def runs_under_open_ones(self, run_ids: Sequence[str]) -> set[str]:
        rows = await self._pool.fetch(_LIST_RUNS_UNDER_OPEN_ONES, list(run_ids))
        return {row[0] for row in rows}

    async def prune_run(
        self, namespace: str, run_id: str, *, at: int
    ) -> Mapping[RunPart, int] | None:
        rows = await self._pool.write(PRUNE, namespace, run_id, at)
        return dict(zip(RunPart, rows[0], strict=True)) if rows else None
