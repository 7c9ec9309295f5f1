"""The description of the API (OpenAPI): complete, valid, served and printed."""

from __future__ import annotations

import copy
import re
from typing import Any

import orjson
import pytest
from click.testing import CliRunner
from openapi_spec_validator import validate

from dwserver.cli.openapi import openapi
from dwserver.http.openapi.document import document
from dwserver.http.route import Method, Route, management_route, workflow_route
from dwserver.http.routes import (
    CONTROL_PLANE_ROUTES,
    WORKER_ROUTES,
    api_document,
)
from dwserver.protocol.control_plane import CONTRACTS, Operation
from dwserver.protocol.reasons import Plane
from tests.http.handler_shapes import HEADERS
from tests.http.harness import answer_ok
from tests.support.api_description import ApiDescription, whole_api
from tests.support.json_http import JsonHttp, operator
from tests.support.processes import TEST_TOKEN, StartServer

TABLE = (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
DISCOVERY = ("/api/health", "/api/ready", "/api/cluster/info", "/api/openapi.json")
PLACEHOLDER = re.compile(r"\{(\w+)\}")


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return api_document()


def operation_of(document: dict[str, Any], route: Route) -> Any:
    return document["paths"][route.path][route.method.value.lower()]


def test_document_is_valid(described: dict[str, Any]) -> None:
    validate(described)
    assert described["openapi"].startswith("3.1.")


def test_the_document_has_the_rows_of_the_table_and_no_others(
    described: dict[str, Any],
) -> None:
    told = {
        (method.upper(), path)
        for path, item in described["paths"].items()
        for method in item
    }
    rows = {(route.method.value, route.path) for route in TABLE}
    assert told == rows | {("GET", path) for path in DISCOVERY}


def test_operation_ids_are_unique(described: dict[str, Any]) -> None:
    ids = [
        operation["operationId"]
        for item in described["paths"].values()
        for operation in item.values()
    ]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("route", TABLE, ids=lambda route: route.label)
def test_every_row_says_what_it_takes_and_answers(
    route: Route, described: dict[str, Any]
) -> None:
    operation = operation_of(described, route)
    parameters = {(p["in"], p["name"]): p for p in operation["parameters"]}
    assert {name for place, name in parameters if place == "path"} == set(
        PLACEHOLDER.findall(route.path)
    )
    header = (
        "X-Durable-Workflow-Protocol-Version"
        if route.plane is Plane.WORKER
        else "X-Durable-Workflow-Control-Plane-Version"
    )
    assert parameters[("header", header)]["required"] is True
    statuses = set(operation["responses"])
    assert {"400", "401", "403", "413", "500", "503"} <= statuses
    assert ("415" in statuses) is (route.method is not Method.GET)
    assert operation["x-allowed-roles"] == [str(r) for r in route.allowed_roles or ()]
    if route.shape is not None:
        assert {str(status) for status in route.shape.answers} <= statuses
        assert ("requestBody" in operation) is bool(route.shape.body)
    assert operation["summary"]


@pytest.mark.parametrize(
    "route", [row for row in TABLE if row.envelope], ids=lambda route: route.label
)
def test_workflow_operations_describe_the_nested_object(
    route: Route, described: dict[str, Any]
) -> None:
    assert route.envelope is not None
    contract = CONTRACTS[route.envelope]
    operation = operation_of(described, route)
    success = next(s for s in sorted(operation["responses"]) if s < "300")
    schema = operation["responses"][success]["content"]["application/json"]["schema"]
    nested = schema["properties"]["control_plane"]
    component = described["components"]["schemas"][nested["$ref"].split("/")[-1]]
    required = {*component["required"], *nested.get("required", ())}
    assert {*contract.required_fields, *contract.success_fields} <= required
    assert component["properties"]["operation"] == {"const": route.envelope.value}


def test_fields_of_requests_are_described(described: dict[str, Any]) -> None:
    start = described["paths"]["/api/workflows"]["post"]["requestBody"]
    schema = start["content"]["application/json"]["schema"]
    assert start["required"] is True
    assert schema["required"] == ["workflow_type"]
    properties = schema["properties"]
    assert properties["workflow_type"] == {
        "type": "string",
        "maxLength": 255,
        "pattern": r"\S",
    }
    assert properties["priority"] == {
        "type": ["integer", "null"],
        "minimum": 0,
        "maximum": 9,
        "default": 5,
    }
    assert properties["duplicate_policy"]["enum"] == ["fail", "use-existing", None]
    assert properties["retry_policy"] is False
    nested = described["paths"]["/api/worker/activity-tasks/{task_id}/fail"]["post"]
    failure = nested["requestBody"]["content"]["application/json"]["schema"][
        "properties"
    ]["failure"]
    assert failure["required"] == ["message"]
    assert "timeout_type" in failure["properties"]


def test_query_words_are_described(described: dict[str, Any]) -> None:
    parameters = described["paths"]["/api/workflows"]["get"]["parameters"]
    words = {p["name"]: p["schema"] for p in parameters if p["in"] == "query"}
    assert words["status"]["enum"] == ["completed", "failed", "running"]
    assert words["page_size"]["maximum"] == 200
    assert set(words) >= {"workflow_type", "query", "next_page_token", "namespace"}


def test_commands_of_a_completion_are_named(described: dict[str, Any]) -> None:
    path = "/api/worker/workflow-tasks/{task_id}/complete"
    body = described["paths"][path]["post"]["requestBody"]
    commands = body["content"]["application/json"]["schema"]["properties"]["commands"]
    assert "schedule_activity" in commands["items"]["properties"]["type"]["enum"]


def test_refusals_name_their_reasons(described: dict[str, Any]) -> None:
    responses = described["paths"]["/api/workflows/{workflow_id}"]["get"]["responses"]
    schema = responses["404"]["content"]["application/json"]["schema"]
    assert schema["properties"]["reason"]["enum"] == [
        "instance_not_found",
        "namespace_not_found",
        "not_found",
    ]


def test_health_needs_no_credential(described: dict[str, Any]) -> None:
    for path in DISCOVERY:
        security = described["paths"][path]["get"]["security"]
        assert bool(security) is (path not in DISCOVERY[:2])


# a row that nobody has described ------------------------------------------------------

BARE = (
    workflow_route(
        Method.POST, "/{workflow_id}/repair", Operation.REPAIR, handler=answer_ok
    ),
    management_route(Method.GET, "/things", operation="index", handler=answer_ok),
)


def test_a_row_without_a_shape_is_described_by_its_plane() -> None:
    description = ApiDescription(_document(BARE))

    def problems(status: int, body: dict[str, Any]) -> list[str]:
        return description.problems(
            "POST",
            "/api/workflows/w/repair",
            status=status,
            headers=HEADERS,
            body={"workflow_id": "w", "control_plane": nested, **body},
        )

    nested: dict[str, Any] = {
        "schema": "durable-workflow.v2.control-plane-response",
        "version": 1,
        "operation": "repair",
        "workflow_id": "w",
        "contract": {},
    }
    refusal = {"message": "m", "reason": "run_not_active"}
    assert problems(409, refusal) == []
    assert problems(418, refusal) != []
    assert problems(409, {**refusal, "reason": "unheard_of"}) != []
    assert problems(200, {"anything": 1}) != [], "the contract wants an outcome"
    nested["outcome"] = "repair_dispatched"
    assert problems(200, {"anything": 1, "outcome": "repair_dispatched"}) == []
    nested["operation"] = "archive"
    assert problems(200, {}) != []


def _document(routes: tuple[Route, ...]) -> dict[str, Any]:
    found = document(routes)
    validate(found)
    return found


# what the checks of other tests rely on -----------------------------------------------


def test_the_check_of_answers_sees_what_is_wrong() -> None:
    body = {
        "name": "orders",
        "description": None,
        "retention_days": 30,
        "status": "active",
        "external_payload_storage": None,
        "created_at": "2026-04-13T12:00:00+00:00",
        "updated_at": "2026-04-13T12:00:00+00:00",
    }

    def problems(status: int = 200, **changes: Any) -> list[str]:
        changed = copy.deepcopy(body) | changes
        return whole_api().problems(
            "GET", "/api/namespaces/x", status=status, headers=HEADERS, body=changed
        )

    assert problems() == []
    assert problems(extra=1) != []
    assert problems(retention_days="30") != []
    assert problems(created_at="2026-04-13T12:00:00.000000Z") != []
    assert problems(status=418) != []
    del body["status"]
    assert problems() != []
    missing = whole_api().problems(
        "GET", "/api/namespaces/x", status=200, headers={}, body=body
    )
    assert any("no header" in problem for problem in missing)


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/api/nope", 404, False),
        ("PUT", "/api/workflows", 405, False),
        ("GET", "/api/nope", 200, True),
        ("HEAD", "/api/workflows", 200, False),
    ],
)
def test_answers_off_the_table(
    method: str, path: str, status: int, problem: bool
) -> None:
    body = {"message": "m", "reason": "r"}
    found = whole_api().problems(method, path, status=status, headers={}, body=body)
    assert bool(found) is problem


# served and printed -------------------------------------------------------------------


def test_the_command_prints_the_document(described: dict[str, Any]) -> None:
    result = CliRunner().invoke(openapi)
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.stdout) == described


def test_a_server_serves_the_document(
    start_server: StartServer, sqlite_url: str, described: dict[str, Any]
) -> None:
    server = start_server(sqlite_url)
    path = "/api/openapi.json"
    assert JsonHttp(server.base_url).request("GET", path).status == 401
    worker = JsonHttp(server.base_url, {"Authorization": f"Bearer {TEST_TOKEN}"})
    assert worker.request("GET", path).expect(200) == described
    unknown = {"X-Namespace": "unheard-of"}
    client = operator(server.base_url, TEST_TOKEN)
    assert client.request("GET", path, headers=unknown).status == 200
