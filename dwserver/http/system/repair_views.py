"""Repair as operators see it (``spec/topology-and-operations.md`` §4.3.6, §4.5).

Runs without the task that they need cannot come about (``spec/engine.md`` §17), so that
their figures are always zero; ``POST …/repair`` of a run looks for them all the same.
"""

from __future__ import annotations

from typing import Final, TypedDict

from dwserver.engine.wire_time import micro, micro_or_none
from dwserver.http.route_shape import Count, MicroTime
from dwserver.http.system.ages import age_ms
from dwserver.protocol.json_types import JsonObject
from dwserver.services.repair_selection import RepairScope, RepairSelection
from dwserver.services.task_repair import RepairPolicy

STRATEGY: Final = "scope_fair_round_robin"


def policy_view(policy: RepairPolicy) -> JsonObject:
    return {
        "redispatch_after_seconds": policy.redispatch_after_seconds,
        "loop_throttle_seconds": policy.loop_throttle_seconds,
        "scan_limit": policy.scan_limit,
        "scan_strategy": STRATEGY,
        "failure_backoff_max_seconds": policy.failure_backoff_max_seconds,
        "failure_backoff_strategy": "exponential_by_repair_count",
    }


def candidates_view(selection: RepairSelection, *, now: int) -> JsonObject:
    """``now``: epoch microseconds."""
    oldest, count = selection.oldest_created_at, len(selection.selected)
    return {
        "existing_task_candidates": selection.candidates,
        "missing_task_candidates": 0,
        "total_candidates": selection.candidates,
        "scan_limit": selection.scan_limit,
        "scan_strategy": STRATEGY,
        "selected_existing_task_candidates": count,
        "selected_missing_task_candidates": 0,
        "selected_total_candidates": count,
        "existing_task_scan_limit_reached": selection.is_limit_reached,
        "missing_task_scan_limit_reached": False,
        "scan_pressure": selection.is_limit_reached,
        "oldest_task_candidate_created_at": micro_or_none(oldest),
        "oldest_missing_run_started_at": None,
        "max_task_candidate_age_ms": age_ms(oldest, now=now),
        "max_missing_run_age_ms": 0,
        "scopes": [_scope_row(scope, now=now) for scope in selection.scopes],
    }


def _scope_row(scope: RepairScope, *, now: int) -> JsonObject:
    return {
        "scope_key": scope.key,
        "connection": None,
        "queue": scope.queue,
        "compatibility": scope.compatibility,
        "existing_task_candidates": scope.candidates,
        "missing_task_candidates": 0,
        "total_candidates": scope.candidates,
        "selected_existing_task_candidates": scope.selected,
        "selected_missing_task_candidates": 0,
        "selected_total_candidates": scope.selected,
        "oldest_task_candidate_created_at": micro(scope.oldest_created_at),
        "oldest_missing_run_started_at": None,
        "max_task_candidate_age_ms": age_ms(scope.oldest_created_at, now=now),
        "max_missing_run_age_ms": 0,
        "scan_limited_by_global_policy": scope.selected < scope.candidates,
    }


class RepairPolicyView(TypedDict):
    redispatch_after_seconds: Count
    loop_throttle_seconds: Count
    scan_limit: Count
    scan_strategy: str
    failure_backoff_max_seconds: Count
    failure_backoff_strategy: str


class RepairCounts(TypedDict):
    existing_task_candidates: Count
    missing_task_candidates: Count
    total_candidates: Count
    selected_existing_task_candidates: Count
    selected_missing_task_candidates: Count
    selected_total_candidates: Count
    oldest_task_candidate_created_at: MicroTime | None
    oldest_missing_run_started_at: MicroTime | None
    max_task_candidate_age_ms: Count
    max_missing_run_age_ms: Count


class RepairScopeRow(RepairCounts):
    scope_key: str
    connection: str | None
    queue: str
    compatibility: str | None
    scan_limited_by_global_policy: bool


class RepairCandidatesView(RepairCounts):
    scan_limit: Count
    scan_strategy: str
    existing_task_scan_limit_reached: bool
    missing_task_scan_limit_reached: bool
    scan_pressure: bool
    scopes: list[RepairScopeRow]


class RepairStatus(TypedDict):
    policy: RepairPolicyView
    candidates: RepairCandidatesView
