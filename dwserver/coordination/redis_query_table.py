"""Query tasks in Redis: every change is one script (``coordination/lua``).

Instants are those of the caller's clock. Every method may raise
:class:`~dwserver.coordination.query_tasks.QueryExchangeUnavailable`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from dwserver.coordination import query_records as records
from dwserver.coordination import query_scripts as scripts
from dwserver.coordination.query_guards import (
    QueryTaskStatus,
    status_after,
    unanswered,
    why_not_settled,
)
from dwserver.coordination.query_limits import QueryLimits
from dwserver.coordination.query_tasks import (
    Answer,
    Answered,
    Failed,
    QueryExchangeUnavailable,
    QueryLease,
    QueryPoll,
    QueryTask,
    QueryTaskRef,
    Unanswered,
)
from dwserver.coordination.redis_connection import (
    RedisConnection,
    RedisUnavailable,
    Script,
)
from dwserver.engine.outcome import Rejection

NEVER = 2**63
# Queues that one script counts: others wait meanwhile.
MAX_COUNTED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Look:
    """What a poll found. ``expired``: leases that had run out; ``pending``: tasks that
    nobody holds; ``next_end``: when the next lease of the queue ends."""

    lease: QueryLease | None
    expired: int
    pending: int
    next_end: int


class QueryTable:
    def __init__(
        self,
        connection: RedisConnection,
        *,
        now: Callable[[], int],
        limits: QueryLimits,
    ) -> None:
        self._connection = connection
        self._now = now
        self._limits = limits

    async def put(self, task: QueryTask) -> QueryTaskStatus | None:
        """Enqueue the task unless it is there; where it stands, None for a full
        queue."""
        now, limits = self._now(), self._limits
        life = (task.deadline_at - now + limits.lease + limits.keep) // 1000
        status: bytes = await self._run(
            scripts.ASK,
            task.namespace,
            task.id,
            records.queue_word(task.queue),
            now,
            limits.keep,
            task.deadline_at,
            limits.pending_per_queue,
            life,
            task.workflow_type,
            records.encode_task(task),
            *([] if task.compatibility is None else [task.compatibility]),
        )
        return None if status == b"full" else QueryTaskStatus(status.decode())

    async def finish(
        self, task: QueryTask, *, is_last: bool
    ) -> Answered | Failed | Unanswered:
        """The answer if there is one, else how far the task has come; with ``is_last``
        it is withdrawn."""
        status, attempt, _, *answer = await self._run(
            scripts.FINISH,
            task.namespace,
            task.id,
            self._now(),
            self._limits.keep,
            *([1] if is_last else []),
        )
        found = records.decode_answer((status or b"").decode(), answer)
        if found is not None:
            return found
        return unanswered(int(attempt or 0))

    async def lease(self, poll: QueryPoll) -> Look:
        """Take the oldest task that suits."""
        now = self._now()
        expires_at = now + self._limits.lease
        expired, pending, next_end, *found = await self._run(
            scripts.LEASE,
            poll.namespace,
            records.queue_word(poll.queue),
            now,
            self._limits.keep,
            poll.worker_id,
            expires_at,
            poll.build_id or "",
            *sorted(poll.types or ()),
        )
        lease = None
        if found:
            _, attempt, body = found
            task = records.decode_task(body)
            lease = QueryLease(task, poll.worker_id, attempt, expires_at)
        return Look(
            lease, expired, pending, int(float(next_end)) if next_end else NEVER
        )

    async def pending(self, namespace: str, queues: Sequence[str]) -> list[int]:
        """How many tasks nobody holds, in each of the queues."""
        counts: list[int] = []
        for start in range(0, len(queues), MAX_COUNTED_AT_ONCE):
            words = map(records.queue_word, queues[start : start + MAX_COUNTED_AT_ONCE])
            counts += await self._run(
                scripts.PENDING, namespace, self._now(), self._limits.keep, *words
            )
        return counts

    async def give_back(self, lease: QueryLease) -> bool:
        """False when that lease has ended."""
        task = lease.task
        done = await self._run(
            scripts.GIVE_BACK, task.namespace, task.id, lease.attempt
        )
        return bool(done)

    async def find(self, ref: QueryTaskRef) -> QueryLease | None:
        key = f"{records.prefix_of(ref.namespace)}task:{ref.task_id}"
        fields = ("status", "attempt", "owner", "lease_expires_at", "forget_at", "body")
        try:
            *cells, body = await self._connection.execute("HMGET", key, *fields)
        except RedisUnavailable as error:
            raise QueryExchangeUnavailable(str(error)) from error
        now = self._now()
        standing = records.decode_standing(ref.namespace, cells, now=now)
        if standing is None or body is None:
            return None
        if why_not_settled(ref, standing, now=now) is not None:
            return None
        task = records.decode_task(body)
        return QueryLease(task, ref.owner, ref.attempt, standing.lease_expires_at)

    async def settle(self, ref: QueryTaskRef, answer: Answer) -> Rejection | None:
        now = self._now()
        cells: Sequence[bytes | None] = await self._run(
            scripts.SETTLE,
            ref.namespace,
            ref.task_id,
            ref.owner,
            ref.attempt,
            now,
            self._limits.keep,
            status_after(answer).value,
            *records.encode_answer(answer),
        )
        if not cells:
            return None
        standing = records.decode_standing(ref.namespace, cells, now=now)
        return why_not_settled(ref, standing, now=now)

    async def _run(
        self, script: Script, namespace: str, *arguments: str | bytes | int
    ) -> Any:
        keys = (records.prefix_of(namespace),)
        try:
            return await self._connection.run(script, keys, *arguments)
        except RedisUnavailable as error:
            raise QueryExchangeUnavailable(str(error)) from error
