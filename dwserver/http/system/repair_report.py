"""The report of a repair pass (``spec/topology-and-operations.md`` §4.5), as routes and
the command line show it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

from dwserver.http.route_shape import Count
from dwserver.http.system.passes import failure_reason
from dwserver.protocol.json_types import JsonObject
from dwserver.services.task_repair import RepairReport, RepairScopeFilter

# Contracts come with the registrations of workers; there is nothing to fill in.
NO_CONTRACTS: Final[JsonObject] = {
    "selected_command_contract_candidates": 0,
    "backfilled_command_contracts": 0,
    "command_contract_backfill_unavailable": 0,
    "command_contract_failures": [],
    "missing_run_failures": [],
}


def report_view(
    about: RepairScopeFilter, report: RepairReport, *, respects_throttle: bool
) -> JsonObject:
    """What the pass was about, and what came of it."""
    selected = len(report.selection.selected)
    activity_failures = (
        (each.execution_id, each.outcome)
        for each in report.overdue_activities
        if isinstance(each.outcome, Exception)
    )
    return {
        **NO_CONTRACTS,
        "connection": about.connection,
        "queue": about.queue,
        "run_ids": list(about.run_ids),
        "instance_id": about.workflow_id,
        "respect_throttle": respects_throttle,
        "throttled": report.is_throttled,
        "selected_existing_task_candidates": selected,
        "selected_missing_task_candidates": 0,
        "selected_total_candidates": selected,
        "repaired_existing_tasks": report.repaired,
        "repaired_missing_tasks": 0,
        "dispatched_tasks": report.repaired,
        "existing_task_failures": _failures("candidate_id", report.task_failures),
        "deadline_expired_candidates": report.overdue_runs,
        # Overdue runs are closed at once; no task is needed for that.
        "deadline_expired_tasks_created": 0,
        "deadline_expired_failures": _failures("run_id", report.run_failures),
        "activity_timeout_candidates": len(report.overdue_activities),
        "activity_timeouts_enforced": report.activities_enforced,
        "activity_timeout_failures": _failures("execution_id", activity_failures),
    }


def _failures(name: str, found: Iterable[tuple[str, Exception]]) -> list[JsonObject]:
    return [{name: each, "message": failure_reason(error)} for each, error in found]


FAILURES: Final = (
    "existing_task_failures",
    "missing_run_failures",
    "deadline_expired_failures",
    "activity_timeout_failures",
    "command_contract_failures",
)


def has_failures(report: JsonObject) -> bool:
    """Of any kind, in a report as it is shown."""
    return any(report[name] for name in FAILURES)


class CandidateFailure(TypedDict):
    candidate_id: str
    message: str


class RunFailure(TypedDict):
    run_id: str
    message: str


class ActivityFailure(TypedDict):
    execution_id: str
    message: str


class RepairPassReport(TypedDict):
    connection: str | None
    queue: str | None
    run_ids: list[str]
    instance_id: str | None
    respect_throttle: bool
    throttled: bool
    selected_existing_task_candidates: Count
    selected_missing_task_candidates: Count
    selected_total_candidates: Count
    repaired_existing_tasks: Count
    repaired_missing_tasks: Count
    dispatched_tasks: Count
    existing_task_failures: list[CandidateFailure]
    missing_run_failures: list[RunFailure]
    deadline_expired_candidates: Count
    deadline_expired_tasks_created: Count
    deadline_expired_failures: list[RunFailure]
    activity_timeout_candidates: Count
    activity_timeouts_enforced: Count
    activity_timeout_failures: list[ActivityFailure]
    selected_command_contract_candidates: Count
    backfilled_command_contracts: Count
    command_contract_backfill_unavailable: Count
    command_contract_failures: list[RunFailure]
