"""Queries on a real database, with the exchange on a clock that is stepped."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from dwserver.coordination.memory_query_tasks import MemoryQueryExchange
from dwserver.coordination.query_limits import QueryLimits
from dwserver.coordination.query_tasks import QueryLease, QueryTaskRef
from dwserver.coordination.wake_signals import SilentSignals
from dwserver.engine.commands.terminal import CompleteWorkflow
from dwserver.engine.model import Payload, Run
from dwserver.engine.outcome import Rejection
from dwserver.runtime.ids import SequentialIds
from dwserver.services.poll_news import PollNews
from dwserver.services.queries import Queries, QueryReply, Question
from dwserver.services.query_tasks import QueryPollRequest, QueryTasks
from dwserver.services.query_workers import QueryWorkers
from tests.coordination.stage import Seen
from tests.support.builders import SECOND
from tests.support.small_server import NAMESPACE, QUEUE, SmallServer
from tests.support.stepped_timers import SteppedTimers

TIMEOUT_SECONDS = 30
LEASE_SECONDS = 20
COMPLETE = CompleteWorkflow(result=None)


def a_query_poll(**fields: Any) -> QueryPollRequest:
    """A poll of the registered worker that looks once."""
    values: dict[str, Any] = {
        "namespace": NAMESPACE,
        "worker_id": "worker-1",
        "task_queue": QUEUE,
        "wait_seconds": 0.0,
        "is_connected": lambda: True,
        **fields,
    }
    return QueryPollRequest(**values)


def ref_of(lease: QueryLease) -> QueryTaskRef:
    return QueryTaskRef(lease.task.namespace, lease.task.id, lease.owner, lease.attempt)


@dataclass
class Idle:
    """Polls of workers that may not get anything."""

    seconds: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class QueryRoom:
    """Both ends of queries on the store and the workers of ``server``."""

    def __init__(self, server: SmallServer) -> None:
        self.server = server
        self.timers = SteppedTimers()
        self.idle = Idle()
        self.outcomes: list[str] = []
        self.exchange = MemoryQueryExchange(
            now=self.timers.now,
            limits=QueryLimits(
                lease=LEASE_SECONDS * SECOND,
                keep=180 * SECOND,
                pending_per_queue=2,
            ),
            observer=Seen(),
            call_later=self.timers.call_later,
        )
        workers = server.services.workers
        self.queries = Queries(
            server.faults.store,
            exchange=self.exchange,
            workers=QueryWorkers(workers, now=self.timers.now),
            now=self.timers.now,
            next_id=SequentialIds().next,
            timeout=TIMEOUT_SECONDS * SECOND,
            observe=self.outcomes.append,
        )
        self.tasks = QueryTasks(
            self.exchange,
            workers=workers,
            idle=self.idle,
            news=PollNews(SilentSignals(), now=self.timers.now),
            now=self.timers.now,
        )

    async def run(self, workflow_id: str = "order-1") -> Run:
        run = await self.queries.current_run(NAMESPACE, workflow_id)
        assert run is not None
        return run

    async def ask(
        self, *, arguments: Payload | None = None, is_there: bool = True
    ) -> QueryReply:
        """Ask the current run of ``order-1``."""
        question = Question(
            run=await self.run(),
            name="state",
            arguments=arguments,
            is_waited_for=lambda: is_there,
        )
        return await self.queries.ask(question)

    def asking(self, **fields: Any) -> asyncio.Task[QueryReply]:
        return asyncio.create_task(self.ask(**fields))

    async def leased(self, **fields: Any) -> QueryLease:
        """The lease of a question that is there or on its way."""
        poll = a_query_poll(wait_seconds=TIMEOUT_SECONDS / 2, **fields)
        lease = await self.tasks.poll(poll)
        assert isinstance(lease, QueryLease), lease
        return lease

    async def refused(self) -> Rejection:
        reply = await self.ask()
        assert isinstance(reply, Rejection), reply
        return reply
