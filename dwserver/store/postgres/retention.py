"""Closed runs that are old enough and what is deleted of them, likewise the histories
of schedules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dwserver.store.postgres.blocks import BLOCKS, block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.prune_sql import prune_statements
from dwserver.store.retention import (
    BEFORE_ALL,
    ClosedRun,
    HistoryCut,
    RunPart,
    ScheduleAge,
)

_LIST_EXPIRED_RUNS = block("list_expired_runs")
_LIST_RUNS_UNDER_OPEN_ONES = block("list_runs_under_open_ones")
_LIST_SCHEDULE_AGES = block("list_schedule_ages")
_PRUNE_SCHEDULE_EVENTS = block("prune_schedule_events")
_PRUNE_SCHEDULE_OCCURRENCES = block("prune_schedule_occurrences")
_FORGET_SCHEDULE = block("forget_schedule")
_DELETED = ",\n".join(
    f"{part} as ({statement} returning x.run_id)"
    for part, statement in prune_statements(BLOCKS["prune_part"]).items()
)
_COUNTED = "\n".join(
    f"union all select x.run_id, '{part}', count(*) from {part} x group by x.run_id"
    for part in RunPart
)
PRUNE = f"""with pruned as ({block("prune_run")}),
{_DELETED}
select p.id, null, 0 from pruned p
{_COUNTED}"""


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

    async def prune_runs(
        self, namespace: str, run_ids: Sequence[str], *, at: int
    ) -> Mapping[str, Mapping[RunPart, int]]:
        rows = await self._pool.write(PRUNE, namespace, list(run_ids), at)
        # A first row for each run, then one for each part that it had rows of.
        pruned: dict[str, dict[RunPart, int]] = {
            run_id: dict.fromkeys(RunPart, 0) for run_id, part, _ in rows if not part
        }
        for run_id, part, count in rows:
            if part:
                pruned[run_id][RunPart(part)] = count
        return pruned

    async def schedule_ages(self, *, after: str, limit: int) -> list[ScheduleAge]:
        rows = await self._pool.fetch(_LIST_SCHEDULE_AGES, after, limit)
        return [ScheduleAge(**dict(row)) for row in rows]

    async def prune_schedule(
        self, schedule_id: str, cut: HistoryCut, *, limit: int
    ) -> int:
        deleted = await self._pool.write(
            _PRUNE_SCHEDULE_EVENTS, schedule_id, cut.before, cut.upto, cut.most, limit
        )
        await self._pool.write(_PRUNE_SCHEDULE_OCCURRENCES, schedule_id)
        return len(deleted)

    async def forget_schedule(self, schedule_id: str) -> bool:
        return bool(await self._pool.write(_FORGET_SCHEDULE, schedule_id))
