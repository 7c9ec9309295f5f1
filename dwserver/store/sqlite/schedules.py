"""Reads of schedules. Each may raise sqlite3.Error."""

from __future__ import annotations

import sqlite3

import orjson

from dwserver.engine.model.schedules import (
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.words import StatusBucket
from dwserver.store.schedules import (
    DueSchedule,
    ScheduleCursor,
    ScheduleFilter,
    ScheduleSummary,
)
from dwserver.store.sqlite.on_threads import OnThreads
from dwserver.store.sqlite.reads import fetch, fetch_one
from dwserver.store.sqlite.records import Columns

_BEFORE_ALL = ScheduleCursor(2**63 - 1, "")


class Schedules(OnThreads):
    """See :class:`dwserver.store.schedules.Schedules`."""

    async def find_schedule(
        self, namespace: str, schedule_id: str, *, with_deleted: bool = False
    ) -> Schedule | None:
        block = "find_any_schedule" if with_deleted else "find_schedule"
        return await self._read(_find, block, namespace, schedule_id)

    async def list_schedules(
        self,
        schedule_filter: ScheduleFilter,
        *,
        after: ScheduleCursor | None,
        limit: int,
    ) -> list[Schedule]:
        cursor = after or _BEFORE_ALL
        return await self._list(
            _select,
            "list_schedules",
            schedule_filter.namespace,
            cursor.created_at,
            cursor.id,
            limit,
            schedule_filter.status,
            schedule_filter.workflow_type,
        )

    async def due_schedules(self, *, now: int, limit: int) -> list[DueSchedule]:
        return await self._read(_due, now, limit)

    async def draining_schedules(self, *, after: str, limit: int) -> list[Schedule]:
        return await self._read(_select, "list_buffering_schedules", after, limit)

    async def schedule_events(
        self, schedule: Schedule, *, after: int, limit: int
    ) -> list[ScheduleEvent]:
        return await self._list(_events, schedule.id, after, limit)

    async def summarise_schedules(
        self, namespace: str | None, *, now: int
    ) -> ScheduleSummary:
        return await self._list(_summary, namespace, now)


def _find(connection: sqlite3.Connection, block: str, *args: object) -> Schedule | None:
    return fetch_one(connection, _to_schedule, block, *args)


def _select(
    connection: sqlite3.Connection, block: str, *args: object
) -> list[Schedule]:
    return list(map(_to_schedule, fetch(connection, block, *args)))


def _due(connection: sqlite3.Connection, now: int, limit: int) -> list[DueSchedule]:
    rows = fetch(connection, "list_due_schedules", now, limit)
    return list(map(_to_due, rows))


def _events(
    connection: sqlite3.Connection, schedule_id: str, after: int, limit: int
) -> list[ScheduleEvent]:
    rows = fetch(connection, "list_schedule_events", schedule_id, after, limit)
    return list(map(_to_event, rows))


def _summary(
    connection: sqlite3.Connection, namespace: str | None, now: int
) -> ScheduleSummary:
    if namespace is None:
        [row] = fetch(connection, "summarise_all_schedules", now)
    else:
        [row] = fetch(connection, "summarise_schedules", namespace, now)
    return ScheduleSummary(**row)


def _to_due(row: Columns) -> DueSchedule:
    run_id, bucket = row.pop("latest_run_id"), row.pop("latest_bucket")
    open_run_id = run_id if bucket == StatusBucket.RUNNING else None
    return DueSchedule(_to_schedule(row), open_run_id)


def _to_schedule(row: Columns) -> Schedule:
    row["status"] = ScheduleStatus(row["status"])
    row["overlap_policy"] = OverlapPolicy(row["overlap_policy"])
    for name in ("spec", "action"):
        row[name] = orjson.loads(row[name])
    for name in ("memo", "search_attributes"):
        row[name] = orjson.loads(row[name]) if row[name] else {}
    for name in ("recent_actions", "buffered_actions"):
        row[name] = tuple(orjson.loads(row[name])) if row[name] else ()
    return Schedule(**row)


def _to_event(row: Columns) -> ScheduleEvent:
    row["event_type"] = ScheduleEventType(row["event_type"])
    return ScheduleEvent(**row)
