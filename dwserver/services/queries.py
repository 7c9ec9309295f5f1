"""Queries of callers (``spec/control-plane-api.md §5.7``, decisions 17 and 23)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from dwserver.coordination.query_tasks import (
    Answered,
    Failed,
    QueryExchange,
    QueryExchangeUnavailable,
    QueryOutcome,
    QueryTask,
    Unanswered,
)
from dwserver.engine.model import Payload, Run
from dwserver.engine.outcome import Rejection
from dwserver.services.query_workers import QueryWorkers
from dwserver.store.api import Store

QueryReply: TypeAlias = Answered | Failed | Rejection

UNAVAILABLE = Rejection(
    "query_task_queue_unavailable", "Queries cannot be handed to workers now."
)
LATE = Rejection("query_worker_timeout", "The worker did not answer the query in time.")
# What a caller is told when no worker has said anything.
UNANSWERED = {
    Unanswered.QUEUE_FULL: Rejection(
        "query_task_queue_full", "Too many queries wait for workers of this task queue."
    ),
    Unanswered.NOT_CLAIMED: Rejection(
        "query_worker_timeout", "No worker took the query in time."
    ),
    Unanswered.TIMED_OUT: LATE,
    # Nobody reads this one.
    Unanswered.CALLER_GONE: LATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query about a run, open or closed. ``is_waited_for``: the caller can still be
    answered."""

    run: Run
    name: str
    arguments: Payload | None
    is_waited_for: Callable[[], bool]


class Queries:
    """``timeout``: how long a caller waits, in microseconds. ``observe`` is told the
    outcome of every question in one word."""

    def __init__(
        self,
        store: Store,
        *,
        exchange: QueryExchange,
        workers: QueryWorkers,
        now: Callable[[], int],
        next_id: Callable[[], str],
        timeout: int,
        observe: Callable[[str], None],
    ) -> None:
        self._store = store
        self._exchange = exchange
        self._workers = workers
        self._now = now
        self._next_id = next_id
        self._timeout = timeout
        self._observe = observe

    async def current_run(self, namespace: str, workflow_id: str) -> Run | None:
        """The newest run of a workflow id."""
        instance = await self._store.find_instance(namespace, workflow_id)
        if instance is None:
            return None
        view = await self._store.find_run_view(namespace, instance.current_run_id)
        return view.run if view else None

    async def can_answer(self, run: Run) -> bool:
        """Whether some worker could, as of some seconds ago."""
        return await self._workers.can_answer(run)

    async def ask(self, question: Question) -> QueryReply:
        """What a worker says, or why none does."""
        refused = await self._workers.refusal(question.run)
        if refused is not None:
            self._observe("no_worker")
            return refused
        try:
            outcome = await self._exchange.ask(
                self._task(question), is_waited_for=question.is_waited_for
            )
        except QueryExchangeUnavailable:
            self._observe("unavailable")
            return UNAVAILABLE
        self._observe(_word(outcome))
        return UNANSWERED[outcome] if isinstance(outcome, Unanswered) else outcome

    def _task(self, question: Question) -> QueryTask:
        run = question.run
        return QueryTask(
            # Upper case, as the ids of activity attempts.
            id=self._next_id().upper(),
            namespace=run.namespace,
            queue=run.task_queue,
            workflow_id=run.workflow_id,
            run_id=run.id,
            workflow_type=run.workflow_type,
            compatibility=run.compatibility,
            query_name=question.name,
            arguments=question.arguments,
            deadline_at=self._now() + self._timeout,
        )


def _word(outcome: QueryOutcome) -> str:
    match outcome:
        case Answered():
            return "answered"
        case Failed():
            return "failed"
        case _:
            return outcome.value
