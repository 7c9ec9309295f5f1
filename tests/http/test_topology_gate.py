"""Which node answers which routes itself: every process class with every route family,
reached by a client, through another node, and with a forged header
(``spec/topology-and-operations.md`` §2, ``decisions.md`` 2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dwserver.http.auth.principal import Principal
from dwserver.http.exchange import Endpoint
from dwserver.http.forwarding.credential import (
    FORWARDED_HEADER,
    Signed,
    forwarding_key,
    sign,
)
from dwserver.http.origin import Origin
from dwserver.http.route import NamespaceRule, Route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.topology.gate import RouteFamily
from dwserver.topology.shapes import BUNDLES, ProcessClass, Shape
from tests.http.harness import (
    CONTROL,
    NOW,
    WORKER,
    Answer,
    Client,
    Node,
    answer_ok,
    serving,
)

KEY = forwarding_key("the key of all nodes")
OTHER_KEY = forwarding_key("somebody else's key")
ROUTES = tuple(
    replace(route, handler=answer_ok, shape=None)
    for route in (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
)
CONTROL_FAMILY, WORKER_FAMILY, HISTORY_FAMILY = RouteFamily
EVERY = {CONTROL_FAMILY, WORKER_FAMILY, HISTORY_FAMILY}

# (shape, class) → families that it answers for clients, and for other nodes.
GATE: Mapping[tuple[Shape, ProcessClass], tuple[set[RouteFamily], set[RouteFamily]]] = {
    (Shape.EMBEDDED, ProcessClass.APPLICATION_PROCESS): (set(), EVERY),
    (Shape.STANDALONE_SERVER, ProcessClass.SERVER_HTTP_NODE): (EVERY, EVERY),
    (Shape.STANDALONE_SERVER, ProcessClass.SCHEDULER_NODE): (set(), set()),
    (Shape.STANDALONE_SERVER, ProcessClass.WORKER_NODE): (set(), set()),
    **{
        (Shape.SPLIT_CONTROL_EXECUTION, name): families
        for name, families in {
            ProcessClass.INGRESS_NODE: (set[RouteFamily](), set[RouteFamily]()),
            ProcessClass.CONTROL_PLANE_NODE: (EVERY, EVERY),
            ProcessClass.SCHEDULER_NODE: (set(), set()),
            ProcessClass.MATCHING_NODE: (set(), {WORKER_FAMILY}),
            ProcessClass.EXECUTION_NODE: (set(), set()),
            ProcessClass.HISTORY_PROJECTION_NODE: (set(), {HISTORY_FAMILY}),
        }.items()
    },
}
PREFERRED = {
    CONTROL_FAMILY: "control_plane",
    WORKER_FAMILY: "matching",
    HISTORY_FAMILY: "history_projection",
}
PRINCIPAL = Principal(subject="ann", roles=("nobody",), method="oidc")
ADMIN = {"Authorization": "Bearer admin-token"}


def headers_for(route: Route) -> dict[str, str]:
    """Credential and version of a client that may use the route."""
    if route.family is WORKER_FAMILY:
        return WORKER
    return CONTROL if "operator" in (route.allowed_roles or ()) else CONTROL | ADMIN


def path_of(route: Route) -> str:
    return "/".join(
        "some-id" if segment.startswith("{") else segment
        for segment in route.path.split("/")
    )


def forwarded_headers(
    route: Route, *, key: bytes = KEY, namespace: str = "default", **changes: Any
) -> dict[str, str]:
    """What another node sends with the request; the client's credential is gone."""
    request = Signed(
        method=route.method.value,
        target=path_of(route),
        namespace=namespace,
        body=b"",
    )
    header = sign(
        key,
        replace(request, **changes),
        principal=PRINCIPAL,
        origin=Origin(address="10.0.0.1", scheme="https", request_id="r-1"),
        issued_at=NOW,
    )
    kept = {k: v for k, v in headers_for(route).items() if k != "Authorization"}
    return {**kept, FORWARDED_HEADER: header, "X-Namespace": namespace}


def node_of(
    shape: Shape, process_class: ProcessClass, *, key: bytes | None = KEY
) -> Node:
    return Node(shape=shape, process_class=process_class, peer_key=key)


async def send(client: Client, route: Route, headers: Mapping[str, str]) -> Answer:
    return await client.send(route.method.value, path_of(route), headers)


def check_refusal(
    answer: Answer, route: Route, *, where: tuple[Shape, ProcessClass], required: Any
) -> None:
    """The body of the 503 in the envelope of the route's plane."""
    shape, process_class = where
    roles = [role.value for role in BUNDLES[shape][process_class]]
    body = answer.body
    assert (answer.status, body["reason"]) == (503, "topology_role_unavailable")
    assert body["current_shape"] == shape
    assert body["current_process_class"] == process_class
    assert body["current_roles"] == roles
    assert body["required_roles"] == required
    assert body["missing_roles"] == [role for role in required if role not in roles]
    if route.family is WORKER_FAMILY:
        assert body["protocol_version"] == "1.20"
        assert body["server_capabilities"]
        assert body["error"] == body["message"]
        assert answer.headers["X-Durable-Workflow-Protocol-Version"] == "1.20"
    else:
        assert answer.headers["X-Durable-Workflow-Control-Plane-Version"] == "2"
    assert ("control_plane" in body) == (route.envelope is not None)


def test_the_table_has_every_class_and_every_family() -> None:
    assert {(s, name) for s, names in BUNDLES.items() for name in names} == set(GATE)
    assert {route.family for route in ROUTES} == EVERY


@pytest.mark.parametrize("where", GATE, ids="-".join)
async def test_requests_of_clients(where: tuple[Shape, ProcessClass]) -> None:
    answered, _ = GATE[where]
    async with serving(node_of(*where).pipeline(ROUTES)) as client:
        for route in ROUTES:
            answer = await send(client, route, headers_for(route))
            if route.family in answered:
                assert answer.status == 200, route.label
            else:
                required = ["api_ingress", "control_plane"]
                check_refusal(answer, route, where=where, required=required)


@pytest.mark.parametrize("where", GATE, ids="-".join)
async def test_requests_that_another_node_has_passed_on(
    where: tuple[Shape, ProcessClass],
) -> None:
    _, answered = GATE[where]
    async with serving(node_of(*where).pipeline(ROUTES)) as client:
        for route in ROUTES:
            answer = await send(client, route, forwarded_headers(route))
            if route.family in answered:
                assert answer.status == 200, route.label
            else:
                assert route.family is not None
                required = [PREFERRED[route.family]]
                check_refusal(answer, route, where=where, required=required)


@pytest.mark.parametrize("where", GATE, ids="-".join)
async def test_forged_headers_open_nothing(where: tuple[Shape, ProcessClass]) -> None:
    """Not even for a client that has a credential as well."""
    async with serving(node_of(*where).pipeline(ROUTES)) as client:
        for route in ROUTES:
            for headers in (
                forwarded_headers(route, key=OTHER_KEY),
                forwarded_headers(route, target="/api/namespaces/x"),
                forwarded_headers(route, method="PATCH"),
                forwarded_headers(route, body=b"{}"),
                {**headers_for(route), FORWARDED_HEADER: "trust me"},
            ):
                answer = await send(client, route, headers)
                refused = (answer.status, answer.body["reason"])
                assert refused == (401, "unauthorized"), route.label


async def test_a_node_without_a_key_trusts_nobody() -> None:
    where = (Shape.STANDALONE_SERVER, ProcessClass.SERVER_HTTP_NODE)
    async with serving(node_of(*where, key=None).pipeline(ROUTES)) as client:
        answer = await send(client, ROUTES[0], forwarded_headers(ROUTES[0]))
    assert answer.status == 401


@pytest.mark.parametrize("where", GATE, ids="-".join)
@pytest.mark.parametrize("is_forwarded", [False, True])
async def test_the_version_comes_before_the_roles_and_these_before_the_namespace(
    where: tuple[Shape, ProcessClass], is_forwarded: bool
) -> None:
    answered = GATE[where][is_forwarded]
    async with serving(node_of(*where).pipeline(ROUTES)) as client:
        for family in RouteFamily:
            route = next(
                r
                for r in ROUTES
                if r.family is family and r.namespace is NamespaceRule.MUST_EXIST
            )
            sent = {**headers_for(route), "X-Namespace": "unknown"}
            if is_forwarded:
                sent = forwarded_headers(route, namespace="unknown")
            answer = await send(client, route, sent)
            expected = "topology_role_unavailable"
            if family in answered:
                expected = "namespace_not_found"
            assert answer.body["reason"] == expected, route.label
            unversioned = {k: v for k, v in sent.items() if "Version" not in k}
            answer = await send(client, route, unversioned)
            assert answer.status == 400
            assert answer.body["reason"].startswith("missing_"), route.label


class FakeForwarder:
    """``answer`` for everything; notes what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []

    async def forward(
        self,
        exchange: Any,
        endpoint: Endpoint,
        principal: Principal,
        *,
        raw: bytes,
        body: Any,
        namespace: str,
    ) -> Any:
        self.asked.append((endpoint.label, principal.subject, namespace))
        return self.answer


FORWARDED_BY = {
    ProcessClass.INGRESS_NODE: EVERY,
    ProcessClass.CONTROL_PLANE_NODE: {WORKER_FAMILY},
}


@pytest.mark.parametrize("where", GATE, ids="-".join)
async def test_what_a_node_offers_to_others_first(
    where: tuple[Shape, ProcessClass],
) -> None:
    """Nobody can take it here: the node then answers or refuses as it would alone. What
    was passed on once is not passed on again."""
    forwarder = FakeForwarder(None)
    node = replace(node_of(*where), forwarder=forwarder)
    answered, answered_for_peers = GATE[where]
    offered = FORWARDED_BY.get(where[1], set())
    async with serving(node.pipeline(ROUTES)) as client:
        for route in ROUTES:
            answer = await send(client, route, headers_for(route))
            assert (answer.status == 200) == (route.family in answered)
            asked = [route.label] if route.family in offered else []
            assert [label for label, _, _ in forwarder.asked] == asked
            forwarder.asked.clear()
            answer = await send(client, route, forwarded_headers(route))
            assert (answer.status == 200) == (route.family in answered_for_peers)
            assert forwarder.asked == []
