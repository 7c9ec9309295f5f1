"""The exchange of one process with callers and polls, on a clock that is stepped."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dwserver.coordination.memory_query_tasks import MemoryQueryExchange, QueryLimits
from dwserver.coordination.query_tasks import (
    Answered,
    QueryLease,
    QueryOutcome,
    QueryPoll,
    QueryTask,
    QueryTaskRef,
)
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
    def __init__(self, **limits: Any) -> None:
        self.timers = SteppedTimers()
        self.seen = Seen()
        values: dict[str, Any] = {
            "lease": LEASE_SECONDS * SECOND,
            "keep": KEEP_SECONDS * SECOND,
            "pending_per_queue": 100,
            **limits,
        }
        self.exchange = MemoryQueryExchange(
            now=self.timers.now,
            limits=QueryLimits(**values),
            observer=self.seen,
            call_later=self.timers.call_later,
        )

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

    @staticmethod
    async def begun(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        # As far as it gets by itself.
        await asyncio.sleep(0)
        return task
