"""The workers' end of queries: poll, complete, fail (``worker-protocol.md §10``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from dwserver.coordination.query_tasks import (
    Answer,
    Failed,
    QueryExchange,
    QueryExchangeUnavailable,
    QueryLease,
    QueryPoll,
    QueryTaskRef,
)
from dwserver.engine.outcome import Rejection
from dwserver.services.poll_admission import admitted_worker
from dwserver.services.poll_news import LeaseNote, PollNews, PollRequestKey
from dwserver.services.poll_requests import PollRequests
from dwserver.services.queries import UNAVAILABLE
from dwserver.services.workers import DRAINING, Workers
from dwserver.store.api import WorkerRegistration

RUN_GONE = Failed("query_rejected", "The history of the run has been removed.")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryPollRequest:
    """A validated poll. ``wait_seconds``: how long it may be held."""

    namespace: str
    worker_id: str
    task_queue: str
    wait_seconds: float
    is_connected: Callable[[], bool]
    poll_request_id: str | None = None


class QueryTasks:
    """``idle`` holds a poll that must not get anything."""

    def __init__(
        self,
        exchange: QueryExchange,
        *,
        workers: Workers,
        idle: Callable[[float], Awaitable[None]],
        news: PollNews,
        now: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._workers = workers
        self._idle = idle
        self._requests: PollRequests[QueryLease] = PollRequests(
            news=news, note=_note, restore=self._restore, now=now
        )

    async def poll(self, request: QueryPollRequest) -> QueryLease | Rejection | None:
        """A leased query task, None for an empty poll, or the refusal of the worker."""
        worker = await admitted_worker(
            self._workers,
            namespace=request.namespace,
            worker_id=request.worker_id,
            task_queue=request.task_queue,
            build_id=None,
        )
        if isinstance(worker, Rejection):
            return worker
        try:
            if request.poll_request_id is None:
                return await self._wait(worker, request)
            return await self._requests.once(
                PollRequestKey(
                    (request.namespace, request.task_queue),
                    request.worker_id,
                    worker.build_id,
                    request.poll_request_id,
                ),
                lambda: self._wait(worker, request),
                wait_seconds=request.wait_seconds,
            )
        except QueryExchangeUnavailable:
            return Rejection(
                UNAVAILABLE.reason,
                UNAVAILABLE.message,
                {
                    "task": None,
                    "namespace": request.namespace,
                    "task_queue": request.task_queue,
                },
            )

    async def undeliverable(self, lease: QueryLease) -> None:
        """The answer did not reach the client: another worker may have the task. A
        lease that the exchange cannot be told about runs out."""
        with suppress(QueryExchangeUnavailable):
            await self._exchange.give_back(lease)

    async def run_is_gone(self, lease: QueryLease) -> None:
        """The run was removed between question and lease: tell the caller, who else
        waits until its deadline."""
        task = lease.task
        ref = QueryTaskRef(task.namespace, task.id, lease.owner, lease.attempt)
        await self.settle(ref, RUN_GONE)

    async def settle(self, ref: QueryTaskRef, answer: Answer) -> Rejection | None:
        """Pass the worker's answer on; a rejection when it does not hold the task."""
        try:
            return await self._exchange.settle(ref, answer)
        except QueryExchangeUnavailable:
            return UNAVAILABLE

    async def _restore(self, note: LeaseNote, worker_id: str) -> QueryLease | None:
        ref = QueryTaskRef(note.home, note.task_id, worker_id, note.attempt)
        return await self._exchange.find(ref)

    async def _wait(
        self, worker: WorkerRegistration, request: QueryPollRequest
    ) -> QueryLease | None:
        if worker.status == DRAINING:
            await self._idle(request.wait_seconds)
            return None
        poll = QueryPoll(
            namespace=request.namespace,
            queue=request.task_queue,
            worker_id=request.worker_id,
            build_id=worker.build_id,
            types=frozenset(worker.workflow_types) or None,
            is_connected=self._workers.may_claim(worker, request.is_connected),
        )
        return await self._exchange.lease(poll, seconds=request.wait_seconds)


def _note(lease: QueryLease) -> LeaseNote:
    task = lease.task
    return LeaseNote(task.namespace, task.id, lease.attempt, lease.expires_at)
