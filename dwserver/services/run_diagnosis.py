"""What an operator needs to see why a run does not move (``spec/control-plane-api.md``
§5.5)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dwserver.engine.model import RunState
from dwserver.services.workers import Workers
from dwserver.services.workflows import RunDetail, Workflows
from dwserver.store.api import (
    QueueBacklog,
    Store,
    StoredEvent,
    WorkerRegistration,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """A task queue as it is now. ``pollers``: the workers registered for it, live ones
    first. ``overdue_after``: microseconds after which a ready task counts as
    overdue."""

    name: str
    backlog: QueueBacklog
    pollers: tuple[WorkerRegistration, ...]
    now: int
    overdue_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDiagnosis:
    """``state`` has no rows once the run is closed. ``now``: when all this was so."""

    detail: RunDetail
    state: RunState
    last_event: StoredEvent | None
    queue: QueueView
    now: int


class Diagnosis:
    """``overdue_after`` in microseconds."""

    def __init__(
        self,
        store: Store,
        *,
        workflows: Workflows,
        workers: Workers,
        now: Callable[[], int],
        overdue_after: int,
    ) -> None:
        self._store = store
        self._workflows = workflows
        self._workers = workers
        self._now = now
        self._overdue_after = overdue_after

    async def of_run(
        self, namespace: str, workflow_id: str, run_id: str | None = None
    ) -> RunDiagnosis | None:
        """Of the current run, or the one named; None when the id does not have it."""
        detail = await self._workflows.describe(namespace, workflow_id, run_id)
        if detail is None:
            return None
        run = detail.view.run
        last = await self._store.history(
            run.id, after=run.last_sequence - 1, upto=run.last_sequence, limit=1
        )
        return RunDiagnosis(
            detail=detail,
            state=detail.state or RunState(run),
            last_event=last[0] if last else None,
            queue=await self.of_queue(namespace, run.task_queue),
            now=self._now(),
        )

    async def of_queue(self, namespace: str, queue: str) -> QueueView:
        """A queue that nobody has heard of is empty."""
        now = self._now()
        backlog = await self._store.queue_backlog(
            namespace, queue, now=now, overdue_before=now - self._overdue_after
        )
        workers = await self._workers.find_all(namespace, queue=queue)
        return QueueView(
            name=queue,
            backlog=backlog,
            pollers=tuple(
                sorted(
                    workers,
                    key=lambda w: (self._workers.status(w) == "stale", w.worker_id),
                )
            ),
            now=now,
            overdue_after=self._overdue_after,
        )
