"""Whether a peer that failed is asked again (a circuit breaker; pure)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

FAILURES_TO_OPEN: Final = 3
OPEN_SECONDS: Final = 1.0
MAX_OPEN_SECONDS: Final = 15.0


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Opens after failures in a row, then lets one request try, after ever longer
    times. Once the peer has not answered at all, no request tries: only an answer
    closes it. Instants are seconds of any one clock."""

    __slots__ = (
        "_failures",
        "_is_probing",
        "_open_seconds",
        "_opened_until",
        "awaits_answer",
    )

    def __init__(self) -> None:
        self._failures = 0
        self._open_seconds = OPEN_SECONDS
        self._opened_until: float | None = None
        self._is_probing = False
        self.awaits_answer = False

    @property
    def is_troubled(self) -> bool:
        """A success would change something."""
        return self._failures > 0 or self.awaits_answer

    @property
    def is_closed(self) -> bool:
        return self._opened_until is None

    def state(self, now: float) -> BreakerState:
        if self._opened_until is None:
            return BreakerState.CLOSED
        if self.awaits_answer:
            return BreakerState.OPEN
        if self._is_probing or now >= self._opened_until:
            return BreakerState.HALF_OPEN
        return BreakerState.OPEN

    def admits(self, now: float) -> bool:
        """Whether a request may try the peer. Whoever is let in while the breaker is
        half open is the only one, and owes a verdict."""
        if self._opened_until is None:
            return True
        if self._is_probing or self.awaits_answer or now < self._opened_until:
            return False
        self._is_probing = True
        return True

    def succeeded(self) -> None:
        self._failures = 0
        self._open_seconds = OPEN_SECONDS
        self._opened_until = None
        self._is_probing = False
        self.awaits_answer = False

    def connected(self) -> None:
        """The peer took a connection: reason enough to ask it again, unless it took
        others and said nothing."""
        if self._opened_until is not None and not self.awaits_answer:
            self.succeeded()

    def gave_up(self) -> None:
        """The request that was let in ended without a verdict on the peer."""
        self._is_probing = False

    def fell_silent(self, now: float) -> bool:
        """The peer takes requests, perhaps, and answers none. Whether this opened a
        breaker that was closed."""
        was_closed = self.is_closed
        self.awaits_answer = True
        self._is_probing = False
        if was_closed:
            self._opened_until = now
        return was_closed

    def failed(self, now: float) -> bool:
        """Whether this failure opened a breaker that was closed."""
        if self._opened_until is not None:
            # Requests that began before it opened fail one after the other: only the
            # verdict of a probe counts.
            if self._is_probing:
                self._is_probing = False
                self._open_seconds = min(2 * self._open_seconds, MAX_OPEN_SECONDS)
                self._opened_until = now + self._open_seconds
            return False
        self._failures += 1
        if self._failures < FAILURES_TO_OPEN:
            return False
        self._opened_until = now + self._open_seconds
        return True
