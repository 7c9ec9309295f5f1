"""``GET /api/system/health`` (``spec/topology-and-operations.md`` §4.4)."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane.queue_views import (
    QueueGlance,
    queue_glance,
    with_flow,
)
from dwserver.http.control_plane.rollout_views import RoutingDrains, routing_drains
from dwserver.http.discovery.workflow_health import HealthStatus, rolled_up
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, JsonMap, MicroTime, RouteShape
from dwserver.http.system.health_views import alerts, findings
from dwserver.http.system.operator_metrics import OperatorFiguresView
from dwserver.http.system.operator_views import metrics_view
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services
from dwserver.services.operator_metrics import OperatorSnapshot

QUEUES_SHOWN: Final = 20


async def show(services: Services, call: Call) -> Reply:
    """Every check with its figures; 503 when one of them is an error."""
    metrics = services.operator_metrics
    snapshot = await metrics.snapshot(call.namespace)
    figures = metrics_view(metrics, snapshot)
    found = findings(figures, metrics.node, metrics.acceleration())
    whole = rolled_up([each.check for each in found], snapshot.now)
    queues = await _queues(services, call.namespace, snapshot)
    drained = await services.rollouts.drained_queues(call.namespace)
    drains = routing_drains(drained)
    is_error = whole.status is HealthStatus.ERROR
    health = {
        "generated_at": figures["generated_at"],
        "status": whole.status.value,
        "healthy": not is_error,
        "checks": [each.view() for each in found],
        "categories": whole.body()["categories"],
        "operator_metrics": figures,
        "structural_limits": figures["structural_limits"],
        "routing_drains": drains,
        "queue_visibility": {
            "available": True,
            "namespace": call.namespace,
            "task_queues": queues,
        },
        "coordination_alerts": alerts(
            found, queues, drains=drains, namespace=call.namespace
        ),
    }
    body = {"namespace": call.namespace, "health": health}
    return Reply(503 if is_error else 200, body)


async def _queues(
    services: Services, namespace: str, snapshot: OperatorSnapshot
) -> list[JsonObject]:
    """The first of the queues that workers serve, or that have work that waits."""
    names = {worker.task_queue for worker in snapshot.workers} | {
        scope.queue for scope in snapshot.repair.scopes
    }
    shown = await services.task_queues.views(namespace, sorted(names)[:QUEUES_SHOWN])
    return [
        with_flow(queue_glance(queue, services.workers), snapshot.figures.recent)
        for queue in shown
    ]


class CheckView(TypedDict):
    name: str
    status: Literal["ok", "warning", "error"]
    category: Literal["correctness", "acceleration"]
    message: str
    data: JsonMap


class CategoryView(TypedDict):
    status: str
    check_count: Count


class Categories(TypedDict):
    correctness: CategoryView
    acceleration: CategoryView


class QueueVisibility(TypedDict):
    """``task_queues``: the first 20 by name."""

    available: bool
    namespace: str
    task_queues: list[QueueGlance]


class HealthBlock(TypedDict):
    generated_at: MicroTime
    status: Literal["ok", "warning", "error"]
    healthy: bool
    checks: list[CheckView]
    categories: Categories
    operator_metrics: OperatorFiguresView
    structural_limits: JsonMap
    routing_drains: RoutingDrains
    queue_visibility: QueueVisibility
    coordination_alerts: list[JsonMap]


class SystemHealth(TypedDict):
    namespace: str
    health: HealthBlock


ROUTES: Final = (
    management_route(
        Method.GET,
        "/system/health",
        operation="system_health",
        handler=show,
        allowed_roles=ADMINS,
        shape=RouteShape(answers={200: SystemHealth, 503: SystemHealth}),
    ),
)
