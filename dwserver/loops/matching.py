"""The safety sweep of matching and the upkeep of what it remembers."""

from __future__ import annotations

from dwserver.matching.matcher import Matcher
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost

UPKEEP_EVERY_SECONDS = 60.0


def sweep_loop(matcher: Matcher, host: TaskHost, *, interval_seconds: float) -> Loop:
    """Looks at every queue with a waiting poller: one statement per interval."""

    async def sweep() -> None:
        matcher.sweep()

    return Loop(
        "matching-sweep",
        sweep,
        host,
        interval_seconds=interval_seconds,
        on_failure=FailurePolicy.RESTART,
    )


def upkeep_loop(matcher: Matcher, host: TaskHost) -> Loop:
    async def forget() -> None:
        matcher.forget_idle_queues()

    return Loop(
        "matching-upkeep",
        forget,
        host,
        interval_seconds=UPKEEP_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
