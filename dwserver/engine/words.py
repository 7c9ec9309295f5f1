"""The closed vocabularies of the durable model (``spec/engine.md §2``).

Values are the words of the wire and of the database; no other module spells them.
"""

from __future__ import annotations

from enum import StrEnum


class RunStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    WAITING = "waiting"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_terminal(self) -> bool:
        return self in _TERMINAL_RUN

    @property
    def bucket(self) -> StatusBucket:
        return _BUCKET[self]


class StatusBucket(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


_TERMINAL_RUN = frozenset(
    {
        RunStatus.CANCELLED,
        RunStatus.TERMINATED,
        RunStatus.COMPLETED,
        RunStatus.FAILED,
    }
)
_BUCKET = {
    RunStatus.PENDING: StatusBucket.RUNNING,
    RunStatus.RUNNING: StatusBucket.RUNNING,
    RunStatus.WAITING: StatusBucket.RUNNING,
    RunStatus.COMPLETED: StatusBucket.COMPLETED,
    RunStatus.FAILED: StatusBucket.FAILED,
    RunStatus.CANCELLED: StatusBucket.FAILED,
    RunStatus.TERMINATED: StatusBucket.FAILED,
}


class ClosedReason(StrEnum):
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    CONTINUED = "continued"


class TaskKind(StrEnum):
    WORKFLOW = "workflow"
    ACTIVITY = "activity"


class TaskStatus(StrEnum):
    READY = "ready"
    LEASED = "leased"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_open(self) -> bool:
        return self is TaskStatus.READY or self is TaskStatus.LEASED


class ActivityStatus(StrEnum):
    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptStatus(StrEnum):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class TimerStatus(StrEnum):
    PENDING = "pending"
    FIRED = "fired"
    CANCELLED = "cancelled"


class TimerKind(StrEnum):
    PLAIN = "plain"
    CONDITION_TIMEOUT = "condition_timeout"
    SIGNAL_TIMEOUT = "signal_timeout"


class CommandType(StrEnum):
    START = "start"
    SIGNAL = "signal"
    UPDATE = "update"
    REPAIR = "repair"
    CANCEL = "cancel"
    TERMINATE = "terminate"
    ARCHIVE = "archive"


class CommandStatus(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class FailureCategory(StrEnum):
    APPLICATION = "application"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMEOUT = "timeout"
    ACTIVITY = "activity"
    CHILD_WORKFLOW = "child_workflow"
    TASK_FAILURE = "task_failure"
    INTERNAL = "internal"
    STRUCTURAL_LIMIT = "structural_limit"


class WaitKind(StrEnum):
    """What a resumed workflow task resumes (``spec/worker-protocol.md §6.3``)."""

    UPDATE = "update"
    SIGNAL = "signal"
    ACTIVITY = "activity"
    CHILD = "child"
    TIMER = "timer"
    CONDITION = "condition"


class EventType(StrEnum):
    """History event names (``spec/engine.md §13``)."""

    START_ACCEPTED = "StartAccepted"
    START_REJECTED = "StartRejected"
    WORKFLOW_STARTED = "WorkflowStarted"
    WORKFLOW_COMPLETED = "WorkflowCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"
    WORKFLOW_CONTINUED_AS_NEW = "WorkflowContinuedAsNew"
    ACTIVITY_SCHEDULED = "ActivityScheduled"
    ACTIVITY_STARTED = "ActivityStarted"
    ACTIVITY_HEARTBEAT_RECORDED = "ActivityHeartbeatRecorded"
    ACTIVITY_RETRY_SCHEDULED = "ActivityRetryScheduled"
    ACTIVITY_COMPLETED = "ActivityCompleted"
    ACTIVITY_FAILED = "ActivityFailed"
    ACTIVITY_CANCELLED = "ActivityCancelled"
    TIMER_SCHEDULED = "TimerScheduled"
    TIMER_FIRED = "TimerFired"
    TIMER_CANCELLED = "TimerCancelled"
