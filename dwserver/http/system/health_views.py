"""The checks of ``GET /api/system/health`` and the alerts that follow from them
(``spec/topology-and-operations.md`` §4.4).

A check is a row of figures of :mod:`dwserver.http.system.operator_views`, and what must
be zero among them. Only what keeps work from ever being done is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from dwserver.http.discovery.workflow_health import (
    HealthCategory,
    HealthCheck,
    HealthStatus,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.services.operator_metrics import Acceleration, MetricsFacts

_AGES: Final = {
    "lease_expired": ("oldest_lease_expired_at", "max_lease_expired_age_ms"),
    "ready_due": ("oldest_ready_due_at", "max_ready_due_age_ms"),
    "dispatch_overdue": (
        "oldest_dispatch_overdue_since",
        "max_dispatch_overdue_age_ms",
    ),
    "claim_failed": ("oldest_claim_failed_at", "max_claim_failed_age_ms"),
    "dispatch_failed": ("oldest_dispatch_failed_at", "max_dispatch_failed_age_ms"),
}
_BLOCKED: Final = (
    "compatibility_blocked_runs",
    "oldest_compatibility_blocked_started_at",
    "max_compatibility_blocked_age_ms",
)
_SCHEDULES: Final = (
    "active",
    "paused",
    "missed",
    "oldest_overdue_at",
    "max_overdue_ms",
    "fires_total",
    "failures_total",
)
_ACTIVITIES: Final = (
    "timeout_overdue",
    "oldest_timeout_overdue_at",
    "max_timeout_overdue_age_ms",
    "retrying",
    "oldest_retrying_started_at",
    "max_retrying_age_ms",
    "failed_attempts",
    "max_attempt_count",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A check and the figures that it looked at."""

    check: HealthCheck
    data: JsonObject

    def view(self) -> JsonObject:
        check = self.check
        return {
            "name": check.name,
            "status": check.status.value,
            "category": check.category.value,
            "message": check.message or "Nothing is wrong.",
            "data": self.data,
        }


def findings(
    figures: JsonObject, node: MetricsFacts, acceleration: Acceleration
) -> list[Finding]:
    """In published order; ``figures``: ``operator_metrics`` as it is shown."""
    contracts = figures["command_contracts"]
    history, activities = figures["history"], figures["activities"]
    schedules = figures["schedules"]
    return [
        _backend(figures["backend"]),
        *_projections(figures["projections"]),
        _zero(
            "history_retention_invariant",
            "There are events of runs that do not exist.",
            history["history_orphan_total"],
            _only(history, ("history_orphan_total", "events")),
        ),
        _zero(
            "command_contract_snapshots",
            "Contracts of runs are to be filled in.",
            contracts["backfill_needed_runs"],
            contracts,
        ),
        _transport(figures),
        _zero(
            "activity_path",
            "Activities are past a deadline and not timed out yet.",
            activities["timeout_overdue"],
            _only(activities, _ACTIVITIES),
        ),
        _routing(figures),
        _resume_paths(figures["runs"], figures["repair"]),
        _compatibility(figures["workers"], node),
        _zero(
            "scheduler_role",
            "Schedules are overdue.",
            schedules["missed"],
            _only(schedules, _SCHEDULES),
        ),
        _finding(
            "long_poll_wake_acceleration",
            acceleration.why_not,
            {
                "multi_node": acceleration.is_multi_node,
                "backend": node.cache_store,
                "capable": acceleration.why_not is None,
                "safe": True,
                "reason": acceleration.why_not,
            },
            category=HealthCategory.ACCELERATION,
        ),
    ]


def _backend(backend: JsonObject) -> Finding:
    is_fit = backend["severity"] in ("ok", "info")
    return _finding(
        "backend_capabilities",
        None if is_fit else "The backend is unfit.",
        {
            "severity": backend["severity"],
            "issue_count": len(backend["issues"]),
            "issues": backend["issues"],
        },
    )


def _projections(projections: JsonObject) -> tuple[Finding, Finding]:
    summaries = projections["run_summaries"]
    others = sum(
        block["needs_rebuild"]
        for name, block in projections.items()
        if name != "run_summaries"
    )
    return (
        _zero(
            "run_summary_projection",
            "Summaries of runs have drifted.",
            summaries["needs_rebuild"],
            _only(
                summaries,
                ("needs_rebuild", "missing", "orphaned", "stale", "schema_outdated"),
            ),
        ),
        _zero(
            "selected_run_projections",
            "Projections of runs have drifted.",
            others,
            {"needs_rebuild": others},
        ),
    )


def _resume_paths(runs: JsonObject, repair: JsonObject) -> Finding:
    missing = (
        "missing_task_candidates",
        "selected_missing_task_candidates",
        "oldest_missing_run_started_at",
        "max_missing_run_age_ms",
    )
    return _zero(
        "durable_resume_paths",
        "Runs have nothing that will wake them.",
        runs["repair_needed"],
        {
            "repair_needed_runs": runs["repair_needed"],
            **_only(runs, ("oldest_repair_needed_at", "max_repair_needed_age_ms")),
            **_only(repair, missing),
            "waiting_runs": runs["waiting"],
            **_only(runs, ("oldest_wait_started_at", "max_wait_age_ms")),
        },
    )


def _transport(figures: JsonObject) -> Finding:
    tasks, backlog = figures["tasks"], figures["backlog"]
    data: JsonObject = {"unhealthy_tasks": tasks["unhealthy"]}
    for kind, ages in _AGES.items():
        data |= {f"{kind}_tasks": tasks[kind], **_only(tasks, ages)}
    data |= _only(tasks, ("max_attempt_count", "max_repair_count"))
    data |= _only(backlog, ("repair_needed_runs", "claim_failed_runs", *_BLOCKED))
    problem = "Tasks are not taken, or their leases are over."
    return _zero("task_transport", problem, tasks["unhealthy"], data)


def _routing(figures: JsonObject) -> Finding:
    tasks, matching = figures["tasks"], figures["matching_role"]
    backlog, workers = figures["backlog"], figures["workers"]
    data: JsonObject = _only(backlog, _BLOCKED)
    for kind in ("dispatch_overdue", "claim_failed"):
        data |= {f"{kind}_tasks": tasks[kind], **_only(tasks, _AGES[kind])}
    data |= {
        "queue_wake_enabled": matching["queue_wake_enabled"],
        "matching_shape": matching["shape"],
        **_only(matching, ("wake_owner", "task_dispatch_mode")),
        **_only(
            workers,
            (
                "active_worker_scopes",
                "required_compatibility",
                "active_workers",
                "active_workers_supporting_required",
            ),
        ),
        "fleet_supports_required": _is_supported(workers),
    }
    return _zero(
        "routing_health",
        "Work waits for a worker that fits it.",
        backlog["compatibility_blocked_runs"]
        + tasks["dispatch_overdue"]
        + tasks["claim_failed"],
        data,
    )


def _compatibility(workers: JsonObject, node: MetricsFacts) -> Finding:
    problem = None
    if not _is_supported(workers):
        problem = "No live worker supports the required compatibility."
    return _finding(
        "worker_compatibility",
        problem,
        {
            **_only(
                workers,
                (
                    "required_compatibility",
                    "active_workers",
                    "active_worker_scopes",
                    "active_workers_supporting_required",
                ),
            ),
            "validation_mode": "fail" if node.fails_validation else "warn",
        },
        status=HealthStatus.ERROR if node.fails_validation else HealthStatus.WARNING,
    )


def _is_supported(workers: JsonObject) -> bool:
    required = workers["required_compatibility"]
    return required is None or workers["active_workers_supporting_required"] > 0


def _zero(name: str, problem: str, count: int, data: JsonObject) -> Finding:
    return _finding(name, problem if count else None, data)


def _finding(
    name: str,
    problem: str | None,
    data: JsonObject,
    *,
    status: HealthStatus = HealthStatus.WARNING,
    category: HealthCategory = HealthCategory.CORRECTNESS,
) -> Finding:
    found = HealthStatus.OK if problem is None else status
    return Finding(HealthCheck(name, found, category, problem), data)


def _only(block: Mapping[str, JsonValue], names: Iterable[str]) -> JsonObject:
    return {name: block[name] for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueAlert:
    """``figure``: under which name its sum is shown; ``count``: that of one queue, and
    the alert is about those with any."""

    key: str
    status: HealthStatus
    title: str
    figure: str
    count: Callable[[JsonObject], int]


def _unserved(queue: JsonObject) -> int:
    stats = queue["stats"]
    backlog = stats["approximate_backlog_count"]
    return 0 if stats["pollers"]["active_count"] else int(backlog)


QUEUE_ALERTS: Final = (
    QueueAlert(
        key="queue_backlog_without_pollers",
        status=HealthStatus.ERROR,
        title="Task queues with work and without workers",
        figure="backlog_count",
        count=_unserved,
    ),
    QueueAlert(
        key="queue_stale_pollers",
        status=HealthStatus.WARNING,
        title="Task queues with workers that were not heard of",
        figure="stale_poller_count",
        count=lambda queue: int(queue["stats"]["pollers"]["stale_count"]),
    ),
    QueueAlert(
        key="queue_repair_candidates",
        status=HealthStatus.WARNING,
        title="Task queues with tasks that do not move",
        figure="candidate_count",
        count=lambda queue: int(queue["repair"]["candidates"]),
    ),
)


def alerts(
    found: Sequence[Finding],
    queues: Sequence[JsonObject],
    *,
    drains: JsonObject,
    namespace: str,
) -> list[JsonObject]:
    """Those of the checks in their order, then those of the queues. ``drains``: what
    operators take out of service, which may be why work waits."""
    counters = {name: count for name, count in drains.items() if name != "queues"}
    more = {"routing_health": {**counters, "routing_drains": drains}}
    of_checks: list[JsonObject] = [
        {
            "key": each.check.name,
            "source": "health_check",
            "status": each.check.status.value,
            "title": each.check.name.replace("_", " ").capitalize(),
            "summary": each.check.message or "",
            "details": None,
            "facts": {**each.data, **more.get(each.check.name, {})},
            "category": each.check.category.value,
        }
        for each in found
        if each.check.status is not HealthStatus.OK
    ]
    return of_checks + [
        shown
        for alert in QUEUE_ALERTS
        if (shown := _queue_alert(alert, queues, namespace)) is not None
    ]


def _queue_alert(
    alert: QueueAlert, queues: Sequence[JsonObject], namespace: str
) -> JsonObject | None:
    concerned = [queue for queue in queues if alert.count(queue)]
    if not concerned:
        return None
    count = sum(map(alert.count, concerned))
    return {
        "key": alert.key,
        "source": "queue_visibility",
        "status": alert.status.value,
        "title": alert.title,
        "summary": f"{alert.title}: {len(concerned)}.",
        "details": None,
        "namespace": namespace,
        "queue_count": len(concerned),
        "queues": [queue["name"] for queue in concerned],
        alert.figure: count,
    }
