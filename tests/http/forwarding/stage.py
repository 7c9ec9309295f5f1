"""An ingress in front of other nodes: real listeners and connections, fake handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import orjson

from dwserver.http.call import Call, Reply
from dwserver.http.departures import Departures
from dwserver.http.forwarding.credential import forwarding_key
from dwserver.http.forwarding.forwarder import Forwarder, Outcome, Sender
from dwserver.http.forwarding.peer_connection import AnswerLost
from dwserver.http.forwarding.peer_connections import Neighbours
from dwserver.http.forwarding.peer_pool import PoolLimits
from dwserver.http.pipeline import Pipeline
from dwserver.http.route import Handler, Route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.http.server import HttpServer, ListenerSettings
from dwserver.services.catalog import Services
from dwserver.topology.gate import RouteFamily
from dwserver.topology.peers import Peer
from dwserver.topology.shapes import ProcessClass, roles_of
from tests.http.forwarding.raw_peer import HOST, SPLIT, peer_at
from tests.http.harness import NOW, Client, Node, client_of

KEY = forwarding_key("the key of all nodes")
OWN_ID = "this-node"

POLL = "/api/worker/workflow-tasks/poll"
POLL_BODY = {"worker_id": "w1", "task_queue": "q"}


def telling(name: str) -> Handler:
    """A handler that says which node it belongs to, and what reached it."""

    async def tell(_services: Services, call: Call) -> Reply:
        headers = call.request.headers.items()
        seen = {
            "node": name,
            "method": call.request.method,
            "path": call.request.target,
            "headers": {key.lower(): value for key, value in headers},
            "body": call.body,
            "namespace": call.namespace,
            "request_id": call.request_id,
            "context": call.context("test", {}),
        }
        return Reply(200, orjson.dumps({"seen": seen}))

    return tell


def routes_with(name: str = "peer", **handlers: Handler) -> tuple[Route, ...]:
    """Every route tells, but for the operations that have handlers of their own."""
    rest = telling(name)
    return tuple(
        replace(route, handler=handlers.get(route.operation, rest), shape=None)
        for route in (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
    )


ROUTES = routes_with()


@dataclass
class Ingress:
    """``live`` is the view of the cluster, for a test to change; ``counted`` what the
    metrics count."""

    server: HttpServer
    forwarder: Forwarder
    client: Client
    live: list[Peer]
    unreachable: list[str]
    counted: list[tuple[RouteFamily, Outcome]]

    @property
    def outcomes(self) -> list[str]:
        return [outcome.value for _, outcome in self.counted]


async def see_nothing_new() -> None:
    """Nobody waits for nodes that no test lets join."""
    raise TimeoutError


@dataclass(kw_only=True)
class Setting:
    """What a test may vary about the ingress."""

    process_class: ProcessClass = ProcessClass.INGRESS_NODE
    connections: int = 64
    routes: tuple[Route, ...] = ROUTES
    node: dict[str, Any] = field(default_factory=dict)
    look: Callable[[], Awaitable[None]] = see_nothing_new


def listener(pipeline: Pipeline, *, departures: Departures | None = None) -> HttpServer:
    return HttpServer(
        pipeline,
        ListenerSettings(host=HOST, port=0, shutdown_timeout_seconds=0.1),
        begin_drain=lambda: None,
        release_polls=lambda: None,
        departures=departures,
    )


@asynccontextmanager
async def node(
    process_class: ProcessClass = ProcessClass.CONTROL_PLANE_NODE,
    *,
    node_id: str = "peer",
    handlers: Mapping[str, Handler] = MappingProxyType({}),
    key: bytes = KEY,
    **options: Any,
) -> AsyncIterator[Peer]:
    """A node that answers what is passed on to it. ``handlers``: by operation."""
    described = Node(shape=SPLIT, process_class=process_class, peer_key=key, **options)
    server = listener(described.pipeline(routes_with(node_id, **handlers)))
    await server.start()
    try:
        yield peer_at(server.port, node_id, process_class)
    finally:
        await server.stop()


@asynccontextmanager
async def ingress(
    *peers: Peer, setting: Setting | None = None
) -> AsyncIterator[Ingress]:
    setting = setting or Setting()
    live, unreachable = list(peers), list[str]()
    counted: list[tuple[RouteFamily, Outcome]] = []
    forwarder = Forwarder(
        Sender(key=KEY, now=lambda: NOW),
        Neighbours(
            own_id=OWN_ID,
            own_roles=roles_of(SPLIT, setting.process_class),
            live=lambda: (
                peer_at(1, OWN_ID, setting.process_class),
                *live,
            ),
            report_unreachable=unreachable.append,
            look=setting.look,
        ),
        PoolLimits.of(setting.connections),
        departures=Departures(),
        observe=lambda family, outcome: counted.append((family, outcome)),
    )
    described = Node(
        shape=SPLIT,
        process_class=setting.process_class,
        peer_key=KEY,
        forwarder=forwarder,
        **setting.node,
    )
    pipeline = described.pipeline(setting.routes)
    server = listener(pipeline, departures=forwarder.departures)
    await server.start()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            client_of(server.port, pipeline.description)
        )
        try:
            yield Ingress(server, forwarder, client, live, unreachable, counted)
        finally:
            forwarder.connections.close(AnswerLost("the test is over"))
            await server.stop()
