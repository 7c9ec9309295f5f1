"""Waiting longer after each failure in a row, with jitter."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential delays. `jitter` is the share of a delay that is random."""

    initial_seconds: float = 0.1
    maximum_seconds: float = 30.0
    factor: float = 2.0
    jitter: float = 0.5
    random_fraction: Callable[[], float] = random.random

    def delay_seconds(self, failure_count: int) -> float:
        """Return the wait after the n-th failure in a row (n >= 1)."""
        # 64 doublings exceed any maximum; beyond them the power would overflow.
        exponent = min(failure_count - 1, 64)
        full = min(self.initial_seconds * self.factor**exponent, self.maximum_seconds)
        return full * (1 - self.jitter * self.random_fraction())
