"""``/api/system/repair`` (``spec/topology-and-operations.md`` §4.5)."""

from __future__ import annotations

from typing import Final

from dwserver.http.call import Call, Reply
from dwserver.http.request_fields import checked
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import RouteShape
from dwserver.http.system.passes import (
    IDENTIFIER,
    MAX_ID_LENGTH,
    MAX_ROWS,
    pass_status,
)
from dwserver.http.system.repair_report import RepairPassReport, report_view
from dwserver.http.system.repair_views import (
    RepairStatus,
    candidates_view,
    policy_view,
)
from dwserver.protocol.json_types import JsonObject, JsonValue
from dwserver.protocol.validation import BOOLEAN, LIST, Field
from dwserver.services.catalog import Services
from dwserver.services.task_repair import RepairScopeFilter

PASS_FIELDS: Final = (
    Field("run_ids", LIST, max_items=MAX_ROWS, item=IDENTIFIER),
    Field("instance_id", max_length=MAX_ID_LENGTH),
    Field("connection", max_length=MAX_ID_LENGTH),
    Field("queue", max_length=MAX_ID_LENGTH),
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
    report = await repair(services, call.namespace, call.body)
    return Reply(pass_status(len(report["existing_task_failures"])), report)


async def repair(services: Services, namespace: str, body: JsonValue) -> JsonObject:
    """Look after what does not move: everywhere, or in the runs that are named; the
    report."""
    values = checked(body, PASS_FIELDS)
    about = RepairScopeFilter(
        namespace,
        tuple(values["run_ids"] or ()),
        values["instance_id"],
        connection=values["connection"],
        queue=values["queue"],
    )
    respects_throttle = values["respect_throttle"]
    report = await services.task_repair.run_pass(
        about, respects_throttle=respects_throttle
    )
    return report_view(about, report, respects_throttle=respects_throttle)


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
