"""``/api/system/retention`` (``spec/topology-and-operations.md`` §4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.wire_time import iso
from dwserver.http.call import Call, Reply
from dwserver.http.request_fields import checked, words
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, IsoTime, RouteShape
from dwserver.http.system.passes import (
    IDENTIFIER,
    MAX_ROWS,
    SCAN_LIMIT,
    PassCounts,
    ScanReport,
    left_alone,
    pass_reply,
    pass_report,
    scan_limit,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import LIST, Field
from dwserver.services.catalog import Services
from dwserver.services.records import RunPart
from dwserver.services.retention import Pruned, PruneSkip

SCAN_FIELDS: Final = (SCAN_LIMIT,)
PASS_FIELDS: Final = (
    SCAN_LIMIT,
    Field("run_ids", LIST, max_items=MAX_ROWS, item=IDENTIFIER),
)

# What the contract counts; ``None``: we keep no rows of that kind, or none are deleted.
DELETED_KEYS: Final[Mapping[str, RunPart | None]] = MappingProxyType(
    {
        "activity_attempts_deleted": RunPart.ATTEMPTS,
        "activity_executions_deleted": RunPart.ACTIVITIES,
        "child_calls_deleted": RunPart.CHILDREN,
        "child_projection_repairs_deleted": None,
        "commands_deleted": RunPart.COMMANDS,
        "failures_deleted": RunPart.FAILURES,
        "history_events_deleted": RunPart.EVENTS,
        "links_deleted": None,
        "memos_deleted": None,
        "messages_deleted": None,
        "run_deleted": None,
        "run_lineage_entries_deleted": None,
        "run_summary_deleted": None,
        "run_timer_entries_deleted": None,
        "run_waits_deleted": RunPart.WAITS,
        "search_attributes_deleted": RunPart.ATTRIBUTES,
        "signals_deleted": RunPart.SIGNALS,
        "tasks_deleted": RunPart.TASKS,
        "timers_deleted": RunPart.TIMERS,
        "timeline_entries_deleted": None,
        "updates_deleted": RunPart.UPDATES,
    }
)


async def status(services: Services, call: Call) -> Reply:
    """What the next pass would prune of the namespace."""
    limit = scan_limit(checked(words(call.query), SCAN_FIELDS))
    expired = await services.retention.expired(call.namespace, limit=limit)
    body = {
        "namespace": call.namespace,
        "retention_days": expired.retention_days,
        "cutoff": iso(expired.cutoff),
        "expired_run_count": len(expired.run_ids),
        "expired_run_ids": list(expired.run_ids),
        "scan_limit": limit,
        "scan_pressure": expired.is_partial,
    }
    return Reply(200, body)


async def run_pass(services: Services, call: Call) -> Reply:
    """Prune closed runs of the namespace: those that are named, else old ones."""
    return pass_reply(await prune(services, call.namespace, call.body))


async def prune(services: Services, namespace: str, body: JsonValue) -> JsonObject:
    """Prune closed runs of the namespace: those that are named, else old ones; the
    report."""
    values = checked(body, PASS_FIELDS)
    named, retention = values["run_ids"], services.retention
    if named is not None:
        pruned = await retention.enforce_on(namespace, named)
    else:
        pruned = await retention.enforce(namespace, limit=scan_limit(values))
    rows = [_row(each) for each in pruned]
    return pass_report(rows, done="pruned")


def _row(pruned: Pruned) -> JsonObject:
    outcome = pruned.outcome
    match outcome:
        case PruneSkip() | Exception():
            told: JsonObject = left_alone(outcome)
        case _:
            told = {"outcome": "pruned", **_deleted(outcome)}
    return {"run_id": pruned.run_id, **told}


def _deleted(rows: Mapping[RunPart, int]) -> JsonObject:
    deleted = {
        key: 0 if part is None else rows[part] for key, part in DELETED_KEYS.items()
    }
    # The row of the summary is the run's own, which leaves the lists.
    deleted["run_summary_deleted"] = 1
    return {
        "history_events_deleted": deleted["history_events_deleted"],
        "tasks_deleted": deleted["tasks_deleted"],
        "external_payloads_deleted": 0,
        "deleted": deleted,
    }


class ExpiredRuns(ScanReport):
    namespace: str
    retention_days: Count
    cutoff: IsoTime
    expired_run_count: Count
    expired_run_ids: list[str]


class PrunedRow(TypedDict):
    """``reason`` unless it was pruned; else the counts of what was deleted."""

    run_id: str
    outcome: Literal["pruned", "skipped", "error"]
    reason: NotRequired[str]
    history_events_deleted: NotRequired[Count]
    tasks_deleted: NotRequired[Count]
    external_payloads_deleted: NotRequired[Count]
    deleted: NotRequired[dict[str, Count]]


class PruneReport(PassCounts):
    pruned: Count
    results: list[PrunedRow]


ROUTES = (
    management_route(
        Method.GET,
        "/system/retention",
        operation="retention_status",
        handler=status,
        allowed_roles=ADMINS,
        shape=RouteShape(query=SCAN_FIELDS, answers={200: ExpiredRuns}),
    ),
    management_route(
        Method.POST,
        "/system/retention/pass",
        operation="retention_enforce_pass",
        handler=run_pass,
        allowed_roles=ADMINS,
        shape=RouteShape(
            body=PASS_FIELDS, answers={200: PruneReport, 207: PruneReport}
        ),
    ),
)
