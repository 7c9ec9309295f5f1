"""Forget closed runs that are old enough, all the time."""

from __future__ import annotations

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.retention import Retention

LOOK_EVERY_SECONDS = 60.0


def retention_loop(retention: Retention, host: TaskHost) -> Loop:
    return Loop(
        "retention",
        retention.pass_over_all,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
