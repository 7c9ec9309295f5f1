"""A clock with its timers: nothing rings until a test moves the time."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from dwserver.runtime.clock import ManualClock
from tests.support.builders import NOON, SECOND

_order = count()


@dataclass(order=True)
class _Planned:
    due_at: int
    number: int
    action: Callable[[], None] = field(compare=False)
    is_cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        self.is_cancelled = True


class SteppedTimers:
    """``call_later`` and ``now`` as the code under test takes them."""

    def __init__(self) -> None:
        self._clock = ManualClock(NOON)
        self._planned: list[_Planned] = []

    def now(self) -> int:
        return self._clock.now()

    def call_later(self, seconds: float, action: Callable[[], None]) -> _Planned:
        due_at = self.now() + round(max(seconds, 0.0) * SECOND)
        planned = _Planned(due_at, next(_order), action)
        heapq.heappush(self._planned, planned)
        return planned

    def advance(self, seconds: float) -> None:
        """Move the time and do what becomes due, in order and at its instant."""
        until = self.now() + round(seconds * SECOND)
        while self._planned and self._planned[0].due_at <= until:
            planned = heapq.heappop(self._planned)
            self._clock.advance(microseconds=max(planned.due_at - self.now(), 0))
            if not planned.is_cancelled:
                planned.action()
        self._clock.advance(microseconds=until - self.now())

    @property
    def live(self) -> int:
        """Planned actions that have not been cancelled."""
        return sum(not planned.is_cancelled for planned in self._planned)
