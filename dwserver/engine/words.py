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


class TimeoutKind(StrEnum):
    """Which deadline of an activity passed."""

    SCHEDULE_TO_CLOSE = "schedule_to_close"
    SCHEDULE_TO_START = "schedule_to_start"
    HEARTBEAT = "heartbeat"
    START_TO_CLOSE = "start_to_close"


class RunTimeoutKind(StrEnum):
    """Which deadline of a run passed."""

    EXECUTION = "execution_timeout"
    RUN = "run_timeout"


class TimerStatus(StrEnum):
    PENDING = "pending"
    FIRED = "fired"
    CANCELLED = "cancelled"


class TimerKind(StrEnum):
    PLAIN = "plain"
    CONDITION_TIMEOUT = "condition_timeout"
    SIGNAL_TIMEOUT = "signal_timeout"


class ChildStatus(StrEnum):
    """How a child call stands; ``scheduled`` only until its run is created."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    ABANDONED = "abandoned"

    @property
    def is_open(self) -> bool:
        return self is ChildStatus.STARTED or self is ChildStatus.SCHEDULED


class ParentClosePolicy(StrEnum):
    ABANDON = "abandon"
    REQUEST_CANCEL = "request_cancel"
    TERMINATE = "terminate"


class WaitFor(StrEnum):
    CONDITION = "condition"
    SIGNAL = "signal"


class WaitStatus(StrEnum):
    OPEN = "open"
    SATISFIED = "satisfied"
    TIMED_OUT = "timed_out"
    CLOSED = "closed"


class SignalStatus(StrEnum):
    RECEIVED = "received"
    APPLIED = "applied"
    REJECTED = "rejected"


class UpdateStatus(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    COMPLETED = "completed"
    FAILED = "failed"


class OutboxKind(StrEnum):
    """Work that a transition leaves for after its commit."""

    PARENT_CLOSE = "parent_close"


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


class CommandOutcome(StrEnum):
    """What became of an operator command; ``OPEN`` is null on the wire."""

    OPEN = ""
    STARTED_NEW = "started_new"
    RETURNED_EXISTING_ACTIVE = "returned_existing_active"
    REJECTED_DUPLICATE = "rejected_duplicate"
    SIGNAL_RECEIVED = "signal_received"
    UPDATE_COMPLETED = "update_completed"
    UPDATE_FAILED = "update_failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    REPAIR_DISPATCHED = "repair_dispatched"
    REPAIR_NOT_NEEDED = "repair_not_needed"
    ARCHIVED = "archived"
    ARCHIVE_NOT_NEEDED = "archive_not_needed"
    REJECTED_NOT_STARTED = "rejected_not_started"
    REJECTED_NOT_ACTIVE = "rejected_not_active"
    REJECTED_NOT_CURRENT = "rejected_not_current"
    REJECTED_RUN_NOT_CLOSED = "rejected_run_not_closed"
    REJECTED_UNKNOWN_SIGNAL = "rejected_unknown_signal"
    REJECTED_UNKNOWN_UPDATE = "rejected_unknown_update"
    REJECTED_INVALID_ARGUMENTS = "rejected_invalid_arguments"
    REJECTED_COMPATIBILITY_BLOCKED = "rejected_compatibility_blocked"
    REJECTED_TASK_QUEUE_DRAINING = "rejected_task_queue_draining"


class CommandRejection(StrEnum):
    """Why an operator command was rejected."""

    INSTANCE_ALREADY_STARTED = "instance_already_started"
    INSTANCE_NOT_STARTED = "instance_not_started"
    RUN_NOT_ACTIVE = "run_not_active"
    RUN_NOT_CLOSED = "run_not_closed"
    SELECTED_RUN_NOT_CURRENT = "selected_run_not_current"
    UNKNOWN_SIGNAL = "unknown_signal"
    UNKNOWN_UPDATE = "unknown_update"
    INVALID_SIGNAL_ARGUMENTS = "invalid_signal_arguments"
    INVALID_UPDATE_ARGUMENTS = "invalid_update_arguments"
    STRUCTURAL_LIMIT_EXCEEDED = "structural_limit_exceeded"
    COMPATIBILITY_BLOCKED = "compatibility_blocked"
    TASK_QUEUE_DRAINING = "task_queue_draining"

    @property
    def outcome(self) -> CommandOutcome:
        return _REJECTED_AS[self]


_REJECTED_AS = {
    CommandRejection.INSTANCE_ALREADY_STARTED: CommandOutcome.REJECTED_DUPLICATE,
    CommandRejection.INSTANCE_NOT_STARTED: CommandOutcome.REJECTED_NOT_STARTED,
    CommandRejection.RUN_NOT_ACTIVE: CommandOutcome.REJECTED_NOT_ACTIVE,
    CommandRejection.RUN_NOT_CLOSED: CommandOutcome.REJECTED_RUN_NOT_CLOSED,
    CommandRejection.SELECTED_RUN_NOT_CURRENT: CommandOutcome.REJECTED_NOT_CURRENT,
    CommandRejection.UNKNOWN_SIGNAL: CommandOutcome.REJECTED_UNKNOWN_SIGNAL,
    CommandRejection.UNKNOWN_UPDATE: CommandOutcome.REJECTED_UNKNOWN_UPDATE,
    CommandRejection.INVALID_SIGNAL_ARGUMENTS: (
        CommandOutcome.REJECTED_INVALID_ARGUMENTS
    ),
    CommandRejection.INVALID_UPDATE_ARGUMENTS: (
        CommandOutcome.REJECTED_INVALID_ARGUMENTS
    ),
    CommandRejection.STRUCTURAL_LIMIT_EXCEEDED: CommandOutcome.OPEN,
    CommandRejection.COMPATIBILITY_BLOCKED: (
        CommandOutcome.REJECTED_COMPATIBILITY_BLOCKED
    ),
    CommandRejection.TASK_QUEUE_DRAINING: CommandOutcome.REJECTED_TASK_QUEUE_DRAINING,
}


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


class Liveness(StrEnum):
    """Whether a run can go on, and by what (``spec/history-bundles.md §7.1``)."""

    CLOSED = "closed"
    REPAIR_NEEDED = "repair_needed"
    WORKFLOW_TASK_BLOCKED = "workflow_task_waiting_for_compatible_worker"
    WORKFLOW_TASK_LEASED = "workflow_task_leased"
    WORKFLOW_TASK_READY = "workflow_task_ready"
    ACTIVITY_TASK_BLOCKED = "activity_task_waiting_for_compatible_worker"
    ACTIVITY_TASK_LEASED = "activity_task_leased"
    ACTIVITY_TASK_READY = "activity_task_ready"
    TIMER_SCHEDULED = "timer_scheduled"
    WAITING_FOR_CONDITION = "waiting_for_condition"
    WAITING_FOR_SIGNAL = "waiting_for_signal"
    WAITING_FOR_CHILD = "waiting_for_child"


class EventType(StrEnum):
    """History event names (``spec/engine.md §13``)."""

    START_ACCEPTED = "StartAccepted"
    START_REJECTED = "StartRejected"
    WORKFLOW_STARTED = "WorkflowStarted"
    SCHEDULE_TRIGGERED = "ScheduleTriggered"
    WORKFLOW_COMPLETED = "WorkflowCompleted"
    WORKFLOW_FAILED = "WorkflowFailed"
    WORKFLOW_CONTINUED_AS_NEW = "WorkflowContinuedAsNew"
    WORKFLOW_TIMED_OUT = "WorkflowTimedOut"
    CANCEL_REQUESTED = "CancelRequested"
    WORKFLOW_CANCELLED = "WorkflowCancelled"
    TERMINATE_REQUESTED = "TerminateRequested"
    WORKFLOW_TERMINATED = "WorkflowTerminated"
    REPAIR_REQUESTED = "RepairRequested"
    ARCHIVE_REQUESTED = "ArchiveRequested"
    WORKFLOW_ARCHIVED = "WorkflowArchived"
    ACTIVITY_SCHEDULED = "ActivityScheduled"
    ACTIVITY_STARTED = "ActivityStarted"
    ACTIVITY_HEARTBEAT_RECORDED = "ActivityHeartbeatRecorded"
    ACTIVITY_RETRY_SCHEDULED = "ActivityRetryScheduled"
    ACTIVITY_COMPLETED = "ActivityCompleted"
    ACTIVITY_FAILED = "ActivityFailed"
    ACTIVITY_TIMED_OUT = "ActivityTimedOut"
    ACTIVITY_CANCELLED = "ActivityCancelled"
    TIMER_SCHEDULED = "TimerScheduled"
    TIMER_FIRED = "TimerFired"
    TIMER_CANCELLED = "TimerCancelled"
    CHILD_WORKFLOW_SCHEDULED = "ChildWorkflowScheduled"
    CHILD_RUN_STARTED = "ChildRunStarted"
    CHILD_RUN_COMPLETED = "ChildRunCompleted"
    CHILD_RUN_FAILED = "ChildRunFailed"
    CHILD_RUN_CANCELLED = "ChildRunCancelled"
    CHILD_RUN_TERMINATED = "ChildRunTerminated"
    PARENT_CLOSE_POLICY_APPLIED = "ParentClosePolicyApplied"
    PARENT_CLOSE_POLICY_FAILED = "ParentClosePolicyFailed"
    SIGNAL_RECEIVED = "SignalReceived"
    SIGNAL_WAIT_OPENED = "SignalWaitOpened"
    SIGNAL_APPLIED = "SignalApplied"
    UPDATE_ACCEPTED = "UpdateAccepted"
    UPDATE_REJECTED = "UpdateRejected"
    UPDATE_APPLIED = "UpdateApplied"
    UPDATE_COMPLETED = "UpdateCompleted"
    CONDITION_WAIT_OPENED = "ConditionWaitOpened"
    CONDITION_WAIT_SATISFIED = "ConditionWaitSatisfied"
    CONDITION_WAIT_TIMED_OUT = "ConditionWaitTimedOut"
    SIDE_EFFECT_RECORDED = "SideEffectRecorded"
    VERSION_MARKER_RECORDED = "VersionMarkerRecorded"
    SEARCH_ATTRIBUTES_UPSERTED = "SearchAttributesUpserted"
