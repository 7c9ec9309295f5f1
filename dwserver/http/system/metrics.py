"""``GET /api/system/metrics``: two metrics with few series each
(``spec/topology-and-operations.md`` §4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypedDict

from dwserver.engine.wire_time import micro
from dwserver.http.call import Call, Reply
from dwserver.http.route import ADMINS, Method, management_route
from dwserver.http.route_shape import Count, JsonMap, MicroTime, RouteShape
from dwserver.http.system.projection_views import TABLES, drift_by_table
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services
from dwserver.services.records import FailingType

FAILURES: Final = "dw_workflow_task_consecutive_failures"
DRIFT: Final = "dw_projection_drift_total"


async def show(services: Services, call: Call) -> Reply:
    """Workflow tasks that fail again and again, and projections that drifted."""
    metrics = services.operator_metrics
    found = await metrics.failing_types(call.namespace)
    by_name = {
        FAILURES: _failures(found, limit=metrics.node.failing_types),
        DRIFT: _drift(),
    }
    body = {
        "generated_at": micro(services.now()),
        "namespace": call.namespace,
        "metrics": by_name,
        "cardinality": {
            "metric_label_sets": {
                name: metric["label_cardinality_policy"]
                for name, metric in by_name.items()
            }
        },
    }
    return Reply(200, body)


def _failures(found: Sequence[FailingType], *, limit: int) -> JsonObject:
    types, runs = (found[0].all_types, found[0].all_runs) if found else (0, 0)
    return {
        "max_consecutive_failures": found[0].failures if found else 0,
        "failed_task_count": runs,
        "workflow_type_count": types,
        "workflow_type_limit": limit,
        "workflow_types_truncated": types > len(found),
        "suppressed_workflow_type_count": types - len(found),
        "suppressed_failed_task_count": runs - sum(each.runs for each in found),
        "label_cardinality_policy": {
            "namespace": "request_scope_not_label",
            "workflow_type": {
                "cardinality_class": "bounded_series",
                "limit": limit,
                "selection": "top_by_max_consecutive_failures_then_name",
            },
        },
        "by_workflow_type": [
            {
                "workflow_type": each.workflow_type,
                "max_consecutive_failures": each.failures,
                "failed_task_count": each.runs,
            }
            for each in found
        ],
    }


def _drift() -> JsonObject:
    by_table = drift_by_table()
    return {
        "total": sum(row["needs_rebuild"] for row in by_table),
        "table_count": len(by_table),
        "tables_with_drift": sum(row["needs_rebuild"] > 0 for row in by_table),
        "scope": "server",
        "label_cardinality_policy": {
            "namespace": "server_scope_no_label",
            "table": {
                "cardinality_class": "finite_projection_table_inventory",
                "values": list(TABLES),
                "selection": "fixed_projection_table_inventory",
            },
        },
        "by_table": by_table,
    }


class FailingTypeRow(TypedDict):
    workflow_type: str
    max_consecutive_failures: Count
    failed_task_count: Count


class FailureMetric(TypedDict):
    """``failed_task_count``: open runs whose workflow task failed last time."""

    max_consecutive_failures: Count
    failed_task_count: Count
    workflow_type_count: Count
    workflow_type_limit: Count
    workflow_types_truncated: bool
    suppressed_workflow_type_count: Count
    suppressed_failed_task_count: Count
    label_cardinality_policy: JsonMap
    by_workflow_type: list[FailingTypeRow]


class TableDrift(TypedDict):
    table: str
    needs_rebuild: Count


class DriftMetric(TypedDict):
    total: Count
    table_count: Count
    tables_with_drift: Count
    scope: str
    label_cardinality_policy: JsonMap
    by_table: list[TableDrift]


class MetricsByName(TypedDict):
    dw_workflow_task_consecutive_failures: FailureMetric
    dw_projection_drift_total: DriftMetric


class LabelSets(TypedDict):
    metric_label_sets: JsonMap


class SystemMetrics(TypedDict):
    generated_at: MicroTime
    namespace: str
    metrics: MetricsByName
    cardinality: LabelSets


ROUTES: Final = (
    management_route(
        Method.GET,
        "/system/metrics",
        operation="metrics",
        handler=show,
        allowed_roles=ADMINS,
        shape=RouteShape(answers={200: SystemMetrics}),
    ),
)
