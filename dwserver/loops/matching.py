"""The safety sweep of matching and the upkeep of what it remembers."""

from __future__ import annotations

from collections.abc import Callable

from dwserver.engine.words import TaskKind
from dwserver.matching.matcher import Matcher
from dwserver.runtime.service import FailurePolicy, Loop, TaskHost

UPKEEP_EVERY_SECONDS = 60.0


def sweep_loop(
    matcher: Matcher,
    host: TaskHost,
    *,
    interval_seconds: float,
    is_sweeping: bool = True,
    observe_waiting: Callable[[TaskKind, int], None],
) -> Loop:
    """Looks at every queue with a waiting poller: one statement per interval, none
    unless ``is_sweeping``. ``observe_waiting`` is told how many polls wait for tasks of
    each kind."""

    async def sweep() -> None:
        if is_sweeping:
            matcher.sweep()
        for kind, count in matcher.pollers.counts().items():
            observe_waiting(kind, count)

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
