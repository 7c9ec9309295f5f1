"""When a failed attempt is made again (``spec/engine.md §7.2, §8``)."""

from __future__ import annotations

from collections.abc import Iterable

from dwserver.engine.model import RetryPolicy
from dwserver.engine.wire_time import MICROS


def retry_delay(
    policy: RetryPolicy | None,
    *,
    made: int,
    failed_as: Iterable[str | None],
    now: int,
    deadline: int | None,
) -> int | None:
    """Microseconds until the next attempt; None when there is none.

    ``made``: attempts so far. ``failed_as``: type and class of the failure. No attempt
    begins at its ``deadline`` or later.
    """
    if policy is None or made >= policy.max_attempts:
        return None
    if not set(policy.non_retryable_error_types).isdisjoint(failed_as):
        return None
    backoff = policy.backoff_seconds
    delay = backoff[min(made, len(backoff)) - 1] * MICROS if backoff else 0
    if deadline is not None and now + delay >= deadline:
        return None
    return delay
