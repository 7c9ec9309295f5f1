"""Return tasks whose lease has expired to their queue (decision 14)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from dwserver.engine.draft import Draft
from dwserver.engine.leases import expire
from dwserver.engine.model import Task
from dwserver.runtime.logging import id_for_log
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.services.sweeps import list_some, sweep
from dwserver.store.api import ExpiredLease, Store

BATCH = 200
LOOK_EVERY_SECONDS = 1.0

_log = structlog.stdlib.get_logger(__name__)


class ExpiredLeases:
    """``observe`` is told the task kind of every lease taken away."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        *,
        now: Callable[[], int],
        observe: Callable[[str], None],
    ) -> None:
        self._store = store
        self._runs = runs
        self._now = now
        self._observe = observe

    async def requeue_expired(self) -> float | None:
        """One batch; 0 when there is probably more."""
        expired = await self._store.expired_leases(now=self._now(), limit=BATCH)
        requeued = await sweep(map(self._requeue, expired), tell=_list_expired)
        return 0.0 if len(expired) == BATCH and requeued else None

    async def _requeue(self, lease: ExpiredLease) -> Task | None:
        """The task as it was leased; None when it is left alone."""

        def take_away(draft: Draft) -> Task | None:
            task = draft.tasks.get(lease.task_id)
            return task if task is not None and expire(draft, task) else None

        # The hot state may not know of a renewal by another process.
        self._runs.hot.drop(lease.run_id)
        try:
            task = await self._runs.decide(lease.run_id, take_away)
        except (RunNotFound, RunContended):
            return None
        if task is not None:
            self._observe(task.kind)
        return task


def _list_expired(tasks: Sequence[Task]) -> None:
    list_some(tasks, _line, more="more_leases_expired")


def _line(task: Task) -> None:
    _log.info(
        "lease_expired",
        run_id=task.run_id,
        task_id=task.id,
        kind=task.kind,
        lease_owner=id_for_log(task.lease_owner or ""),
    )


def lease_loop(leases: ExpiredLeases, host: TaskHost) -> Loop:
    return Loop(
        "expired-leases",
        leases.requeue_expired,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
