"""Of several faults of a request the first in the contract's order is told."""

from __future__ import annotations

import pytest

from dwserver.topology.shapes import ProcessClass
from tests.http.harness import CONTROL, ROUTES, WORKER, FakeGate, Node, serving

LIMIT = 1000
ADMIN = {"Authorization": "Bearer admin-token"}

# Every request has the fault of its row and those of all rows below it.
FAULTS = (
    ("payload_too_large", 413),
    ("unsupported_media_type", 415),
    ("malformed_json", 400),
    ("unauthorized", 401),
    ("forbidden", 403),
    ("missing_version", 400),
    ("topology_role_unavailable", 503),
    ("workflow_v2_blocked", 503),
    ("namespace_not_found", 404),
    ("validation_failed", 422),
)
NAMES = [name for name, _ in FAULTS]
VERSION_REASONS = {
    "control": "missing_control_plane_version",
    "worker": "missing_protocol_version",
}
ADMITTED = {"control": CONTROL, "worker": WORKER}
WRONG_ROLE = {"control": WORKER, "worker": CONTROL}
PATHS = {"control": "/api/workflows", "worker": "/api/worker/register"}


def node_with(first: int) -> Node:
    is_hosting = first > NAMES.index("topology_role_unavailable")
    is_open = first > NAMES.index("workflow_v2_blocked")
    return Node(
        process_class=ProcessClass.SERVER_HTTP_NODE
        if is_hosting
        else ProcessClass.SCHEDULER_NODE,
        gate=FakeGate() if is_open else FakeGate("migrations"),
        max_body_bytes=LIMIT,
    )


def request_with(first: int, plane: str) -> tuple[dict[str, str], bytes]:
    def is_sound(name: str) -> bool:
        return first > NAMES.index(name)

    body = b"{}" if is_sound("malformed_json") else b"{"
    if not is_sound("payload_too_large"):
        body = b"x" * (LIMIT + 1)
    headers = {"Content-Type": "text/plain", "X-Namespace": "unknown"}
    if is_sound("unsupported_media_type"):
        headers["Content-Type"] = "application/json"
    if is_sound("unauthorized"):
        source = ADMITTED if is_sound("forbidden") else WRONG_ROLE
        headers["Authorization"] = source[plane]["Authorization"]
    if is_sound("missing_version"):
        headers = {**ADMITTED[plane], **headers}
    if is_sound("namespace_not_found"):
        headers["X-Namespace"] = "default"
    return headers, body


@pytest.mark.parametrize("fault", NAMES[: NAMES.index("missing_version")])
async def test_what_is_refused_before_the_version_is_told_in_it(fault: str) -> None:
    headers, body = request_with(NAMES.index(fault), "worker")
    headers["X-Durable-Workflow-Protocol-Version"] = "1.7"
    async with serving(node_with(0).pipeline(ROUTES)) as client:
        answers = [
            await client.send("POST", PATHS["worker"], headers, body=body),
            await client.send("PUT", PATHS["worker"], headers),
            await client.send("POST", "/api/worker/unknown", headers),
        ]
    for answer in answers:
        assert answer.status >= 400
        assert answer.body["protocol_version"] == "1.7"
        assert answer.headers["X-Durable-Workflow-Protocol-Version"] == "1.7"


@pytest.mark.parametrize("plane", PATHS)
@pytest.mark.parametrize(("fault", "status"), FAULTS, ids=NAMES)
async def test_first_fault_is_told(plane: str, fault: str, status: int) -> None:
    first = NAMES.index(fault)
    headers, body = request_with(first, plane)
    async with serving(node_with(first).pipeline(ROUTES)) as client:
        answer = await client.send("POST", PATHS[plane], headers, body=body)
    expected = VERSION_REASONS[plane] if fault == "missing_version" else fault
    assert (answer.status, answer.body["reason"]) == (status, expected)


@pytest.mark.parametrize("plane", PATHS)
@pytest.mark.parametrize(
    ("method", "path", "status", "reason"),
    [
        ("POST", "/no/such/path", 404, "not_found"),
        ("PATCH", "", 405, "method_not_allowed"),
    ],
)
async def test_routing_comes_before_everything(
    plane: str, method: str, path: str, status: int, reason: str
) -> None:
    _, body = request_with(0, plane)
    async with serving(node_with(0).pipeline(ROUTES)) as client:
        answer = await client.send(method, PATHS[plane] + path, {}, body=body)
    assert (answer.status, answer.body["reason"]) == (status, reason)


async def test_ungated_route_is_served_while_bootstrap_is_blocked() -> None:
    node = Node(gate=FakeGate("database", "migrations"))
    async with serving(node.pipeline(ROUTES)) as client:
        gated = await client.send("GET", "/api/workflows", CONTROL)
        ungated = await client.send("GET", "/api/schedules", CONTROL | ADMIN)
    assert gated.status == 503
    assert gated.body["blocked_by"] == ["database", "migrations"]
    assert "Retry-After" not in gated.headers
    assert ungated.status == 200


async def test_exempt_route_takes_an_unknown_namespace() -> None:
    headers = CONTROL | ADMIN | {"X-Namespace": "unknown"}
    async with serving(Node().pipeline(ROUTES)) as client:
        exempt = await client.send_json("POST", "/api/namespaces", headers, body={})
        other = await client.send("DELETE", "/api/workers/w", headers)
    assert exempt.status == 200
    assert other.body["reason"] == "namespace_not_found"
