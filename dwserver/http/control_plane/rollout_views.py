"""Rollouts of build ids as operators see them (``spec/topology-and-operations.md``
§5.7, §5.8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict

from dwserver.engine.routing.rollouts import RolloutStatus
from dwserver.engine.wire_time import micro_or_none
from dwserver.http.route_shape import Count, MicroTime
from dwserver.protocol.json_types import JsonObject
from dwserver.services.build_rollouts import Cohort
from dwserver.services.records import QueueName, Rollout

# Whether workers of the cohort begin anything new, by what is wanted.
INTENTS = {True: "draining", False: "active"}
_WORKERS = ("active", "draining", "stale")


def rollout_view(rollout: Rollout) -> JsonObject:
    namespace, queue, build_id = rollout.cohort
    return {
        "namespace": namespace,
        "task_queue": queue,
        "build_id": build_id,
        "drain_intent": INTENTS[rollout.is_draining],
        "drained_at": micro_or_none(rollout.drained_at),
    }


def cohort_view(cohort: Cohort) -> JsonObject:
    return {
        "build_id": cohort.key.build_id,
        "rollout_status": cohort.status.value,
        "drain_intent": INTENTS[cohort.is_draining],
        "drained_at": micro_or_none(cohort.drained_at),
        "active_worker_count": cohort.active,
        "draining_worker_count": cohort.draining,
        "stale_worker_count": cohort.stale,
        "total_worker_count": cohort.active + cohort.draining + cohort.stale,
        "runtimes": list(cohort.runtimes),
        "sdk_versions": list(cohort.sdk_versions),
        "last_heartbeat_at": micro_or_none(cohort.last_heartbeat_at),
        "first_seen_at": micro_or_none(cohort.first_seen_at),
    }


def routing_drains(queues: Mapping[QueueName, Sequence[Cohort]]) -> JsonObject:
    """The queues with a drain, each with all of its cohorts, in the given order."""
    views = [_drained_queue(queue, cohorts) for queue, cohorts in queues.items()]
    return {
        "queues_with_drains": len(views),
        **{
            name: sum(view[name] for view in views)
            for name in (
                "draining_build_id_count",
                *(f"{status}_worker_count" for status in _WORKERS),
            )
        },
        "queues": views,
    }


def _drained_queue(queue: QueueName, cohorts: Sequence[Cohort]) -> JsonObject:
    drained = [cohort for cohort in cohorts if cohort.is_draining]
    in_service = (RolloutStatus.ACTIVE, RolloutStatus.ACTIVE_WITH_DRAINING)
    return {
        "namespace": queue.namespace,
        "task_queue": queue.queue,
        "active_build_id_count": sum(c.status in in_service for c in cohorts),
        "draining_build_id_count": len(drained),
        **{
            f"{status}_worker_count": sum(getattr(c, status) for c in cohorts)
            for status in _WORKERS
        },
        "latest_drained_at": micro_or_none(
            max((c.drained_at for c in drained if c.drained_at), default=None)
        ),
        "build_ids": [cohort_view(cohort) for cohort in drained],
    }


class RolloutView(TypedDict):
    namespace: str
    task_queue: str
    build_id: str | None
    drain_intent: Literal["active", "draining"]
    drained_at: MicroTime | None


class CohortView(TypedDict):
    """Workers of a queue with one build id, or (null) without any."""

    build_id: str | None
    rollout_status: Literal[
        "active", "active_with_draining", "draining", "stale_only", "no_workers"
    ]
    drain_intent: Literal["active", "draining"]
    drained_at: MicroTime | None
    active_worker_count: Count
    draining_worker_count: Count
    stale_worker_count: Count
    total_worker_count: Count
    runtimes: list[str]
    sdk_versions: list[str]
    last_heartbeat_at: MicroTime | None
    first_seen_at: MicroTime | None


class DrainedQueue(TypedDict):
    """Workers are counted in all cohorts; ``build_ids``: those that are drained."""

    namespace: str
    task_queue: str
    active_build_id_count: Count
    draining_build_id_count: Count
    active_worker_count: Count
    draining_worker_count: Count
    stale_worker_count: Count
    latest_drained_at: MicroTime | None
    build_ids: list[CohortView]


class RoutingDrains(TypedDict):
    """The latest drain first."""

    queues_with_drains: Count
    draining_build_id_count: Count
    active_worker_count: Count
    draining_worker_count: Count
    stale_worker_count: Count
    queues: list[DrainedQueue]
