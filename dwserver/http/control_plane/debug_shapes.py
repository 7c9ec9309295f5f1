"""The body of ``…/debug`` as declared for the description of the API
(``spec/control-plane-api.md`` §5.5)."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from dwserver.engine.words import Liveness, RunStatus, StatusBucket
from dwserver.http.control_plane.queue_views import PollerView, QueueBody
from dwserver.http.route_shape import Count, JsonMap, MicroTime

DiagnosticStatus: TypeAlias = Literal[
    "terminal", "needs_attention", "pending_work", "waiting", "queue_backlog", "running"
]
TransportState: TypeAlias = Literal[
    "leased", "lease_expired", "scheduled", "dispatch_overdue", "ready", "missing"
]
FindingCode: TypeAlias = Literal[
    "no_active_pollers",
    "no_compatible_worker_for_task",
    "expired_leases",
    "task_problem",
    "repair_attention",
]


class PayloadSummary(TypedDict):
    included: bool
    encoding: Literal["json"]
    size_bytes: Count
    top_level_type: Literal["list", "object"]
    top_level_key_count: Count
    top_level_keys: list[str]
    top_level_keys_truncated: bool
    preview_max_bytes: Count


class PayloadPreview(TypedDict):
    encoding: Literal["json"]
    size_bytes: Count
    max_bytes: Count
    truncated: bool
    data: str


class LastEvent(TypedDict):
    sequence: Count
    event_type: str
    timestamp: MicroTime
    payload_summary: PayloadSummary
    payload_preview: NotRequired[PayloadPreview]


class NextScheduledEvent(TypedDict):
    source: Literal["run_summary"]
    task_id: str
    task_type: Literal["workflow", "activity", "timer"]
    task_status: str
    available_at: MicroTime
    lease_expires_at: NotRequired[MicroTime]
    wait_deadline_at: NotRequired[MicroTime]


class ProblemBadge(TypedDict):
    code: str
    label: str
    description: str
    tone: Literal["warning"]
    badge_visible: bool


class DebuggedExecution(TypedDict):
    """Members without a value are left out."""

    status: RunStatus
    status_bucket: StatusBucket
    is_terminal: bool
    workflow_type: str
    task_queue: str
    compatibility: NotRequired[str]
    run_number: Count
    started_at: MicroTime
    closed_at: NotRequired[MicroTime]
    last_progress_at: MicroTime
    wait_kind: NotRequired[str]
    wait_reason: NotRequired[str]
    liveness_state: Liveness
    liveness_reason: str
    repair_attention: bool
    task_problem: bool
    task_problem_badge: NotRequired[ProblemBadge]
    last_event: NotRequired[LastEvent]
    next_scheduled_event: NotRequired[NextScheduledEvent]


class PendingTask(TypedDict):
    """Members without a value are left out. A ``synthetic`` one is missing."""

    task_id: str
    task_type: Literal["workflow"]
    status: str
    transport_state: TransportState
    summary: str
    queue: str
    compatibility: NotRequired[str]
    compatibility_supported: NotRequired[bool]
    compatibility_reason: NotRequired[str]
    compatibility_supported_in_fleet: NotRequired[bool]
    compatibility_fleet_reason: NotRequired[str]
    available_at: NotRequired[MicroTime]
    leased_at: NotRequired[MicroTime]
    lease_owner: NotRequired[str]
    lease_expires_at: NotRequired[MicroTime]
    lease_expired: bool
    attempt_count: Count
    repair_count: Count
    dispatch_failed: Literal[False]
    dispatch_overdue: bool
    claim_failed: Literal[False]
    last_error: NotRequired[str]
    workflow_wait_kind: NotRequired[str]
    workflow_open_wait_id: NotRequired[str]
    workflow_resume_source_kind: NotRequired[str]
    workflow_resume_source_id: NotRequired[str]
    replay_blocked: Literal[False]
    task_missing: bool
    expected_task_id: NotRequired[str]
    synthetic: bool


class CurrentAttempt(TypedDict):
    activity_attempt_id: str
    attempt_number: Count
    status: Literal["running"]
    lease_owner: NotRequired[str]
    started_at: NotRequired[MicroTime]
    last_heartbeat_at: NotRequired[MicroTime]
    lease_expires_at: NotRequired[MicroTime]
    lease_expired: bool


class PendingActivity(TypedDict):
    """Members without a value are left out."""

    activity_execution_id: str
    activity_type: str
    activity_class: str
    status: Literal["pending", "running"]
    queue: str
    attempt_count: Count
    current_attempt_id: NotRequired[str]
    started_at: NotRequired[MicroTime]
    last_heartbeat_at: NotRequired[MicroTime]
    schedule_deadline_at: NotRequired[MicroTime]
    close_deadline_at: NotRequired[MicroTime]
    schedule_to_close_deadline_at: NotRequired[MicroTime]
    heartbeat_deadline_at: NotRequired[MicroTime]
    current_attempt: NotRequired[CurrentAttempt]


class RecentFailure(TypedDict):
    failure_id: str
    source_kind: str
    source_id: str
    propagation_kind: str
    failure_category: str
    exception_class: str | None
    message: str
    non_retryable: bool
    handled: bool
    created_at: MicroTime


class RunCompatibility(TypedDict):
    compatibility: str | None
    summary_compatibility: str | None
    task_queue: str


class DebugCompatibility(TypedDict):
    run: RunCompatibility
    task_queue_pollers: NotRequired[list[PollerView]]
    namespace_worker_fleet: JsonMap


class Finding(TypedDict):
    severity: Literal["warning"]
    code: FindingCode
    message: str


class DebugView(TypedDict):
    generated_at: MicroTime
    workflow_id: str
    run_id: str
    namespace: str
    diagnostic_status: DiagnosticStatus
    execution: DebuggedExecution
    pending_workflow_tasks: list[PendingTask]
    pending_activities: list[PendingActivity]
    task_queue: QueueBody
    recent_failures: list[RecentFailure]
    compatibility: DebugCompatibility
    findings: list[Finding]
