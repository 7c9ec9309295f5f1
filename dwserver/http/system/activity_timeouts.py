"""``/api/system/activity-timeouts`` (``spec/topology-and-operations.md`` §4.6)."""

from __future__ import annotations

from typing import Final, Literal, NotRequired, TypedDict

from dwserver.engine.lifecycle.activity_timeout import ActivityTimedOut
from dwserver.http.call import Call, Reply
from dwserver.http.request_fields import checked, words
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, RouteShape
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
    scan_report,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import LIST, Field
from dwserver.services.activity_timeouts import Enforced
from dwserver.services.catalog import Services

SCAN_FIELDS: Final = (SCAN_LIMIT,)
PASS_FIELDS: Final = (
    SCAN_LIMIT,
    Field("execution_ids", LIST, max_items=MAX_ROWS, item=IDENTIFIER),
)


async def status(services: Services, call: Call) -> Reply:
    """What the next pass would end, in all namespaces."""
    limit = scan_limit(checked(words(call.query), SCAN_FIELDS))
    expired = await services.activity_timeouts.expired(limit=limit)
    body = {
        "expired_count": len(expired),
        "expired_execution_ids": expired,
        **scan_report(expired, limit=limit),
    }
    return Reply(200, body)


async def run_pass(services: Services, call: Call) -> Reply:
    """End the overdue activities: those that are named, else what a scan finds."""
    return pass_reply(await enforce(services, call.namespace, call.body))


async def enforce(services: Services, _namespace: str, body: JsonValue) -> JsonObject:
    """End the overdue activities: those that are named, else what a scan of all
    namespaces finds; the report."""
    values = checked(body, PASS_FIELDS)
    named = values["execution_ids"]
    timeouts = services.activity_timeouts
    if named is not None:
        enforced = await timeouts.enforce_on(named)
    else:
        enforced = await timeouts.enforce(limit=scan_limit(values))
    rows = [_row(each) for each in enforced]
    return pass_report(rows, done="enforced")


def _row(enforced: Enforced) -> JsonObject:
    execution_id, outcome = enforced.execution_id, enforced.outcome
    match outcome:
        case ActivityTimedOut():
            told: JsonObject = {"outcome": "enforced", "has_retry": outcome.is_retried}
        case _:
            told = left_alone(outcome)
    return {"execution_id": execution_id, **told}


class ExpiredActivities(ScanReport):
    expired_count: Count
    expired_execution_ids: list[str]


class EnforcedRow(TypedDict):
    """``has_retry`` of an enforced one, else ``reason``."""

    execution_id: str
    outcome: Literal["enforced", "skipped", "error"]
    has_retry: NotRequired[bool]
    reason: NotRequired[str]


class EnforcementReport(PassCounts):
    enforced: Count
    results: list[EnforcedRow]


ROUTES = (
    management_route(
        Method.GET,
        "/system/activity-timeouts",
        operation="activity_timeout_status",
        handler=status,
        allowed_roles=ADMINS,
        shape=RouteShape(query=SCAN_FIELDS, answers={200: ExpiredActivities}),
    ),
    management_route(
        Method.POST,
        "/system/activity-timeouts/pass",
        operation="activity_timeout_enforce_pass",
        handler=run_pass,
        allowed_roles=ADMINS,
        shape=RouteShape(
            body=PASS_FIELDS,
            answers={200: EnforcementReport, 207: EnforcementReport},
        ),
    ),
)
