"""End what has passed its deadline, all the time."""

from __future__ import annotations

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.deadlines import Deadlines

LOOK_EVERY_SECONDS = 1.0


def deadline_loop(deadlines: Deadlines, host: TaskHost) -> Loop:
    return Loop(
        "deadlines",
        deadlines.enforce,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
