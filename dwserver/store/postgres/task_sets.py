"""Set operations: tasks, leases, what is due, the outbox."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from dwserver.engine.model import OutboxEntry
from dwserver.engine.words import TaskKind
from dwserver.store.api import (
    ActivityPlace,
    Definitions,
    DueActivity,
    DueRun,
    DueTimer,
    ExpiredLease,
    LeaseRenewal,
    Overdue,
    QueueKey,
    ReadyTask,
)
from dwserver.store.postgres.blocks import block
from dwserver.store.postgres.connections import ConnectionPool
from dwserver.store.postgres.records import decode_outbox_entry

_LIST_READY_TASKS = block("list_ready_tasks")
_LIST_DUE_TIMERS = block("list_due_timers")
_LIST_EXPIRED_ACTIVITIES = block("list_expired_activities")
_FIND_ACTIVITIES = block("find_activities")
_LIST_DUE_RUNS = block("list_due_runs")
# Two lists in one look, which every process takes once a second.
LIST_OVERDUE = f"""select r.run_id, null::bigint as step, r.deadline_at
from ({_LIST_DUE_RUNS}) r
union all
select a.run_id, a.step, a.deadline_at
from ({block("list_due_activities")}) a"""
_LIST_DUE_OUTBOX = block("list_due_outbox")
_DELETE_OUTBOX = block("delete_outbox")
_POSTPONE_OUTBOX = block("postpone_outbox")
_FIND_WAITING_QUEUE = block("find_waiting_queue")
_LIST_EXPIRED_LEASES = block("list_expired_leases")
RENEW = f"""with held as materialized ({block("list_held_leases")}),
leases as ({block("renew_leases")}),
heartbeats as ({block("renew_heartbeats")})
select held.n from held"""


def _wanted_of(
    keys: Sequence[QueueKey], wanted: Mapping[QueueKey, Definitions] | None
) -> tuple[list[str | None] | None, list[str | None] | None]:
    """Fingerprints and types by key, as JSON arrays; null for whatever there is."""
    if not wanted:
        return None, None
    found = [wanted.get(key) for key in keys]
    return (
        [each and orjson.dumps([*each.fingerprints]).decode() for each in found],
        [each and orjson.dumps([*each.types]).decode() for each in found],
    )


class TaskSets:
    """The set operations of the Store (:class:`dwserver.store.api.Store`)."""

    def __init__(self, pool: ConnectionPool) -> None:
        self._pool = pool

    async def ready_tasks(
        self,
        keys: Sequence[QueueKey],
        *,
        now: int,
        limit: int,
        wanted: Mapping[QueueKey, Definitions] | None = None,
    ) -> list[ReadyTask]:
        if not keys:
            return []
        rows = await self._pool.fetch(
            _LIST_READY_TASKS,
            [key.namespace for key in keys],
            [key.queue for key in keys],
            [key.kind for key in keys],
            now,
            limit,
            *_wanted_of(keys, wanted),
        )
        return [ReadyTask(keys[row[0] - 1], *tuple(row)[1:]) for row in rows]

    async def due_timers(self, *, now: int, limit: int) -> list[DueTimer]:
        rows = await self._pool.fetch(_LIST_DUE_TIMERS, now, limit)
        return [DueTimer(*row) for row in rows]

    async def overdue(self, *, now: int, limit: int) -> Overdue:
        rows = await self._pool.fetch(LIST_OVERDUE, now, limit)
        return Overdue(
            [DueRun(run_id, at) for run_id, step, at in rows if step is None],
            [DueActivity(*row) for row in rows if row[1] is not None],
        )

    async def expired_activities(self, *, now: int, limit: int) -> list[ActivityPlace]:
        rows = await self._pool.fetch(_LIST_EXPIRED_ACTIVITIES, now, limit)
        return [ActivityPlace(*row) for row in rows]

    async def find_activities(self, activity_ids: Sequence[str]) -> list[ActivityPlace]:
        rows = await self._pool.fetch(_FIND_ACTIVITIES, list(activity_ids))
        return [ActivityPlace(*row) for row in rows]

    async def due_runs(self, *, now: int, limit: int) -> list[DueRun]:
        rows = await self._pool.fetch(_LIST_DUE_RUNS, now, limit)
        return [DueRun(*row) for row in rows]

    async def due_outbox(self, *, now: int, limit: int) -> list[OutboxEntry]:
        rows = await self._pool.fetch(_LIST_DUE_OUTBOX, now, limit)
        return list(map(decode_outbox_entry, rows))

    async def delete_outbox(self, ids: Sequence[str]) -> None:
        # Every process takes the locks of the rows in one order.
        await self._pool.write(_DELETE_OUTBOX, sorted(ids))

    async def postpone_outbox(self, ids: Sequence[str], *, available_at: int) -> None:
        await self._pool.write(_POSTPONE_OUTBOX, sorted(ids), available_at)

    async def expired_leases(self, *, now: int, limit: int) -> list[ExpiredLease]:
        rows = await self._pool.fetch(_LIST_EXPIRED_LEASES, now, limit)
        return [
            ExpiredLease(task_id, run_id, TaskKind(kind), expires_at)
            for task_id, run_id, kind, expires_at in rows
        ]

    async def waiting_queue(self, *, due_before: int) -> QueueKey | None:
        rows = await self._pool.fetch(_FIND_WAITING_QUEUE, due_before)
        for namespace, queue, kind in rows:
            return QueueKey(namespace, queue, TaskKind(kind))
        return None

    async def renew_leases(self, renewals: Sequence[LeaseRenewal]) -> list[bool]:
        # One renewal for each lease: a row that joins twice is changed by either.
        newest = {_lease_of(renewal): renewal for renewal in renewals}
        if not newest:
            return []
        asked = list(newest.values())
        rows = await self._pool.write(
            RENEW,
            [renewal.task_id for renewal in asked],
            [renewal.owner for renewal in asked],
            [renewal.lease_expires_at for renewal in asked],
            [renewal.attempt for renewal in asked],
            [renewal.attempt_id for renewal in asked],
            [renewal.activity_id for renewal in asked],
            [renewal.heartbeat_deadline_at for renewal in asked],
            [renewal.last_heartbeat_at for renewal in asked],
        )
        held = {_lease_of(asked[row[0] - 1]) for row in rows}
        return [_lease_of(renewal) in held for renewal in renewals]


def _lease_of(renewal: LeaseRenewal) -> tuple[str, str, int | None, str | None]:
    return renewal.task_id, renewal.owner, renewal.attempt, renewal.attempt_id
