"""Closed runs that are old enough and what is deleted of them, likewise the histories
of schedules."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from dwserver.store.prune_sql import prune_statements
from dwserver.store.retention import (
    BEFORE_ALL,
    ClosedRun,
    HistoryCut,
    RunPart,
    ScheduleAge,
)
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch, to_array
from dwserver.store.sqlite.statements import BLOCKS

PRUNE = prune_statements(BLOCKS["prune_part"])


class Retention(OnThreads):
    """See :class:`dwserver.store.retention.Retention`."""

    async def expired_runs(
        self,
        namespace: str,
        *,
        closed_before: int,
        after: ClosedRun = BEFORE_ALL,
        limit: int,
    ) -> list[ClosedRun]:
        start = (namespace, closed_before, after.closed_at, after.run_id)
        return await self._list(_closed_runs, *start, limit)

    async def runs_under_open_ones(self, run_ids: Sequence[str]) -> set[str]:
        return await self._list(_under_open_ones, run_ids)

    async def prune_runs(
        self, namespace: str, run_ids: Sequence[str], *, at: int
    ) -> Mapping[str, Mapping[RunPart, int]]:
        return await self._write(_prune_runs, namespace, run_ids, at)

    async def schedule_ages(self, *, after: str, limit: int) -> list[ScheduleAge]:
        return await self._list(_schedule_ages, after, limit)

    async def prune_schedule(
        self, schedule_id: str, cut: HistoryCut, *, limit: int
    ) -> int:
        return await self._write(_prune_schedule, schedule_id, cut, limit)

    async def forget_schedule(self, schedule_id: str) -> bool:
        return await self._write(_forget_schedule, schedule_id)


def _closed_runs(connection: sqlite3.Connection, *args: object) -> list[ClosedRun]:
    rows = fetch(connection, "list_expired_runs", *args)
    return [
        ClosedRun(row["id"], row["closed_at"], row["last_sequence"]) for row in rows
    ]


def _under_open_ones(
    connection: sqlite3.Connection, run_ids: Sequence[str]
) -> set[str]:
    rows = fetch(connection, "list_runs_under_open_ones", to_array(run_ids))
    return {row["run_id"] for row in rows}


def _prune_runs(
    connection: sqlite3.Connection, namespace: str, run_ids: Sequence[str], at: int
) -> Mapping[str, Mapping[RunPart, int]]:
    pruned: dict[str, Mapping[RunPart, int]] = {}
    for run_id in run_ids:
        found = connection.execute(BLOCKS["prune_run"], (namespace, run_id, at))
        if found.rowcount:
            pruned[run_id] = {
                part: connection.execute(statement, (run_id,)).rowcount
                for part, statement in PRUNE.items()
            }
    return pruned


def _schedule_ages(
    connection: sqlite3.Connection, after: str, limit: int
) -> list[ScheduleAge]:
    rows = fetch(connection, "list_schedule_ages", after, limit)
    return [ScheduleAge(**row) for row in rows]


def _prune_schedule(
    connection: sqlite3.Connection, schedule_id: str, cut: HistoryCut, limit: int
) -> int:
    values = (schedule_id, cut.before, cut.upto, cut.most, limit)
    deleted = fetch(connection, "prune_schedule_events", *values)
    connection.execute(BLOCKS["prune_schedule_occurrences"], (schedule_id,))
    return len(deleted)


def _forget_schedule(connection: sqlite3.Connection, schedule_id: str) -> bool:
    return bool(fetch(connection, "forget_schedule", schedule_id))
