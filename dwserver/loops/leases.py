"""Return tasks whose lease has expired to their queue (decision 14)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dwserver.engine.draft import Draft
from dwserver.engine.leases import expire
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.store.api import ExpiredLease, Store

BATCH = 200
LOOK_EVERY_SECONDS = 1.0


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
        requeued = await asyncio.gather(*map(self._requeue, expired))
        return 0.0 if len(expired) == BATCH and any(requeued) else None

    async def _requeue(self, lease: ExpiredLease) -> bool:
        def take_away(draft: Draft) -> bool:
            task = draft.tasks.get(lease.task_id)
            return task is not None and expire(draft, task)

        # The hot state may not know of a renewal by another process.
        self._runs.hot.drop(lease.run_id)
        try:
            is_requeued = await self._runs.decide(lease.run_id, take_away)
        except (RunNotFound, RunContended):
            return False
        if is_requeued:
            self._observe(lease.kind)
        return is_requeued


def lease_loop(leases: ExpiredLeases, host: TaskHost) -> Loop:
    return Loop(
        "expired-leases",
        leases.requeue_expired,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
