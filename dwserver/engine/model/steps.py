"""The steps of a run: activities, timers, children and waits.

All are found by ``step``, the dense number of the command that made them (decision
20a), and know their ``batch``, the first step of the completion they came with.
``is_held`` marks a step whose outcome is recorded but not yet in history (§10).
"""

from __future__ import annotations

from dataclasses import dataclass

from dwserver.engine.model.values import JsonMap
from dwserver.engine.records import quick_init
from dwserver.engine.words import (
    ActivityStatus,
    AttemptStatus,
    ChildStatus,
    ParentClosePolicy,
    TimerKind,
    TimerStatus,
    WaitFor,
    WaitStatus,
)

# Looked at for every open step of a run in every decision about it.
_PENDING = ActivityStatus.PENDING
_RUNNING = ActivityStatus.RUNNING
_TIMER_PENDING = TimerStatus.PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Retry rule and timeouts of an activity as snapshot at scheduling (§7)."""

    max_attempts: int = 1
    backoff_seconds: tuple[int, ...] = ()
    non_retryable_error_types: tuple[str, ...] = ()
    start_to_close_timeout: int | None = None
    schedule_to_start_timeout: int | None = None
    schedule_to_close_timeout: int | None = None
    heartbeat_timeout: int | None = None


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """An activity execution, alive over its attempts.

    ``step``: its step number; ``batch``: first step number of the batch it was
    scheduled with. ``digest`` identifies its arguments (to recognise a re-sent
    command).
    """

    id: str
    run_id: str
    step: int
    batch: int
    activity_type: str
    status: ActivityStatus
    queue: str
    payload_codec: str
    digest: str
    created_at: int
    attempt_count: int = 0
    retry_policy: RetryPolicy | None = None
    parallel: JsonMap | None = None
    schedule_deadline_at: int | None = None
    close_deadline_at: int | None = None
    schedule_to_close_deadline_at: int | None = None
    heartbeat_deadline_at: int | None = None
    last_heartbeat_at: int | None = None
    started_at: int | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        status = self.status
        return status is _PENDING or status is _RUNNING

    @property
    def deadline_at(self) -> int | None:
        """The earliest deadline that counts in its status (§7.1)."""
        deadlines: tuple[int | None, ...]
        if self.status is _PENDING:
            deadlines = (self.schedule_deadline_at,)
        elif self.status is _RUNNING:
            deadlines = (self.close_deadline_at, self.heartbeat_deadline_at)
        else:
            return None
        known = [d for d in (*deadlines, self.schedule_to_close_deadline_at) if d]
        return min(known, default=None)


@quick_init
@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedAttempt:
    """A finished attempt of an activity; the current one lives on its task."""

    id: str
    activity_id: str
    task_id: str
    run_id: str
    number: int
    status: AttemptStatus
    lease_owner: str
    started_at: int
    closed_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Timer:
    """A durable timer. ``task_id`` is the id under which the wire shows its task.

    A time-out of a wait that falls due while a workflow task is leased is pending and
    held: it fires when that task closes, unless the wait is over by then (§9.4).
    """

    id: str
    run_id: str
    step: int
    batch: int
    status: TimerStatus
    delay_seconds: int
    fire_at: int
    task_id: str
    created_at: int
    kind: TimerKind = TimerKind.PLAIN
    parallel: JsonMap | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        return self.status is _TIMER_PENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child call, alive over the runs that its child makes (§8).

    ``id`` is the child call id of the wire. ``child_run_id`` and ``child_run_number``
    name the child's current run; ``attempt_count`` counts the runs that retries made,
    the first included.
    """

    id: str
    run_id: str
    step: int
    batch: int
    workflow_type: str
    status: ChildStatus
    digest: str
    child_workflow_id: str
    child_run_id: str
    created_at: int
    child_run_number: int = 1
    attempt_count: int = 1
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.ABANDON
    retry_policy: RetryPolicy | None = None
    parallel: JsonMap | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        return self.status.is_open


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A condition or a signal that the workflow waits for (§9).

    Its time-out is the timer of the same step. ``name``: of the signal. A wait never
    closes a batch by itself: only the worker knows whether a condition holds.
    """

    id: str
    run_id: str
    step: int
    batch: int
    wait_for: WaitFor
    status: WaitStatus
    opened_at: int
    name: str | None = None
    condition_key: str | None = None
    fingerprint: str | None = None
    timeout_seconds: int | None = None
    parallel: JsonMap | None = None
    closed_at: int | None = None
    is_held: bool = False

    @property
    def is_open(self) -> bool:
        return self.status is WaitStatus.OPEN


Step = Activity | Timer | Child | Wait
