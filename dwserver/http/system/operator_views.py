"""The groups of ``operator_metrics`` (``spec/topology-and-operations.md`` §4.3).

What cannot be here is zero: tasks are not pushed, so that no dispatch and no claim can
have failed; contracts come with the registrations, so that none is to be filled in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from dwserver.engine.wire_time import iso_or_none, micro
from dwserver.engine.words import ClosedReason, RunStatus
from dwserver.http.system.ages import age_ms, earliest, oldest
from dwserver.http.system.backend_views import Backend, backend_view
from dwserver.http.system.projection_views import projections_view
from dwserver.http.system.repair_views import candidates_view, policy_view
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.manifests.limits import structural_limits_block
from dwserver.services.operator_metrics import (
    ANY_MARKER,
    MAX_HISTORIES,
    MAX_ROWS,
    HistoryThresholds,
    MetricsFacts,
    OperatorMetrics,
    OperatorSnapshot,
)
from dwserver.services.records import WorkerRegistration
from dwserver.topology.manifest import matching_block

FLEET_LISTED: Final = 1000
STATUS_OF_REASON: Final[Mapping[str, RunStatus]] = MappingProxyType(
    {
        ClosedReason.COMPLETED: RunStatus.COMPLETED,
        ClosedReason.CONTINUED: RunStatus.COMPLETED,
        ClosedReason.FAILED: RunStatus.FAILED,
        ClosedReason.TIMED_OUT: RunStatus.FAILED,
        ClosedReason.CANCELLED: RunStatus.CANCELLED,
        ClosedReason.TERMINATED: RunStatus.TERMINATED,
    }
)


def metrics_view(metrics: OperatorMetrics, snapshot: OperatorSnapshot) -> JsonObject:
    node, now = metrics.node, snapshot.now
    tasks, runs = tasks_view(snapshot), runs_view(snapshot)
    history = history_view(snapshot, node.history)
    activities = activities_view(snapshot)
    return {
        "generated_at": micro(now),
        "runs": runs,
        "tasks": tasks,
        "activities": activities,
        "backlog": _backlog(snapshot, tasks, runs, activities),
        "repair": candidates_view(snapshot.repair, now=now),
        "starts": _starts(snapshot),
        "history": history,
        "command_contracts": command_contracts_view(),
        "projections": projections_view(runs=runs["total"], events=history["events"]),
        "schedules": schedules_view(snapshot),
        "workers": workers_view(snapshot, node),
        "backend": backend_view(_backend(node), now=now),
        "structural_limits": structural_limits_block(node.structural_limits),
        "update_wait": {
            "completion_timeout_seconds": node.update_wait_seconds,
            "poll_interval_milliseconds": node.update_poll_ms,
        },
        "repair_policy": policy_view(metrics.repair_policy),
        "matching_role": matching_block(node.matching),
        "bounds": _bounds(snapshot),
    }


def runs_view(snapshot: OperatorSnapshot) -> JsonObject:
    figures, now = snapshot.figures, snapshot.now
    is_open, stuck = figures.open_runs, figures.leased
    closed: Counter[RunStatus] = Counter()
    for by_reason in (figures.closed, figures.archived):
        for reason, count in by_reason.items():
            closed[STATUS_OF_REASON[reason]] += count
    total = is_open.runs + closed.total()
    return {
        "total": total,
        "current": max(total - figures.superseded, 0),
        "running": is_open.runs,
        "completed": closed[RunStatus.COMPLETED],
        "failed": closed[RunStatus.FAILED],
        "cancelled": closed[RunStatus.CANCELLED],
        "terminated": closed[RunStatus.TERMINATED],
        "archived": sum(figures.archived.values()),
        "repair_needed": stuck.stuck_runs,
        **oldest(
            "oldest_repair_needed_at",
            "max_repair_needed_age_ms",
            stuck.oldest_stuck_at,
            now=now,
        ),
        "claim_failed": 0,
        "compatibility_blocked": sum(each.marked_runs for each in snapshot.blocked),
        # An open run always waits for something, since it last did anything.
        "waiting": is_open.runs,
        **oldest(
            "oldest_wait_started_at",
            "max_wait_age_ms",
            is_open.oldest_progress_at,
            now=now,
        ),
    }


def tasks_view(snapshot: OperatorSnapshot) -> JsonObject:
    ready, leased, now = snapshot.figures.ready, snapshot.figures.leased, snapshot.now
    due = sum(each.due for each in ready)
    overdue = sum(each.overdue for each in ready)
    count = sum(each.tasks for each in ready)
    oldest_due = earliest(*(each.oldest_due_at for each in ready))
    oldest_overdue = earliest(*(each.oldest_overdue_at for each in ready))
    return {
        "open": count + leased.tasks,
        "ready": count,
        "ready_due": due,
        "delayed": count - due,
        "leased": leased.tasks,
        "dispatch_failed": 0,
        "claim_failed": 0,
        "dispatch_overdue": overdue,
        "lease_expired": leased.expired,
        **oldest(
            "oldest_lease_expired_at",
            "max_lease_expired_age_ms",
            leased.oldest_expired_at,
            now=now,
        ),
        **oldest("oldest_ready_due_at", "max_ready_due_age_ms", oldest_due, now=now),
        **oldest(
            "oldest_dispatch_overdue_since",
            "max_dispatch_overdue_age_ms",
            oldest_overdue,
            now=now,
        ),
        **oldest("oldest_claim_failed_at", "max_claim_failed_age_ms", None, now=now),
        **oldest(
            "oldest_dispatch_failed_at", "max_dispatch_failed_age_ms", None, now=now
        ),
        "unhealthy": overdue + leased.expired,
        **oldest(
            "oldest_unhealthy_at",
            "max_unhealthy_age_ms",
            earliest(oldest_overdue, leased.oldest_expired_at),
            now=now,
        ),
        "max_attempt_count": max(
            leased.max_attempt, *(each.max_attempt for each in ready), 0
        ),
        "max_repair_count": max(
            leased.max_repairs, *(each.max_repairs for each in ready), 0
        ),
    }


def activities_view(snapshot: OperatorSnapshot) -> JsonObject:
    found, now = snapshot.figures.activities, snapshot.now
    attempts = snapshot.figures.attempts
    return {
        "open": found.pending + found.running,
        "pending": found.pending,
        "running": found.running,
        "retrying": found.retrying,
        **oldest(
            "oldest_retrying_started_at",
            "max_retrying_age_ms",
            found.oldest_retrying_at,
            now=now,
        ),
        "timeout_overdue": found.overdue,
        **oldest(
            "oldest_timeout_overdue_at",
            "max_timeout_overdue_age_ms",
            found.oldest_overdue_at,
            now=now,
        ),
        "failed_attempts": attempts.attempts,
        "max_attempt_count": max(found.max_attempt, attempts.max_number),
    }


def history_view(
    snapshot: OperatorSnapshot, thresholds: HistoryThresholds
) -> JsonObject:
    is_open, closed = snapshot.figures.open_runs, snapshot.figures.closed_histories
    budget = thresholds.budget
    return {
        "continue_as_new_recommended_runs": is_open.over_budget,
        "approaching_budget_runs": is_open.near_budget,
        "events": is_open.events + closed.events,
        # Events are written with their run, whose row stays when they are pruned.
        "history_orphan_total": 0,
        "max_event_count": max(is_open.max_events, closed.max_events),
        "max_size_bytes": max(is_open.max_bytes, closed.max_bytes),
        "max_fan_out": is_open.max_fan_out,
        "event_threshold": budget.events,
        "size_bytes_threshold": budget.size_bytes,
        "fan_out_threshold": thresholds.fan_out,
        "event_warning_threshold": budget.warning_events,
        "size_bytes_warning_threshold": budget.warning_size_bytes,
        "fan_out_warning_threshold": thresholds.warning_fan_out,
    }


def command_contracts_view() -> JsonObject:
    return {
        "backfill_needed_runs": 0,
        "backfill_available_runs": 0,
        "backfill_unavailable_runs": 0,
    }


def schedules_view(snapshot: OperatorSnapshot) -> JsonObject:
    summary = snapshot.schedules
    return {
        "active": summary.active,
        "paused": summary.paused,
        "missed": summary.missed,
        "oldest_overdue_at": iso_or_none(summary.oldest_overdue_at),
        "max_overdue_ms": age_ms(summary.oldest_overdue_at, now=snapshot.now),
        "fires_total": summary.fires_total,
        "failures_total": summary.failures_total,
    }


def workers_view(snapshot: OperatorSnapshot, node: MetricsFacts) -> JsonObject:
    workers, required = snapshot.workers, node.required
    return {
        "compatibility_namespace": node.fleet,
        "required_compatibility": required,
        "active_workers": len(workers),
        "active_worker_scopes": len(workers),
        "active_workers_supporting_required": sum(
            _supports(worker, required) for worker in workers
        ),
        "fleet": [
            _worker_row(worker, required, ttl=node.marker_ttl)
            for worker in workers[:FLEET_LISTED]
        ],
    }


def _supports(worker: WorkerRegistration, required: str | None) -> bool:
    return required is None or worker.build_id in (required, ANY_MARKER)


def _worker_row(
    worker: WorkerRegistration, required: str | None, *, ttl: int
) -> JsonObject:
    process = worker.details.get("process_metrics")
    reported = process if isinstance(process, dict) else {}
    process_id = reported.get("process_id")
    return {
        "worker_id": worker.worker_id,
        "namespace": worker.namespace,
        "host": reported.get("host"),
        "process_id": None if process_id is None else str(process_id),
        "connection": None,
        "queue": worker.task_queue,
        "supported": [worker.build_id] if worker.build_id is not None else [],
        "supports_required": _supports(worker, required),
        "recorded_at": micro(worker.last_heartbeat_at),
        "expires_at": micro(worker.last_heartbeat_at + ttl),
        "source": "database",
    }


def _backend(node: MetricsFacts) -> Backend:
    return Backend(
        database_driver=node.database_driver,
        cache_store=node.cache_store,
        structural_limits=node.structural_limits,
    )


def _backlog(
    snapshot: OperatorSnapshot,
    tasks: JsonObject,
    runs: JsonObject,
    activities: JsonObject,
) -> JsonObject:
    recent, blocked = snapshot.figures.recent, snapshot.blocked
    return {
        "runnable_tasks": tasks["ready_due"],
        "delayed_tasks": tasks["delayed"],
        "leased_tasks": tasks["leased"],
        "tasks_added_last_minute": sum(each.added for each in recent),
        # Nothing is pushed: a task is dispatched when a worker gets it.
        "tasks_dispatched_last_minute": sum(each.dispatched for each in recent),
        "retrying_activities": activities["retrying"],
        "unhealthy_tasks": tasks["unhealthy"],
        "repair_needed_runs": runs["repair_needed"],
        "claim_failed_runs": runs["claim_failed"],
        "compatibility_blocked_runs": runs["compatibility_blocked"],
        **oldest(
            "oldest_compatibility_blocked_started_at",
            "max_compatibility_blocked_age_ms",
            earliest(*(each.oldest_due_at for each in blocked)),
            now=snapshot.now,
        ),
    }


def _starts(snapshot: OperatorSnapshot) -> JsonObject:
    is_open = snapshot.figures.open_runs
    since = is_open.oldest_pending_command_at or is_open.oldest_pending_at
    return {
        "pending_runs": is_open.pending,
        "pending_commands": is_open.pending_commands,
        "ready_tasks": snapshot.figures.first_tasks,
        **oldest("oldest_pending_start_at", "max_pending_ms", since, now=snapshot.now),
    }


def _bounds(snapshot: OperatorSnapshot) -> JsonObject:
    figures = snapshot.figures
    closed, ready = sum(figures.closed.values()), figures.ready
    counted = {
        "closed_runs": (closed, MAX_ROWS),
        "archived_runs": (sum(figures.archived.values()), MAX_ROWS),
        "open_runs": (figures.open_runs.runs, MAX_ROWS),
        "closed_histories": (closed, MAX_HISTORIES),
        "ready_tasks": (sum(each.tasks for each in ready), MAX_ROWS),
        "leased_tasks": (figures.leased.tasks, MAX_ROWS),
    }
    return {
        "rows": MAX_ROWS,
        "closed_histories": MAX_HISTORIES,
        "reached": [name for name, (count, most) in counted.items() if count >= most],
    }
