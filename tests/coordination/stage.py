"""An exchange of one process with callers and polls, on a clock that is stepped."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dwserver.coordination.memory_query_tasks import MemoryQueryExchange
from dwserver.coordination.query_limits import QueryLimits
from dwserver.coordination.query_tasks import (
    Answered,
    QueryExchange,
    QueryLease,
    QueryOutcome,
    QueryPoll,
    QueryTask,
    QueryTaskRef,
)
from dwserver.coordination.redis_address import parse_redis_url
from dwserver.coordination.redis_connection import RedisConnection
from dwserver.coordination.redis_query_table import QueryTable
from dwserver.coordination.redis_query_tasks import RedisQueryExchange
from dwserver.coordination.wake_signals import SilentSignals
from tests.support.builders import SECOND, an_id
from tests.support.stepped_timers import SteppedTimers

T = TypeVar("T")

YES = Answered(b'"yes"', None)
LEASE_SECONDS = 60
KEEP_SECONDS = 180
CALLER_SECONDS = 200


def ref_of(lease: QueryLease, **fields: Any) -> QueryTaskRef:
    """How the holder of a lease names its task."""
    values: dict[str, Any] = {
        "namespace": lease.task.namespace,
        "task_id": lease.task.id,
        "owner": lease.owner,
        "attempt": lease.attempt,
        **fields,
    }
    return QueryTaskRef(**values)


def a_poll(worker_id: str = "worker-1", **fields: Any) -> QueryPoll:
    values: dict[str, Any] = {
        "namespace": "default",
        "queue": "orders",
        "build_id": None,
        "types": None,
        "is_connected": lambda: True,
        **fields,
    }
    return QueryPoll(worker_id=worker_id, **values)


@dataclass
class Seen:
    """The observer of the exchange."""

    pending_counts: list[int] = field(default_factory=list)
    expired: int = 0

    def pending(self, count: int) -> None:
        self.pending_counts.append(count)

    def lease_expired(self) -> None:
        self.expired += 1


class UpAndDown:
    """The observer of a connection."""

    def __init__(self) -> None:
        self.changes: list[bool] = []

    def redis_is_up(self, is_up: bool) -> None:
        self.changes.append(is_up)


class CountingRedis(RedisConnection):
    """A connection that knows how many commands are under way."""

    def __init__(self, url: str) -> None:
        super().__init__(parse_redis_url(url), observer=UpAndDown())
        self.in_flight = 0

    @asynccontextmanager
    async def _attempt(self) -> AsyncIterator[None]:
        self.in_flight += 1
        try:
            async with super()._attempt():
                yield
        finally:
            self.in_flight -= 1


class Caller:
    """A client that waits for the outcome of its question, until it hangs up."""

    def __init__(self, task: QueryTask) -> None:
        self.task = task
        self.is_there = True
        self.waiting: asyncio.Task[QueryOutcome] | None = None

    @property
    def is_waiting(self) -> bool:
        return self.waiting is not None and not self.waiting.done()

    async def outcome(self) -> QueryOutcome:
        assert self.waiting is not None
        return await self.waiting

    async def cancel(self) -> None:
        assert self.waiting is not None
        self.waiting.cancel()
        await asyncio.wait([self.waiting])


class Stage:
    """``redis``: the connection of an exchange on Redis; None keeps it in memory."""

    def __init__(self, redis: CountingRedis | None = None, **limits: Any) -> None:
        self.timers = SteppedTimers()
        self.seen = Seen()
        self.redis = redis
        self.spawned: set[asyncio.Task[None]] = set()
        self.begun_here: list[asyncio.Task[Any]] = []
        values: dict[str, Any] = {
            "lease": LEASE_SECONDS * SECOND,
            "keep": KEEP_SECONDS * SECOND,
            "pending_per_queue": 100,
            **limits,
        }
        self.exchange = self._exchange(QueryLimits(**values))

    def _exchange(self, limits: QueryLimits) -> QueryExchange:
        if self.redis is None:
            return MemoryQueryExchange(
                now=self.timers.now,
                limits=limits,
                observer=self.seen,
                call_later=self.timers.call_later,
            )
        return RedisQueryExchange(
            QueryTable(self.redis, now=self.timers.now, limits=limits),
            signals=SilentSignals(),
            spawn=self._spawn,
            now=self.timers.now,
            limits=limits,
            observer=self.seen,
            call_later=self.timers.call_later,
        )

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> object:
        task = asyncio.create_task(work, name=name)
        self.spawned.add(task)
        task.add_done_callback(self.spawned.discard)
        return task

    def a_task(
        self, *, wait_seconds: float = CALLER_SECONDS, **fields: Any
    ) -> QueryTask:
        values: dict[str, Any] = {
            "id": an_id("query"),
            "namespace": "default",
            "queue": "orders",
            "workflow_id": "order-1",
            "run_id": "run-1",
            "workflow_type": "orders.Ship",
            "compatibility": None,
            "query_name": "state",
            "arguments": None,
            "deadline_at": self.timers.now() + round(wait_seconds * SECOND),
            **fields,
        }
        return QueryTask(**values)

    async def ask(self, **fields: Any) -> Caller:
        """A caller whose question has reached the exchange."""
        caller = Caller(self.a_task(**fields))
        caller.waiting = await self.begun(
            self.exchange.ask(caller.task, is_waited_for=lambda: caller.is_there)
        )
        return caller

    async def poll(self, *args: Any, **fields: Any) -> QueryLease | None:
        """What is there now."""
        return await self.exchange.lease(a_poll(*args, **fields), seconds=0)

    async def leased(self, *args: Any, **fields: Any) -> QueryLease:
        lease = await self.poll(*args, **fields)
        assert lease is not None
        return lease

    async def polling(
        self, *args: Any, seconds: float = 30.0, **fields: Any
    ) -> asyncio.Task[QueryLease | None]:
        """A poll that has found nothing and waits."""
        poll = a_poll(*args, **fields)
        return await self.begun(self.exchange.lease(poll, seconds=seconds))

    async def begun(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self.begun_here.append(task)
        await self.at_rest()
        return task

    async def end(self) -> None:
        self.exchange.drain()
        await asyncio.gather(*self.begun_here, return_exceptions=True)
        await self.at_rest()

    async def at_rest(self) -> None:
        """Everything has gone as far as it gets by itself."""
        quiet_turns = 0
        while quiet_turns < 5:
            await asyncio.sleep(0)
            is_busy = self.spawned or (self.redis and self.redis.in_flight)
            quiet_turns = 0 if is_busy else quiet_turns + 1
