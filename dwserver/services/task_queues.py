"""Task queues as operators see them (``spec/topology-and-operations.md`` §5.1–5.6).

Whatever the number of queues, a request asks the database a fixed number of times, and
reads no more rows than the bounds below allow. Past a bound a figure says "at least so
many".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dwserver.coordination.query_tasks import QueryExchange, QueryExchangeUnavailable
from dwserver.engine.routing.caps import Usage
from dwserver.engine.words import TaskKind
from dwserver.services.operator_metrics import MAX_ROWS
from dwserver.services.queue_admission import AdmissionState, QueueAdmission
from dwserver.services.workers import Workers
from dwserver.store.api import QueueKey, Store, WorkerRegistration
from dwserver.store.queues import NO_WORKERS, QueueBacklog, QueueLease, QueueWorkers

# Queues of a list, and workers of a queue.
MAX_QUEUES: Final = 1_000
MAX_POLLERS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A task queue as it is at ``now``. ``active_leases``: good ones of all queues of
    the namespace. ``overdue_after``: microseconds after which a ready task counts as
    overdue."""

    name: str
    backlog: QueueBacklog
    workers: QueueWorkers
    active_leases: Mapping[TaskKind, int]
    now: int
    overdue_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDetail:
    """``pollers``: the first workers registered for the queue, live ones before the
    others; ``leases``: those that are over before the others."""

    view: QueueView
    pollers: tuple[WorkerRegistration, ...]
    leases: tuple[QueueLease, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryBudget:
    """``pending``: query tasks that nobody holds; None when that cannot be known, and
    new queries are refused."""

    limit: int
    pending: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBudgets:
    """What lets tasks of a queue be given out. ``can_lock``: a capped queue could be
    looked at."""

    tasks: Mapping[TaskKind, AdmissionState]
    queries: QueryBudget
    can_lock: bool


class TaskQueues:
    """``overdue_after`` in microseconds; ``pending_queries``: most query tasks of a
    queue that nobody holds."""

    def __init__(
        self,
        store: Store,
        *,
        workers: Workers,
        admission: QueueAdmission,
        queries: QueryExchange,
        now: Callable[[], int],
        overdue_after: int,
        pending_queries: int,
    ) -> None:
        self._store = store
        self._workers = workers
        self._admission = admission
        self._queries = queries
        self._now = now
        self._overdue_after = overdue_after
        self._pending_queries = pending_queries

    async def names(self, namespace: str) -> list[str]:
        """The first queues, by name, with open tasks, recent ones, or workers."""
        return await self._store.list_queues(namespace, rows=MAX_ROWS, limit=MAX_QUEUES)

    async def views(self, namespace: str, names: Sequence[str]) -> list[QueueView]:
        """In the order of the names. A queue that nobody has heard of is empty."""
        now = self._now()
        backlogs = await self._store.queue_backlogs(
            namespace,
            names,
            now=now,
            overdue_before=now - self._overdue_after,
            rows=MAX_ROWS,
        )
        workers = await self._store.queue_workers(
            namespace, names, silent_since=self._workers.silent_since(), rows=MAX_ROWS
        )
        return [
            QueueView(
                name=name,
                backlog=backlogs.queues[name],
                workers=workers.get(name, NO_WORKERS),
                active_leases=backlogs.active_leases,
                now=now,
                overdue_after=self._overdue_after,
            )
            for name in names
        ]

    async def detail(self, namespace: str, name: str) -> QueueDetail:
        """One queue, with its workers and leases."""
        (view,) = await self.views(namespace, [name])
        pollers = await self._store.list_workers_of_queue(
            namespace,
            name,
            silent_since=self._workers.silent_since(),
            limit=MAX_POLLERS,
        )
        leases = await self._store.queue_leases(namespace, name, now=view.now)
        return QueueDetail(view=view, pollers=tuple(pollers), leases=tuple(leases))

    async def budgets(
        self, namespace: str, views: Sequence[QueueView]
    ) -> list[QueueBudgets]:
        """One for each of the queues, which are of one namespace."""
        leases = {
            QueueKey(namespace, view.name, kind): Usage(
                leases=load.active, namespace_leases=view.active_leases[kind]
            )
            for view in views
            for kind, load in view.backlog.loads.items()
        }
        can_lock = await self._admission.can_lock()
        states = await self._admission.states(leases, can_lock=can_lock)
        pending = await self._pending(namespace, [view.name for view in views])
        return [
            QueueBudgets(
                tasks={
                    kind: states[QueueKey(namespace, view.name, kind)]
                    for kind in view.backlog.loads
                },
                queries=QueryBudget(limit=self._pending_queries, pending=count),
                can_lock=can_lock,
            )
            for view, count in zip(views, pending, strict=True)
        ]

    async def _pending(
        self, namespace: str, names: Sequence[str]
    ) -> Sequence[int | None]:
        try:
            return await self._queries.pending(namespace, names)
        except QueryExchangeUnavailable:
            return [None] * len(names)
