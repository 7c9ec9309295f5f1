"""Task queues as operators see them (``spec/topology-and-operations.md`` §5.2–5.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.events import present
from dwserver.engine.wire_time import MICROS, micro, micro_or_none
from dwserver.engine.words import TaskKind
from dwserver.http.route_shape import Count, MicroTime
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.services.records import (
    QueueLease,
    QueueLoad,
    RecentTasks,
    WorkerRegistration,
)
from dwserver.services.task_queues import QueueDetail, QueueView
from dwserver.services.workers import Workers

_MINUTE: Final = 60
_HOUR: Final = 3600


def queue_view(queue: QueueDetail, workers: Workers) -> JsonObject:
    """Everything but admission."""
    glance = queue_glance(queue.view, workers)
    now = queue.view.now
    return {
        "name": glance["name"],
        "pollers": [poller_view(worker, workers) for worker in queue.pollers],
        "stats": glance["stats"],
        "current_leases": [_lease_view(lease, now=now) for lease in queue.leases],
        "repair": glance["repair"],
    }


def queue_glance(queue: QueueView, workers: Workers) -> JsonObject:
    """How much there is, not what. Of the repair part, members without a value are left
    out."""
    return {
        "name": queue.name,
        "stats": _stats(queue, workers),
        "repair": present(_repair(queue)),
    }


def with_flow(glance: JsonObject, recent: Iterable[RecentTasks]) -> JsonObject:
    """What came and went in the last minute, beside what there is."""
    own = {each.kind: each for each in recent if each.queue == glance["name"]}
    stats = dict(glance["stats"])
    for kind in TaskKind:
        flow = own.get(kind)
        stats[f"{kind}_tasks"] = {
            **stats[f"{kind}_tasks"],
            "added_last_minute": flow.added if flow else 0,
            "dispatched_last_minute": flow.dispatched if flow else 0,
        }
    stats["tasks_added_last_minute"] = sum(each.added for each in own.values())
    stats["tasks_dispatched_last_minute"] = sum(e.dispatched for e in own.values())
    return {**glance, "stats": stats}


def poller_view(worker: WorkerRegistration, workers: Workers) -> JsonObject:
    status = workers.status(worker)
    return {
        "worker_id": worker.worker_id,
        "runtime": worker.runtime,
        "sdk_version": worker.sdk_version,
        "build_id": worker.build_id,
        "last_heartbeat_at": micro(worker.last_heartbeat_at),
        "heartbeat_expires_at": micro(worker.last_heartbeat_at + workers.stale_after),
        "status": status,
        "is_stale": status == "stale",
        "supported_workflow_types": list(worker.workflow_types),
        "supported_activity_types": list(worker.activity_types),
        "max_concurrent_workflow_tasks": worker.max_workflow_tasks,
        "max_concurrent_activity_tasks": worker.max_activity_tasks,
    }


def _stats(queue: QueueView, workers: Workers) -> JsonObject:
    backlog, now = queue.backlog, queue.now
    oldest, age, view = backlog.oldest, None, None
    if oldest is not None:
        age = (now - oldest.ready_at) // MICROS
        view = {
            "task_id": oldest.id,
            "task_type": oldest.kind,
            "workflow_id": oldest.workflow_id,
            "run_id": oldest.run_id,
            "available_at": micro(oldest.ready_at),
            "age_seconds": age,
        }
    return {
        "approximate_backlog_count": sum(load.ready for load in backlog.loads.values()),
        "approximate_backlog_age": None if age is None else _spoken(age),
        "approximate_backlog_age_seconds": age,
        "oldest_ready_task": view,
        **{
            f"{kind}_tasks": {
                "ready_count": load.ready,
                "leased_count": load.leased,
                "expired_lease_count": load.expired,
            }
            for kind, load in backlog.loads.items()
        },
        "pollers": {
            "active_count": queue.workers.active + queue.workers.draining,
            "stale_count": queue.workers.stale,
            "stale_after_seconds": workers.stale_after // MICROS,
        },
    }


def _spoken(seconds: int) -> str:
    """``42s``, ``3m05s``, ``1h02m09s``."""
    if seconds < _MINUTE:
        return f"{seconds}s"
    minutes, rest = divmod(seconds, _MINUTE)
    if seconds < _HOUR:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m{rest:02}s"


def _lease_view(lease: QueueLease, *, now: int) -> JsonObject:
    view: JsonObject = {
        "task_id": lease.id,
        "task_type": lease.kind,
        "workflow_id": lease.workflow_id,
        "run_id": lease.run_id,
        "lease_owner": lease.lease_owner,
        "lease_expires_at": micro(lease.lease_expires_at),
        "is_expired": lease.lease_expires_at <= now,
    }
    if lease.kind is TaskKind.WORKFLOW:
        return {**view, "workflow_task_attempt": lease.attempt}
    return {
        **view,
        "activity_attempt_id": lease.attempt_id,
        "attempt_number": lease.attempt,
    }


def _repair(queue: QueueView) -> JsonObject:
    """Nothing is pushed to workers here, so no dispatch can fail."""
    loads, now = queue.backlog.loads.values(), queue.now
    expired = sum(load.expired for load in loads)
    overdue = sum(load.overdue for load in loads)
    lease = _first(loads, lambda load: load.oldest_expiry if load.expired else None)
    ready = _first(loads, lambda load: load.oldest_ready_at if load.overdue else None)
    return {
        "candidates": expired + overdue,
        "dispatch_failed": 0,
        "expired_leases": expired,
        "oldest_lease_expired_at": micro_or_none(lease),
        "max_lease_expired_age_ms": _age_ms(lease, now),
        "dispatch_overdue": overdue,
        "oldest_dispatch_overdue_since": micro_or_none(ready),
        "max_dispatch_overdue_age_ms": _age_ms(ready, now),
        "needs_attention": expired + overdue > 0,
        "policy": {"redispatch_after_seconds": queue.overdue_after // MICROS},
    }


def _first(
    loads: Iterable[QueueLoad], instant_of: Callable[[QueueLoad], int | None]
) -> int | None:
    instants = [at for load in loads if (at := instant_of(load)) is not None]
    return min(instants, default=None)


def _age_ms(instant: int | None, now: int) -> JsonValue:
    return None if instant is None else (now - instant) // 1000


class PollerView(TypedDict):
    worker_id: str
    runtime: str
    sdk_version: str | None
    build_id: str | None
    last_heartbeat_at: MicroTime
    heartbeat_expires_at: MicroTime
    status: str
    is_stale: bool
    supported_workflow_types: list[str]
    supported_activity_types: list[str]
    max_concurrent_workflow_tasks: Count
    max_concurrent_activity_tasks: Count


class ReadyTaskView(TypedDict):
    task_id: str
    task_type: TaskKind
    workflow_id: str
    run_id: str
    available_at: MicroTime
    age_seconds: Count


class TaskCounts(TypedDict):
    """Those of the last minute are shown in the health of a namespace alone."""

    ready_count: Count
    leased_count: Count
    expired_lease_count: Count
    added_last_minute: NotRequired[Count]
    dispatched_last_minute: NotRequired[Count]


class PollerCounts(TypedDict):
    active_count: Count
    stale_count: Count
    stale_after_seconds: Count


class QueueStats(TypedDict):
    approximate_backlog_count: Count
    approximate_backlog_age: str | None
    approximate_backlog_age_seconds: int | None
    oldest_ready_task: ReadyTaskView | None
    workflow_tasks: TaskCounts
    activity_tasks: TaskCounts
    pollers: PollerCounts
    tasks_added_last_minute: NotRequired[Count]
    tasks_dispatched_last_minute: NotRequired[Count]


class LeaseView(TypedDict):
    """The attempt stands under the name of its kind."""

    task_id: str
    task_type: TaskKind
    workflow_id: str
    run_id: str
    lease_owner: str
    lease_expires_at: MicroTime
    is_expired: bool
    workflow_task_attempt: NotRequired[Count]
    activity_attempt_id: NotRequired[str | None]
    attempt_number: NotRequired[Count]


class RepairPolicy(TypedDict):
    redispatch_after_seconds: Count


class QueueRepair(TypedDict):
    candidates: Count
    dispatch_failed: Literal[0]
    expired_leases: Count
    oldest_lease_expired_at: NotRequired[MicroTime]
    max_lease_expired_age_ms: NotRequired[Count]
    dispatch_overdue: Count
    oldest_dispatch_overdue_since: NotRequired[MicroTime]
    max_dispatch_overdue_age_ms: NotRequired[Count]
    needs_attention: bool
    policy: RepairPolicy


class QueueGlance(TypedDict):
    name: str
    stats: QueueStats
    repair: QueueRepair


class QueueBody(QueueGlance):
    """Of the workers and leases the first ones."""

    pollers: list[PollerView]
    current_leases: list[LeaseView]
