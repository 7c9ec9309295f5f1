"""Fire due timers, in batches and on time (decision 25).

Any process may run this loop: a timer is fired by a guarded transition, so two loops
never fire one twice. The loop sleeps until the earliest due time it knows of; timers
committed by this process wake it, those of others are found at the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dwserver.engine.lifecycle.timer_due import fire
from dwserver.engine.transition import RunChange
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.store.api import DueTimer, Store

MICROS = 1_000_000
BATCH = 500
# How late a timer of another process may be noticed.
LOOK_EVERY_SECONDS = 1.0


class DueTimers:
    """One pass fires what is due; ``lag`` is told how late each timer was, seconds."""

    def __init__(
        self,
        store: Store,
        runs: Runs,
        *,
        now: Callable[[], int],
        observe_lag: Callable[[float], None],
    ) -> None:
        self._store = store
        self._runs = runs
        self._now = now
        self._observe_lag = observe_lag
        self._next_at: int | None = None
        self.wake = asyncio.Event()

    def committed(self, change: RunChange) -> None:
        """Observer of commits: come earlier when a new timer is due earlier."""
        for timer in change.new_timers:
            if self._next_at is None or timer.fire_at < self._next_at:
                self._next_at = timer.fire_at
                self.wake.set()

    def conflicted(self) -> None:
        """Nothing happened."""

    async def fire_due(self) -> float:
        """Fire a batch; seconds until the next pass."""
        due = await self._store.due_timers(now=self._now(), limit=BATCH)
        await asyncio.gather(*(self._fire(timer) for timer in due))
        if len(due) == BATCH:
            return 0.0
        self._next_at = await self._store.next_timer_at()
        if self._next_at is None:
            return LOOK_EVERY_SECONDS
        seconds = (self._next_at - self._now()) / MICROS
        return min(max(seconds, 0.001), LOOK_EVERY_SECONDS)

    async def _fire(self, timer: DueTimer) -> None:
        try:
            is_fired = await self._runs.decide(
                timer.run_id, lambda draft: fire(draft, timer.step)
            )
        except (RunNotFound, RunContended):
            return
        if is_fired:
            self._observe_lag((self._now() - timer.fire_at) / MICROS)


def timer_loop(timers: DueTimers, host: TaskHost) -> Loop:
    return Loop(
        "timers",
        timers.fire_due,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        wake=timers.wake,
        on_failure=FailurePolicy.RESTART,
    )
