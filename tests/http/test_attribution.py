"""The context that is stored with commands (``spec/control-plane-api.md`` §9)."""

from __future__ import annotations

from dwserver.http.attribution import Attribution, ForwardedHeaders
from dwserver.http.call import Call, Reply
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services
from tests.http.harness import CONTROL, Node, serving, with_handler

PATH = "/api/workflows/w-1/signal/approve"
LABEL = "POST /api/workflows/{workflow_id}/signal/{signal_name}"
FORGED = {
    "X-Workflow-Caller-Type": " gateway ",
    "X-Workflow-Caller-Label": "Edge",
    "X-Workflow-Auth-Status": "forwarded",
    "X-Workflow-Auth-Method": "oidc",
}


async def context_of(
    attribution: Attribution,
    headers: dict[str, str],
    *,
    body: object = None,
    node: Node | None = None,
) -> JsonObject:
    found: list[JsonObject] = []

    async def signal(_services: Services, call: Call) -> Reply:
        metadata = {"signal_name": "approve", "request_id": None}
        found.append(attribution.context(call, "signal", metadata, workflow_id="w-1"))
        return Reply(202, {})

    routes = with_handler(LABEL, signal)
    async with serving((node or Node()).pipeline(routes)) as client:
        answer = await client.send_json(
            "POST", PATH, CONTROL | headers, body=body or {}
        )
    assert answer.status == 202
    return found[0]


async def test_context_says_who_and_from_where() -> None:
    ids = {"X-Request-Id": "req-1", "X-Correlation-Id": "corr-1", "User-Agent": "dw/2"}
    context = await context_of(Attribution(), ids | FORGED)
    fingerprint = context["request"].pop("fingerprint")
    assert context == {
        "caller": {"type": "server", "label": "Standalone Server"},
        "auth": {
            "status": "authorized",
            "method": "token",
            "role": "operator",
            "roles": ["operator"],
            "principal": {"subject": "role:operator", "roles": ["operator"]},
        },
        "request": {
            "method": "POST",
            "path": PATH,
            "ip": "127.0.0.1",
            "user_agent": "dw/2",
            "request_id": "req-1",
            "correlation_id": "corr-1",
            "headers": {"x_request_id": "req-1", "x_correlation_id": "corr-1"},
        },
        "server": {
            "namespace": "default",
            "workflow_id": "w-1",
            "command": "signal",
            "metadata": {"signal_name": "approve"},
        },
    }
    assert len(fingerprint) == len("sha256:") + 64


async def test_absent_headers_are_left_out() -> None:
    context = await context_of(Attribution(), {})
    assert set(context["request"]) == {"method", "path", "ip", "fingerprint"}


async def test_trusted_gateway_says_who_calls() -> None:
    context = await context_of(Attribution(ForwardedHeaders()), FORGED)
    assert context["caller"] == {"type": "gateway", "label": "Edge"}
    assert (context["auth"]["status"], context["auth"]["method"]) == (
        "forwarded",
        "oidc",
    )
    assert context["auth"]["principal"]["subject"] == "role:operator"


async def test_fingerprint_is_of_the_content() -> None:
    def headers(value: str) -> dict[str, str]:
        return {"X-Request-Id": value}

    one = await context_of(Attribution(), headers("r"), body={"a": 1, "b": [1]})
    same = await context_of(Attribution(), headers("r"), body={"b": [1], "a": 1})
    other = await context_of(Attribution(), headers("r"), body={"a": 1, "b": [2]})
    retry = await context_of(Attribution(), headers("s"), body={"a": 1, "b": [1]})
    prints = [each["request"]["fingerprint"] for each in (one, same, other, retry)]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3
