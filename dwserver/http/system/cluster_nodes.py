"""``GET /api/cluster/nodes``: who makes up the cluster now (ours; ``architecture.md``
§5). The name of a node and what it does are for administrators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypedDict

from dwserver.engine.wire_time import MICROS, micro
from dwserver.http.call import Call, Reply
from dwserver.http.route import ADMINS, Method, NamespaceRule, management_route
from dwserver.http.route_shape import Count, MicroTime, RouteShape
from dwserver.protocol.json_types import JsonObject
from dwserver.services.catalog import Services
from dwserver.services.records import LiveNode


async def index(services: Services, _call: Call) -> Reply:
    """The live nodes by id, as the database knows them."""
    membership = services.membership
    nodes = await membership.nodes()
    return Reply(200, nodes_body(nodes, current=membership.own.node_id))


def nodes_body(nodes: Iterable[LiveNode], *, current: str | None) -> JsonObject:
    """The answer; ``current``: the node that gives it."""
    return {"nodes": [_row(node, current) for node in nodes]}


def _row(live: LiveNode, current: str | None) -> JsonObject:
    node, load = live.node, live.node.details.get("load")
    known = load if isinstance(load, dict) else {}
    return {
        "node_id": node.node_id,
        "shape": node.details.get("shape"),
        "process_class": node.process_class,
        "roles": list(node.roles),
        "version": node.version,
        "address": node.internal_address,
        "started_at": micro(node.started_at),
        "last_heartbeat_at": micro(live.heartbeat_at),
        "last_heartbeat_age_seconds": max(live.heartbeat_age, 0) / MICROS,
        "load": {
            "requests_in_flight": known.get("requests_in_flight", 0),
            "polls_waiting": known.get("polls_waiting", 0),
        },
        "is_answering": node.node_id == current,
    }


class NodeLoad(TypedDict):
    requests_in_flight: Count
    polls_waiting: Count


class NodeRow(TypedDict):
    """Words of shape, class and roles may be those of another version."""

    node_id: str
    shape: str | None
    process_class: str
    roles: list[str]
    version: str
    address: str
    started_at: MicroTime
    last_heartbeat_at: MicroTime
    last_heartbeat_age_seconds: float
    load: NodeLoad
    is_answering: bool


class NodeList(TypedDict):
    nodes: list[NodeRow]


ROUTES: Final = (
    management_route(
        Method.GET,
        "/cluster/nodes",
        operation="cluster_nodes",
        handler=index,
        allowed_roles=ADMINS,
        namespace=NamespaceRule.EXEMPT,
        shape=RouteShape(answers={200: NodeList}),
    ),
)
