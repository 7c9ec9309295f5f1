"""What an auth provider is told about a request (``control-plane-api.md`` §3.4)."""

from __future__ import annotations

from typing import Any

import pytest

from dwserver.http.access_resource import access_resource
from dwserver.http.route import ADMINS, Method, management_route, worker_route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.protocol.json_types import JsonObject, JsonValue
from tests.http.harness import answer_ok


def resource_of(path: str, body: JsonValue = None, **params: str) -> JsonObject:
    if path.startswith("/worker/"):
        route = worker_route(
            Method.POST,
            path.removeprefix("/worker"),
            operation="register",
            handler=answer_ok,
        )
    else:
        route = management_route(
            Method.POST,
            path,
            operation="store",
            handler=answer_ok,
            allowed_roles=ADMINS,
        )
    return access_resource(
        route,
        f"/api{path}",
        params=params,
        body=body,
        namespace="orders",
        default_namespace="default",
    )


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/cluster/info", "cluster"),
        ("/namespaces", "namespace"),
        ("/workflows", "workflow"),
        ("/worker/register", "worker"),
        ("/workers", "worker_management"),
        ("/task-queues/{task_queue}", "task_queue"),
        ("/schedules", "schedule"),
        ("/search-attributes", "search_attribute"),
        ("/system/repair", "system"),
        ("/storage/test", None),
        ("/bridge-adapters/webhook/{adapter}", None),
    ],
)
def test_family_of_an_operation(path: str, family: str | None) -> None:
    assert resource_of(path).get("operation_family") == family


@pytest.mark.parametrize(
    ("params", "body", "name"),
    [
        ({"namespace": "Orders"}, {"name": "other"}, "orders"),
        ({}, {"name": " New "}, "new"),
        ({}, {"name": 7}, None),
        ({}, [], None),
    ],
)
def test_namespace_that_is_administered(
    params: dict[str, str], body: Any, name: str | None
) -> None:
    resource = resource_of("/namespaces", body, **params)
    assert resource.get("target_namespace") == name
    assert resource.get("namespace_name") == name
    assert resource["requested_namespace"] == resource["namespace"] == "orders"


def test_namespace_of_other_families_is_not_administered() -> None:
    assert "target_namespace" not in resource_of("/workflows", {"name": "x"})


def test_search_attribute_is_named() -> None:
    path = "/search-attributes/{name}"
    assert resource_of(path, name="City")["search_attribute_name"] == "City"
    assert "search_attribute_name" not in resource_of("/schedules/{name}", name="City")


def test_identifiers_come_from_the_path_and_the_body() -> None:
    body = {
        "worker_id": "from the body",
        "task_queue": " q ",
        "build_id": "  ",
        "workflow_task_attempt": 3,
        "lease_owner": None,
        "runtime": ["python"],
        "workflow_id": True,
        "input": "never",
    }
    resource = resource_of("/workers/{worker_id}", body, worker_id="from the path")
    assert resource["worker_id"] == "from the path"
    assert (resource["task_queue"], resource["workflow_task_attempt"]) == ("q", 3)
    assert resource["workflow_id"] is True
    absent = {"build_id", "lease_owner", "runtime", "input"}
    assert absent.isdisjoint(resource)


@pytest.mark.parametrize(
    "route", [*CONTROL_PLANE_ROUTES, *WORKER_ROUTES], ids=lambda route: route.label
)
def test_templates_are_in_camel_case(route: Any) -> None:
    params = {name: f"the {name}" for name in route.parameters}
    resource = access_resource(
        route,
        route.path,
        params=params,
        body={},
        namespace="default",
        default_namespace="default",
    )
    assert "_" not in resource["route_uri"]
    assert resource["route_uri"].count("{") == len(params)
    assert resource.get("route_parameters", {}) == params
    assert resource["operation_name"] == route.operation
