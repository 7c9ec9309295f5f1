"""``GET /api/system/operator-metrics`` (``spec/topology-and-operations.md`` §4.3)."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

from dwserver.http.call import Call, Reply
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, IsoTime, JsonMap, MicroTime, RouteShape
from dwserver.http.system.backend_views import BackendBlock
from dwserver.http.system.operator_views import metrics_view
from dwserver.http.system.projection_views import ProjectionBlock
from dwserver.http.system.repair_views import RepairCandidatesView, RepairPolicyView
from dwserver.services.catalog import Services


async def show(services: Services, call: Call) -> Reply:
    """The figures of the namespace, and what the answering node is set to."""
    metrics = services.operator_metrics
    snapshot = await metrics.snapshot(call.namespace)
    body = {
        "namespace": call.namespace,
        "operator_metrics": metrics_view(metrics, snapshot),
    }
    return Reply(200, body)


class RunFigures(TypedDict):
    total: Count
    current: Count
    running: Count
    completed: Count
    failed: Count
    cancelled: Count
    terminated: Count
    archived: Count
    repair_needed: Count
    oldest_repair_needed_at: MicroTime | None
    max_repair_needed_age_ms: Count
    claim_failed: Count
    compatibility_blocked: Count
    waiting: Count
    oldest_wait_started_at: MicroTime | None
    max_wait_age_ms: Count


class TaskFigures(TypedDict):
    open: Count
    ready: Count
    ready_due: Count
    delayed: Count
    leased: Count
    dispatch_failed: Count
    claim_failed: Count
    dispatch_overdue: Count
    lease_expired: Count
    oldest_lease_expired_at: MicroTime | None
    max_lease_expired_age_ms: Count
    oldest_ready_due_at: MicroTime | None
    max_ready_due_age_ms: Count
    oldest_dispatch_overdue_since: MicroTime | None
    max_dispatch_overdue_age_ms: Count
    oldest_claim_failed_at: MicroTime | None
    max_claim_failed_age_ms: Count
    oldest_dispatch_failed_at: MicroTime | None
    max_dispatch_failed_age_ms: Count
    unhealthy: Count
    oldest_unhealthy_at: MicroTime | None
    max_unhealthy_age_ms: Count
    max_attempt_count: Count
    max_repair_count: Count


class ActivityFigures(TypedDict):
    open: Count
    pending: Count
    running: Count
    retrying: Count
    oldest_retrying_started_at: MicroTime | None
    max_retrying_age_ms: Count
    timeout_overdue: Count
    oldest_timeout_overdue_at: MicroTime | None
    max_timeout_overdue_age_ms: Count
    failed_attempts: Count
    max_attempt_count: Count


class BacklogFigures(TypedDict):
    runnable_tasks: Count
    delayed_tasks: Count
    leased_tasks: Count
    tasks_added_last_minute: Count
    tasks_dispatched_last_minute: Count
    retrying_activities: Count
    unhealthy_tasks: Count
    repair_needed_runs: Count
    claim_failed_runs: Count
    compatibility_blocked_runs: Count
    oldest_compatibility_blocked_started_at: MicroTime | None
    max_compatibility_blocked_age_ms: Count


class StartFigures(TypedDict):
    pending_runs: Count
    pending_commands: Count
    ready_tasks: Count
    oldest_pending_start_at: MicroTime | None
    max_pending_ms: Count


class HistoryFigures(TypedDict):
    continue_as_new_recommended_runs: Count
    approaching_budget_runs: Count
    events: Count
    history_orphan_total: Count
    max_event_count: Count
    max_size_bytes: Count
    max_fan_out: Count
    event_threshold: int
    size_bytes_threshold: int
    fan_out_threshold: int
    event_warning_threshold: int
    size_bytes_warning_threshold: int
    fan_out_warning_threshold: int


class ContractFigures(TypedDict):
    backfill_needed_runs: Count
    backfill_available_runs: Count
    backfill_unavailable_runs: Count


class ScheduleFigures(TypedDict):
    active: Count
    paused: Count
    missed: Count
    oldest_overdue_at: IsoTime | None
    max_overdue_ms: Count
    fires_total: Count
    failures_total: Count


class FleetRow(TypedDict):
    worker_id: str
    namespace: str
    host: str | None
    process_id: str | None
    connection: str | None
    queue: str
    supported: list[str]
    supports_required: bool
    recorded_at: MicroTime
    expires_at: MicroTime
    source: Literal["database", "cache"]


class WorkerFigures(TypedDict):
    """``fleet``: the first 1,000 by queue and id."""

    compatibility_namespace: str | None
    required_compatibility: str | None
    active_workers: Count
    active_worker_scopes: Count
    active_workers_supporting_required: Count
    fleet: list[FleetRow]


class UpdateWait(TypedDict):
    completion_timeout_seconds: Count
    poll_interval_milliseconds: Count


class FigureBounds(TypedDict):
    """No figure counts more ``rows``, and those of histories no more closed runs than
    ``closed_histories``, the last ones; ``reached``: where there may be more."""

    rows: Count
    closed_histories: Count
    reached: list[str]


class OperatorFiguresView(TypedDict):
    generated_at: MicroTime
    runs: RunFigures
    tasks: TaskFigures
    activities: ActivityFigures
    backlog: BacklogFigures
    repair: RepairCandidatesView
    starts: StartFigures
    history: HistoryFigures
    command_contracts: ContractFigures
    projections: ProjectionBlock
    schedules: ScheduleFigures
    workers: WorkerFigures
    backend: BackendBlock
    structural_limits: JsonMap
    update_wait: UpdateWait
    repair_policy: RepairPolicyView
    matching_role: JsonMap
    bounds: FigureBounds


class OperatorMetricsAnswer(TypedDict):
    namespace: str
    operator_metrics: OperatorFiguresView


ROUTES: Final = (
    management_route(
        Method.GET,
        "/system/operator-metrics",
        operation="operator_metrics",
        handler=show,
        allowed_roles=ADMINS,
        shape=RouteShape(answers={200: OperatorMetricsAnswer}),
    ),
)
