"""Fire due timers, in batches and on time (decision 25).

Any process may run this loop: a timer is fired by a guarded transition, so two loops
never fire one twice. One look at the database every 2 s plans the timers of the next
moments in memory; timers that this process commits for the same span join them. Each is
fired at its own instant.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from dwserver.engine.lifecycle.timer_due import fire
from dwserver.engine.outcome import Rejection
from dwserver.engine.transition import RunChange
from dwserver.engine.wire_time import MICROS
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.runs import RunContended, RunNotFound, Runs
from dwserver.store.api import Store

# Most timers planned by one look, and most fired in one pass.
PLAN_LIMIT = 5000
FIRE_LIMIT = 500
LOOK_EVERY_SECONDS = 2.0
# Looks overlap, so that a late one still plans in time.
HORIZON = 4 * MICROS

Planned = tuple[int, str, int]

NOTHING_TO_FIRE = Rejection("timer_not_due", "There is nothing to fire.")


class DueTimers:
    """Plans and fires; ``observe_lag`` is told how late each timer was, in seconds."""

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
        self._heap: list[Planned] = []
        self._known: set[Planned] = set()
        self._planned_until = 0
        self._look_at = 0
        self._is_full = False
        self.wake = asyncio.Event()

    def committed(self, change: RunChange) -> None:
        """Observer of commits: plan new timers that are due before the next look."""
        for timer in change.new_timers:
            if timer.fire_at <= self._planned_until:
                is_next = not self._heap or timer.fire_at < self._heap[0][0]
                self._plan((timer.fire_at, timer.run_id, timer.step))
                if is_next:
                    self.wake.set()

    def conflicted(self) -> None:
        """Nothing happened."""

    async def fire_due(self) -> float:
        """Fire what is due; seconds until the next pass."""
        if not self._heap if self._is_full else self._now() >= self._look_at:
            await self._look()
        due = self._take_due(self._now())
        fired = await asyncio.gather(*map(self._fire, due))
        if self._is_full and not self._heap and any(fired):
            # There are more; timers that cannot be fired are no reason to hurry.
            return 0.0
        next_at = self._heap[0][0] if self._heap else self._look_at
        if not self._is_full:
            next_at = min(next_at, self._look_at)
        return max((next_at - self._now()) / MICROS, 0.0)

    async def _look(self) -> None:
        now = self._now()
        until = now + HORIZON
        found = await self._store.due_timers(now=until, limit=PLAN_LIMIT)
        for timer in found:
            self._plan((timer.fire_at, timer.run_id, timer.step))
        # A full plan is worked off before the next look.
        self._is_full = len(found) == PLAN_LIMIT
        self._planned_until = found[-1].fire_at if self._is_full else until
        self._look_at = now + round(LOOK_EVERY_SECONDS * MICROS)

    def _plan(self, timer: Planned) -> None:
        if timer not in self._known:
            self._known.add(timer)
            heapq.heappush(self._heap, timer)

    def _take_due(self, now: int) -> list[Planned]:
        due: list[Planned] = []
        while self._heap and self._heap[0][0] <= now and len(due) < FIRE_LIMIT:
            due.append(heapq.heappop(self._heap))
        return due

    async def _fire(self, timer: Planned) -> bool:
        fire_at, run_id, step = timer
        try:
            # The hot state may not know of a timer that another process has made.
            answer = await self._runs.decide(
                run_id, lambda draft: fire(draft, step) or NOTHING_TO_FIRE
            )
        except (RunNotFound, RunContended):
            return False
        finally:
            self._known.discard(timer)
        if isinstance(answer, Rejection):
            return False
        self._observe_lag((self._now() - fire_at) / MICROS)
        return True


def timer_loop(timers: DueTimers, host: TaskHost) -> Loop:
    return Loop(
        "timers",
        timers.fire_due,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        wake=timers.wake,
        on_failure=FailurePolicy.RESTART,
    )
