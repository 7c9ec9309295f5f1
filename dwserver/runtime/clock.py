"""Time as a value: integer epoch microseconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

MICROSECONDS_PER_SECOND = 1_000_000


class Clock(Protocol):
    """Source of the current time."""

    def now(self) -> int:
        """Return the time in epoch microseconds; never less than before."""
        ...


class SystemClock:
    """The machine's clock, monotonic within the process.

    When the machine's clock is set back, time goes on at half speed until the
    machine's clock has caught up: timers keep firing, order is kept, and the
    process converges with its peers.
    """

    __slots__ = ("_last", "_last_monotonic_ns", "_monotonic_ns", "_wall_ns")

    def __init__(
        self,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        self._last = wall_ns() // 1000
        self._last_monotonic_ns = monotonic_ns()

    def now(self) -> int:
        """Return the time in epoch microseconds; never less than before."""
        wall = self._wall_ns() // 1000
        monotonic_ns = self._monotonic_ns()
        if wall >= self._last:
            self._last = wall
            self._last_monotonic_ns = monotonic_ns
            return wall
        half_elapsed = (monotonic_ns - self._last_monotonic_ns) // 2000
        if half_elapsed > 0:
            self._last += half_elapsed
            self._last_monotonic_ns += half_elapsed * 2000
        return self._last


class ManualClock:
    """A clock for tests: it stands still until it is moved."""

    __slots__ = ("_now",)

    def __init__(self, now: int = 1_700_000_000_000_000) -> None:
        self._now = now

    def now(self) -> int:
        """Return the time in epoch microseconds."""
        return self._now

    def advance(self, *, seconds: float = 0, microseconds: int = 0) -> int:
        """Move forward and return the new time; raises ValueError backwards."""
        step = round(seconds * MICROSECONDS_PER_SECOND) + microseconds
        if step < 0:
            raise ValueError("a clock does not go backwards")
        self._now += step
        return self._now
