"""What a heartbeating activity is told (``spec/worker-protocol.md §9.5``)."""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.lifecycle.activity_outcome import Report, check_attempt
from dwserver.engine.model import Activity, Run, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import replace
from dwserver.engine.words import ActivityStatus, RunStatus, TaskStatus


@dataclass(frozen=True, slots=True)
class HeartbeatState:
    """``reason`` is None while the activity may go on."""

    run: Run
    reason: str | None = None
    cancel_requested: bool = False

    @property
    def can_continue(self) -> bool:
        return self.reason is None

    def stopped(self, reason: str) -> HeartbeatState:
        """As it is, or stopped for ``reason`` if it was to go on."""
        return self if self.reason else replace(self, reason=reason)


# Refusals of an outcome that a heartbeat reports as a reason to stop instead.
_STOPS = frozenset({"run_cancelled", "run_terminated", "stale_attempt"})


def heartbeat_state(
    run: Run, task: Task, *, activity: Activity | None, report: Report
) -> HeartbeatState | Rejection:
    """Go on, or why not; a Rejection when the attempt is not the caller's."""
    refused = check_attempt(run, task, report)
    if refused is not None and refused.reason not in _STOPS:
        return refused
    if run.status is RunStatus.CANCELLED:
        return HeartbeatState(run, "run_cancelled", cancel_requested=True)
    if run.status is RunStatus.TERMINATED:
        return HeartbeatState(run, "run_terminated", cancel_requested=True)
    if activity is not None and activity.status is ActivityStatus.CANCELLED:
        return HeartbeatState(run, "activity_cancelled", cancel_requested=True)
    if task.status is TaskStatus.CANCELLED:
        return HeartbeatState(run, "task_cancelled", cancel_requested=True)
    if report.closed is not None:
        return HeartbeatState(run, "attempt_closed")
    if run.status.is_terminal:
        return HeartbeatState(run, "run_closed")
    if refused is not None:
        return HeartbeatState(run, refused.reason)
    return HeartbeatState(run)
