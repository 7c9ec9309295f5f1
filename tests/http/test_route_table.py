"""The route table against the contract's (``spec/control-plane-api.md`` §2, 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from dwserver.http.auth.principal import AccessRole
from dwserver.http.route import (
    ADMINS,
    OPERATORS,
    WORKERS,
    Method,
    NamespaceRule,
    Route,
    worker_route,
)
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.protocol.control_plane import Operation
from dwserver.protocol.reasons import Plane
from tests.http.harness import answer_ok

TABLE = (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)


@dataclass(frozen=True)
class Row:
    label: str
    operation: str
    roles: tuple[AccessRole, ...]
    is_gated: bool = False
    is_exempt: bool = False
    envelope: Operation | None = None

    @classmethod
    def of(cls, route: Route) -> Row:
        return cls(
            route.label,
            route.operation,
            route.allowed_roles or (),
            route.is_bootstrap_gated,
            route.namespace is NamespaceRule.EXEMPT,
            route.envelope,
        )


def workflow(label: str, operation: Operation, *, is_gated: bool = False) -> Row:
    return Row(label, operation.value, OPERATORS, is_gated, envelope=operation)


def worker(path: str, operation: str, method: str = "POST") -> Row:
    return Row(f"{method} /api/worker{path}", operation, WORKERS, is_gated=True)


RUN = "/api/workflows/{workflow_id}/runs"
CONTRACT = (
    Row("GET /api/namespaces", "index", OPERATORS, is_exempt=True),
    Row("POST /api/namespaces", "store", ADMINS, is_exempt=True),
    Row("GET /api/namespaces/{namespace}", "show", OPERATORS, is_exempt=True),
    Row("PUT /api/namespaces/{namespace}", "update", ADMINS, is_exempt=True),
    Row(
        "PUT /api/namespaces/{namespace}/external-storage",
        "update_external_storage",
        ADMINS,
        is_exempt=True,
    ),
    Row("POST /api/storage/test", "test", ADMINS),
    Row("GET /api/search-attributes", "index", OPERATORS),
    Row("POST /api/search-attributes", "store", OPERATORS),
    Row("DELETE /api/search-attributes/{name}", "destroy", OPERATORS),
    workflow("GET /api/workflows", Operation.LIST, is_gated=True),
    workflow("POST /api/workflows", Operation.START, is_gated=True),
    workflow("GET /api/workflows/{workflow_id}", Operation.DESCRIBE, is_gated=True),
    workflow(f"GET {RUN}", Operation.LIST_RUNS),
    workflow(f"GET {RUN}/{{run_id}}", Operation.DESCRIBE_RUN),
    workflow("GET /api/workflows/{workflow_id}/debug", Operation.DEBUG_WORKFLOW),
    workflow(f"GET {RUN}/{{run_id}}/debug", Operation.DEBUG_WORKFLOW),
    workflow(f"GET {RUN}/{{run_id}}/history", Operation.HISTORY),
    Row(f"GET {RUN}/{{run_id}}/history/export", "export", OPERATORS),
    Row("POST /api/workflows/import/embedded-v2", "import", ADMINS, is_gated=True),
    *(
        workflow(f"POST {parent}/{path}", operation, is_gated=True)
        for parent in ("/api/workflows/{workflow_id}", f"{RUN}/{{run_id}}")
        for path, operation in (
            ("signal/{signal_name}", Operation.SIGNAL),
            ("update/{update_name}", Operation.UPDATE),
            ("cancel", Operation.CANCEL),
            ("terminate", Operation.TERMINATE),
            ("repair", Operation.REPAIR),
            ("archive", Operation.ARCHIVE),
        )
    ),
    workflow(
        "POST /api/workflows/{workflow_id}/signal-with-start/{signal_name}",
        Operation.SIGNAL,
        is_gated=True,
    ),
    workflow(
        "POST /api/workflows/{workflow_id}/query/{query_name}",
        Operation.QUERY,
        is_gated=True,
    ),
    workflow(
        f"POST {RUN}/{{run_id}}/query/{{query_name}}", Operation.QUERY, is_gated=True
    ),
    Row("GET /api/schedules", "index", OPERATORS),
    Row("POST /api/schedules", "store", OPERATORS, is_gated=True),
    Row("GET /api/schedules/{schedule_id}", "show", OPERATORS),
    Row("PUT /api/schedules/{schedule_id}", "update", OPERATORS, is_gated=True),
    Row("DELETE /api/schedules/{schedule_id}", "destroy", OPERATORS, is_gated=True),
    *(
        Row(
            f"POST /api/schedules/{{schedule_id}}/{verb}",
            verb,
            OPERATORS,
            is_gated=True,
        )
        for verb in ("pause", "resume", "trigger", "backfill")
    ),
    Row("GET /api/schedules/{schedule_id}/history", "history", OPERATORS),
    Row("GET /api/workers", "index", OPERATORS),
    Row("GET /api/workers/{worker_id}", "show", OPERATORS),
    Row("DELETE /api/workers/{worker_id}", "destroy", ADMINS),
    Row("GET /api/task-queues", "index", OPERATORS),
    Row("GET /api/task-queues/{task_queue}", "show", OPERATORS),
    Row("GET /api/task-queues/{task_queue}/build-ids", "build_ids", OPERATORS),
    *(
        Row(
            f"POST /api/task-queues/{{task_queue}}/build-ids/{verb}",
            f"{verb}_build_id",
            OPERATORS,
        )
        for verb in ("drain", "resume")
    ),
    Row("GET /api/activities", "index", OPERATORS, is_gated=True),
    Row("POST /api/activities", "store", OPERATORS, is_gated=True),
    Row("GET /api/activities/{activity_id}", "show", OPERATORS, is_gated=True),
    Row(
        "POST /api/bridge-adapters/webhook/{adapter}",
        "webhook",
        OPERATORS,
        is_gated=True,
    ),
    Row("GET /api/system/health", "system_health", ADMINS),
    Row("GET /api/system/metrics", "metrics", ADMINS),
    Row("GET /api/system/operator-metrics", "operator_metrics", ADMINS),
    Row("GET /api/system/activity-timeouts", "activity_timeout_status", ADMINS),
    Row(
        "POST /api/system/activity-timeouts/pass",
        "activity_timeout_enforce_pass",
        ADMINS,
    ),
    Row("GET /api/cluster/nodes", "cluster_nodes", ADMINS, is_exempt=True),
    Row("GET /api/system/repair", "repair_status", ADMINS),
    Row("POST /api/system/repair/pass", "repair_pass", ADMINS),
    Row("GET /api/system/retention", "retention_status", ADMINS),
    Row("POST /api/system/retention/pass", "retention_enforce_pass", ADMINS),
    worker("/register", "register"),
    worker("/heartbeat", "heartbeat"),
    worker("/registrations/{worker_id}", "deregister", "DELETE"),
    worker("/workflow-tasks/poll", "poll_workflow_tasks"),
    worker("/workflow-tasks/{task_id}/history", "workflow_task_history"),
    worker("/workflow-tasks/{task_id}/heartbeat", "heartbeat_workflow_task"),
    worker("/workflow-tasks/{task_id}/complete", "complete_workflow_task"),
    worker("/workflow-tasks/{task_id}/fail", "fail_workflow_task"),
    worker("/activity-tasks/poll", "poll"),
    worker("/activity-tasks/{task_id}/complete", "complete"),
    worker("/activity-tasks/{task_id}/fail", "fail"),
    worker("/activity-tasks/{task_id}/heartbeat", "heartbeat"),
    worker("/query-tasks/poll", "poll_query_tasks"),
    worker("/query-tasks/{query_task_id}/complete", "complete_query_task"),
    worker("/query-tasks/{query_task_id}/fail", "fail_query_task"),
)


@pytest.mark.parametrize("row", CONTRACT, ids=lambda row: row.label)
def test_route_is_mounted_as_the_contract_says(row: Row) -> None:
    mounted = {route.label: Row.of(route) for route in TABLE}
    assert mounted.get(row.label) == row


def test_labels_are_unique() -> None:
    labels = [route.label for route in TABLE]
    assert len(labels) == len(set(labels))


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.label)
def test_hosted_route_needs_the_published_roles(route: Route) -> None:
    assert [str(role) for role in route.required_roles] == [
        "api_ingress",
        "control_plane",
    ]


@pytest.mark.parametrize(
    ("path", "plane", "roles"),
    [
        ("/elsewhere", Plane.CONTROL, OPERATORS),
        ("/api/worker/x", Plane.CONTROL, OPERATORS),
        ("/api/x", Plane.WORKER, WORKERS),
        ("/api/{workflowId}", Plane.CONTROL, OPERATORS),
        ("/api/x-{id}", Plane.CONTROL, OPERATORS),
        ("/api/x", Plane.CONTROL, ()),
    ],
)
def test_impossible_row_is_refused(
    path: str, plane: Plane, roles: tuple[AccessRole, ...]
) -> None:
    with pytest.raises(ValueError, match="/"):
        Route(
            method=Method.GET,
            path=path,
            operation="x",
            handler=answer_ok,
            plane=plane,
            allowed_roles=roles,
        )


def test_worker_builder_gates_everything() -> None:
    route = worker_route(Method.POST, "/x/{task_id}", operation="x", handler=answer_ok)
    assert route.parameters == ("task_id",)
    assert Row.of(route) == Row("POST /api/worker/x/{task_id}", "x", WORKERS, True)
