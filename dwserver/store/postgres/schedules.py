"""Reads of schedules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from dwserver.engine.model.schedules import (
    OverlapPolicy,
    Schedule,
    ScheduleEvent,
    ScheduleEventType,
    ScheduleStatus,
)
from dwserver.engine.words import StatusBucket
from dwserver.store.columns import plain
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.records import decode_map
from dwserver.store.schedules import (
    DueSchedule,
    ScheduleCursor,
    ScheduleFilter,
    ScheduleSummary,
)

_FIND_SCHEDULE = block("find_schedule")
_FIND_ANY_SCHEDULE = block("find_any_schedule")
_LIST_SCHEDULES = block("list_schedules")
_LIST_DUE_SCHEDULES = block("list_due_schedules")
_LIST_BUFFERING_SCHEDULES = block("list_buffering_schedules")
_LIST_SCHEDULE_EVENTS = block("list_schedule_events")
_SUMMARISE_SCHEDULES = block("summarise_schedules")
_SUMMARISE_ALL_SCHEDULES = block("summarise_all_schedules")

_PLAIN = plain("schedule")
_BEFORE_ALL = ScheduleCursor(2**63 - 1, "")


class Schedules:
    """See :class:`dwserver.store.schedules.Schedules`."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def find_schedule(
        self, namespace: str, schedule_id: str, *, with_deleted: bool = False
    ) -> Schedule | None:
        statement = _FIND_ANY_SCHEDULE if with_deleted else _FIND_SCHEDULE
        rows = await self._pool.fetch(statement, namespace, schedule_id)
        return _decode(rows[0]) if rows else None

    async def list_schedules(
        self,
        schedule_filter: ScheduleFilter,
        *,
        after: ScheduleCursor | None,
        limit: int,
    ) -> list[Schedule]:
        cursor = after or _BEFORE_ALL
        rows = await self._pool.fetch(
            _LIST_SCHEDULES,
            schedule_filter.namespace,
            cursor.created_at,
            cursor.id,
            limit,
            schedule_filter.status,
            schedule_filter.workflow_type,
        )
        return list(map(_decode, rows))

    async def due_schedules(self, *, now: int, limit: int) -> list[DueSchedule]:
        rows = await self._pool.fetch(_LIST_DUE_SCHEDULES, now, limit)
        return [DueSchedule(_decode(row), _open_run(*row[-2:])) for row in rows]

    async def draining_schedules(self, *, after: str, limit: int) -> list[Schedule]:
        rows = await self._pool.fetch(_LIST_BUFFERING_SCHEDULES, after, limit)
        return list(map(_decode, rows))

    async def schedule_events(
        self, schedule: Schedule, *, after: int, limit: int
    ) -> list[ScheduleEvent]:
        rows = await self._pool.fetch(_LIST_SCHEDULE_EVENTS, schedule.id, after, limit)
        return [_decode_event(row) for row in rows]

    async def summarise_schedules(
        self, namespace: str | None, *, now: int
    ) -> ScheduleSummary:
        if namespace is None:
            rows = await self._pool.fetch(_SUMMARISE_ALL_SCHEDULES, now)
        else:
            rows = await self._pool.fetch(_SUMMARISE_SCHEDULES, namespace, now)
        return ScheduleSummary(**dict(rows[0]))


def _open_run(run_id: str | None, bucket: str | None) -> str | None:
    return run_id if bucket == StatusBucket.RUNNING else None


def _decode(row: Sequence[Any]) -> Schedule:
    fields = dict(zip(_PLAIN, row, strict=False))
    spec, action, memo, search_attributes, recent, buffered = row[
        len(_PLAIN) : len(_PLAIN) + 6
    ]
    fields.update(
        status=ScheduleStatus(fields["status"]),
        overlap_policy=OverlapPolicy(fields["overlap_policy"]),
        spec=orjson.loads(spec),
        action=orjson.loads(action),
        memo=decode_map(memo),
        search_attributes=decode_map(search_attributes),
        recent_actions=tuple(orjson.loads(recent)),
        buffered_actions=tuple(orjson.loads(buffered)) if buffered else (),
    )
    return Schedule(**fields)


def _decode_event(row: Sequence[Any]) -> ScheduleEvent:
    return ScheduleEvent(
        id=row[0],
        sequence=row[1],
        event_type=ScheduleEventType(row[2]),
        payload=row[3],
        recorded_at=row[4],
        workflow_id=row[5],
        run_id=row[6],
    )
