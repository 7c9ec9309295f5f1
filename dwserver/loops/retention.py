"""Forget closed runs that are old enough, and what schedules did long ago."""

from __future__ import annotations

from dwserver.runtime.service import FailurePolicy, Loop, TaskHost
from dwserver.services.retention import Retention
from dwserver.services.schedule_retention import ScheduleRetention

LOOK_EVERY_SECONDS = 60.0
SCHEDULES_EVERY_SECONDS = 3600.0


def retention_loop(retention: Retention, host: TaskHost) -> Loop:
    return Loop(
        "retention",
        retention.pass_over_all,
        host,
        interval_seconds=LOOK_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )


def schedule_retention_loop(retention: ScheduleRetention, host: TaskHost) -> Loop:
    return Loop(
        "schedule-retention",
        retention.pass_over_page,
        host,
        interval_seconds=SCHEDULES_EVERY_SECONDS,
        on_failure=FailurePolicy.RESTART,
    )
