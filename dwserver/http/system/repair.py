"""``/api/system/repair`` (``spec/topology-and-operations.md`` §4.5)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

from dwserver.http.call import Call, Reply
from dwserver.http.request_fields import checked
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, RouteShape
from dwserver.http.system.passes import (
    IDENTIFIER,
    MAX_ID_LENGTH,
    MAX_ROWS,
    failure_reason,
    pass_status,
)
from dwserver.http.system.repair_views import (
    RepairStatus,
    candidates_view,
    policy_view,
)
from dwserver.protocol.json_types import JsonObject
from dwserver.protocol.validation import BOOLEAN, LIST, Field
from dwserver.services.catalog import Services
from dwserver.services.task_repair import RepairReport, RepairScopeFilter

PASS_FIELDS: Final = (
    Field("run_ids", LIST, max_items=MAX_ROWS, item=IDENTIFIER),
    Field("instance_id", max_length=MAX_ID_LENGTH),
    Field("respect_throttle", BOOLEAN, default=False),
)


async def status(services: Services, _call: Call) -> Reply:
    """What the next pass would look after, in all namespaces."""
    selection = await services.task_repair.candidates()
    body = {
        "policy": policy_view(services.task_repair.policy),
        "candidates": candidates_view(selection, now=services.now()),
    }
    return Reply(200, body)


async def run_pass(services: Services, call: Call) -> Reply:
    """Look after what does not move: everywhere, or in the runs that are named."""
    values = checked(call.body, PASS_FIELDS)
    run_ids, instance_id = values["run_ids"] or [], values["instance_id"]
    about = RepairScopeFilter(call.namespace, tuple(run_ids), instance_id)
    report = await services.task_repair.run_pass(
        about, respects_throttle=values["respect_throttle"]
    )
    body: JsonObject = {
        **NO_CONTRACTS,
        "connection": None,
        "queue": None,
        "run_ids": run_ids,
        "instance_id": instance_id,
        "respect_throttle": values["respect_throttle"],
        **_report(report),
    }
    return Reply(pass_status(len(report.task_failures)), body)


# Contracts come with the registrations of workers; there is nothing to fill in.
NO_CONTRACTS: Final[JsonObject] = {
    "selected_command_contract_candidates": 0,
    "backfilled_command_contracts": 0,
    "command_contract_backfill_unavailable": 0,
    "command_contract_failures": [],
    "missing_run_failures": [],
}


def _report(report: RepairReport) -> JsonObject:
    selected = len(report.selection.selected)
    activity_failures = (
        (each.execution_id, each.outcome)
        for each in report.overdue_activities
        if isinstance(each.outcome, Exception)
    )
    return {
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


ROUTES = (
    management_route(
        Method.GET,
        "/system/repair",
        operation="repair_status",
        handler=status,
        allowed_roles=ADMINS,
        shape=RouteShape(answers={200: RepairStatus}),
    ),
    management_route(
        Method.POST,
        "/system/repair/pass",
        operation="repair_pass",
        handler=run_pass,
        allowed_roles=ADMINS,
        shape=RouteShape(
            body=PASS_FIELDS, answers={200: RepairPassReport, 207: RepairPassReport}
        ),
    ),
)
