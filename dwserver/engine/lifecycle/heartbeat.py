"""An activity reports that it is alive (``spec/worker-protocol.md §9.5``, §7.5).

Every heartbeat moves the lease and the heartbeat deadline. History shows one of them
a second at most; those between are renewed by a statement of their own that leaves
the run alone, so that a chatty activity does not contend with its workflow.
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine import attempt_events
from dwserver.engine.draft import Draft
from dwserver.engine.leases import activity_of, after, current
from dwserver.engine.lifecycle.activity_outcome import Report, check_attempt
from dwserver.engine.model import Activity, JsonMap, RetryPolicy, Run, Task
from dwserver.engine.outcome import Rejection
from dwserver.engine.records import replace
from dwserver.engine.wire_time import MICROS
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    EventType,
    RunStatus,
    TaskStatus,
)

# Heartbeats of an attempt that history shows are at least this far apart.
EVENT_INTERVAL = MICROS


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartbeatState:
    """``reason`` is None while the activity may go on. Then ``task`` and ``activity``
    have the new lease and deadline; these are part of the transition if
    ``is_recorded``, and else are still to be written. ``heartbeat_at``: this beat, or
    the last known one of an activity that must stop."""

    run: Run
    task: Task
    activity: Activity | None = None
    reason: str | None = None
    cancel_requested: bool = False
    is_recorded: bool = False
    heartbeat_at: int | None = None

    @property
    def can_continue(self) -> bool:
        return self.reason is None

    def stopped(self, reason: str) -> HeartbeatState:
        """As it is, or stopped for ``reason`` if it was to go on."""
        return self if self.reason else replace(self, reason=reason)


def heartbeat(
    draft: Draft, report: Report, progress: JsonMap | None = None
) -> HeartbeatState | Rejection:
    """Move lease and deadline, with an event unless there was one just now; or say why
    the activity must stop. A Rejection when the attempt is not the caller's."""
    now = draft.context.now
    task = current(draft, report.task)
    activity = activity_of(draft, task)
    stopped = _stopped(draft, task, activity=activity, report=report)
    if stopped is not None or activity is None:
        return stopped or HeartbeatState(
            run=draft.run, task=task, reason="activity_execution_missing"
        )
    policy = activity.retry_policy or RetryPolicy()
    held = replace(
        task, lease_expires_at=now + draft.context.policy.activity_task_lease
    )
    alive = replace(
        activity, heartbeat_deadline_at=after(now, policy.heartbeat_timeout)
    )
    shown_at = activity.last_heartbeat_at
    if shown_at is not None and now - shown_at < EVENT_INTERVAL:
        return HeartbeatState(
            run=draft.run, task=held, activity=alive, heartbeat_at=now
        )
    alive = replace(alive, last_heartbeat_at=now)
    draft.tasks.put(held)
    draft.activities.put(alive)
    draft.append(
        EventType.ACTIVITY_HEARTBEAT_RECORDED,
        attempt_events.activity_heartbeat(alive, held, progress, at=now),
        task_id=task.id,
    )
    return HeartbeatState(
        run=draft.run, task=held, activity=alive, is_recorded=True, heartbeat_at=now
    )


# Refusals of an outcome that a heartbeat reports as a reason to stop instead.
_STOPS = frozenset({"run_cancelled", "run_terminated", "stale_attempt"})
_RUN_STOPS = {
    RunStatus.CANCELLED: "run_cancelled",
    RunStatus.TERMINATED: "run_terminated",
}


def _stopped(
    draft: Draft, task: Task, *, activity: Activity | None, report: Report
) -> HeartbeatState | Rejection | None:
    """Why the activity must stop, in the order of the contract's table."""
    run = draft.run
    refused = check_attempt(draft, task, report)
    if refused is not None and refused.reason not in _STOPS:
        return refused

    def stop(reason: str, *, is_cancelled: bool = False) -> HeartbeatState:
        return HeartbeatState(
            run=run,
            task=task,
            reason=reason,
            cancel_requested=is_cancelled,
            heartbeat_at=activity.last_heartbeat_at if activity else None,
        )

    if run.status in _RUN_STOPS:
        return stop(_RUN_STOPS[run.status], is_cancelled=True)
    if report.closed is not None:
        is_cancelled = report.closed.status is AttemptStatus.CANCELLED
        return stop("attempt_closed", is_cancelled=is_cancelled)
    if activity is not None and activity.status is ActivityStatus.CANCELLED:
        return stop("activity_cancelled", is_cancelled=True)
    if task.status is TaskStatus.CANCELLED:
        return stop("task_cancelled", is_cancelled=True)
    if run.status.is_terminal:
        return stop("run_closed")
    return stop(refused.reason) if refused is not None else None
