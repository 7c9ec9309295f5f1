"""The route table of the server: every family's rows, in one place.

A handler module lists its rows as ``ROUTES``; a family that is not named here does
not exist, and its paths answer 404 ``not_found``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from dwserver.http.call import Call, Reply
from dwserver.http.control_plane import (
    activities,
    bridge_adapters,
    history,
    history_export,
    namespaces,
    schedule_fires,
    schedules,
    search_attributes,
    storage,
    task_queues,
    workers,
    workflow_care,
    workflow_close,
    workflow_debug,
    workflow_import,
    workflow_list,
    workflow_query,
    workflow_reads,
    workflow_signal_with_start,
    workflow_signals,
    workflow_start,
    workflow_updates,
)
from dwserver.http.discovery.handlers import Discovery, discovery_routes
from dwserver.http.openapi.description import described
from dwserver.http.openapi.document import document
from dwserver.http.route import Handler, Route
from dwserver.http.system import (
    activity_timeouts,
    cluster_nodes,
    health,
    metrics,
    operator_metrics,
    repair,
    retention,
)
from dwserver.http.worker import (
    activity_tasks,
    polls,
    query_tasks,
    registration,
    workflow_tasks,
)
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services

CONTROL_PLANE_ROUTES: Final[tuple[Route, ...]] = (
    *namespaces.ROUTES,
    *storage.ROUTES,
    *search_attributes.ROUTES,
    *workflow_list.ROUTES,
    *workflow_start.ROUTES,
    *workflow_reads.ROUTES,
    *workflow_debug.ROUTES,
    *workflow_close.ROUTES,
    *workflow_care.ROUTES,
    *workflow_signals.ROUTES,
    *workflow_signal_with_start.ROUTES,
    *workflow_updates.ROUTES,
    *workflow_query.ROUTES,
    *history.ROUTES,
    *schedules.ROUTES,
    *schedule_fires.ROUTES,
    *history_export.ROUTES,
    *workflow_import.ROUTES,
    *workers.ROUTES,
    *task_queues.ROUTES,
    *bridge_adapters.ROUTES,
    *activities.ROUTES,
    *health.ROUTES,
    *metrics.ROUTES,
    *operator_metrics.ROUTES,
    *activity_timeouts.ROUTES,
    *cluster_nodes.ROUTES,
    *retention.ROUTES,
    *repair.ROUTES,
)
WORKER_ROUTES: Final[tuple[Route, ...]] = (
    *registration.ROUTES,
    *polls.ROUTES,
    *workflow_tasks.ROUTES,
    *activity_tasks.ROUTES,
    *query_tasks.ROUTES,
)


def route_table(discovery: Discovery) -> tuple[Route, ...]:
    """All routes of a process; discovery answers on every node, the rest is gated."""
    return described((*discovery.routes(), *CONTROL_PLANE_ROUTES, *WORKER_ROUTES))


def api_document() -> JsonObject:
    """The description of the whole table, without a process that serves it."""

    rows = discovery_routes(
        *map(_stand_in, (Discovery.health, Discovery.ready, Discovery.info))
    )
    return document(described((*rows, *CONTROL_PLANE_ROUTES, *WORKER_ROUTES)))


def _stand_in(handler: Callable[..., Awaitable[Reply]]) -> Handler:
    @wraps(handler)
    async def unserved(_services: Services, _call: Call) -> Reply:
        raise AssertionError("this table is only described")

    return unserved
