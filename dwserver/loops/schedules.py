"""Fire what is due, as the leader of the schedulers (decision 24).

Each fire is planned ahead in its row, so that a pass is one look at an index and one
transition for each fire, many of which share a commit. Every write carries the term: a
pass that another leader overtakes changes nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

import structlog

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.leadership import Leadership
from dwserver.services.schedules import Fired, FireOutcome, Schedules

# Lines of one pass; the counter knows of all.
LISTED = 20

_log = structlog.stdlib.get_logger(__name__)


class FireObserver(Protocol):
    def fired(self, outcome: str) -> None: ...
    def fired_late(self, seconds: float) -> None: ...


class ScheduleTick:
    """One pass a tick, at once again when it was full. ``wake`` is set when the process
    begins to lead."""

    def __init__(
        self,
        schedules: Schedules,
        leadership: Leadership,
        *,
        observer: FireObserver,
        batch_size: int,
    ) -> None:
        self._schedules = schedules
        self._leadership = leadership
        self._observer = observer
        self._batch_size = batch_size

    async def fire_due(self) -> float | None:
        """0 when there is probably more; a follower does nothing."""
        term = self._leadership.term()
        if term is None:
            return None
        fired = await self._schedules.fire_due(term, limit=self._batch_size)
        self._tell(fired)
        return 0.0 if len(fired) >= self._batch_size else None

    def _tell(self, fired: Sequence[Fired]) -> None:
        for each in fired:
            self._observer.fired(each.outcome)
            lag = _lag_seconds(each)
            if lag is not None:
                self._observer.fired_late(lag)
        failures = [each for each in fired if each.outcome is FireOutcome.FAILED]
        for each in failures[:LISTED]:
            _log.warning(
                "schedule_fire_failed",
                namespace=each.schedule.namespace,
                schedule_id=each.schedule.schedule_id,
                reason=each.reason,
            )
        if len(failures) > LISTED:
            _log.warning("more_schedule_fires_failed", count=len(failures) - LISTED)


def _lag_seconds(fired: Fired) -> float | None:
    """How late a due occurrence was started."""
    if fired.outcome is not FireOutcome.TRIGGERED:
        return None
    lag = fired.schedule.recent_actions[-1].get("fire_lag_ms")
    return lag / 1000 if isinstance(lag, int) else None


def schedule_loop(
    tick: ScheduleTick,
    host: TaskHost,
    *,
    interval_seconds: float,
    wake: asyncio.Event,
) -> Loop:
    return Loop(
        "schedules",
        tick.fire_due,
        host,
        interval_seconds=interval_seconds,
        wake=wake,
        on_failure=FailurePolicy.RESTART,
    )
