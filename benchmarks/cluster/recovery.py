"""From the moments of completions to how long the loss of a node was felt (pure)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

SHARE = 0.9
"""What counts as being back: this share of the rate before."""
RATE_SECONDS = 1.0
"""The rate at a moment is that of the second which begins there."""
STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """``seconds``: until the rate was back for the first time, None when it never was.
    ``lost_seconds``: how long the rate before takes for what is missing in the whole
    time that was watched, also by what came later (a node that starts takes CPU)."""

    before_per_second: float
    after_per_second: float
    seconds: float | None
    lost_seconds: float


def recovery(
    completed_at: Sequence[float],
    *,
    before: tuple[float, float],
    killed_at: float,
    until: float,
) -> Recovery:
    """``completed_at`` ascending; ``before``: the window of the rate before; watched
    from ``killed_at`` to ``until``. All in seconds of one clock."""

    def count(start: float, end: float) -> int:
        return bisect_left(completed_at, end) - bisect_left(completed_at, start)

    rate = count(*before) / (before[1] - before[0])
    steps = int((until - killed_at - RATE_SECONDS) / STEP_SECONDS) + 1
    moments = (killed_at + n * STEP_SECONDS for n in range(steps))
    wanted = SHARE * rate * RATE_SECONDS
    back_at = next(
        (at for at in moments if count(at, at + RATE_SECONDS) >= wanted), None
    )
    missing = rate * (until - killed_at) - count(killed_at, until)
    return Recovery(
        before_per_second=rate,
        after_per_second=count(until - RATE_SECONDS, until) / RATE_SECONDS,
        seconds=None if back_at is None else back_at - killed_at,
        lost_seconds=max(0.0, missing) / rate if rate else 0.0,
    )
