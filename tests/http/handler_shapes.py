"""Answers of a handler against the description of its route."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from dwserver.http.call import Call, Reply
from dwserver.http.envelopes import ControlEnvelope
from dwserver.http.route import Route
from dwserver.http.routes import CONTROL_PLANE_ROUTES, WORKER_ROUTES
from dwserver.protocol.reasons import Plane
from dwserver.services.catalog import Services
from tests.support.api_description import whole_api

Handler = Callable[[Services, Call], Any]

TABLE = (*CONTROL_PLANE_ROUTES, *WORKER_ROUTES)
# What the pipeline adds to answers of either plane.
HEADERS = {
    "x-request-id": "request-1",
    "x-durable-workflow-control-plane-version": "2",
    "x-durable-workflow-protocol-version": "1.20",
}
WORKER_MEMBERS = {"protocol_version": "1.20", "server_capabilities": {}}


def undocumented(
    handler: Handler,
    params: Mapping[str, str],
    *,
    status: int,
    body: dict[str, Any],
    reply: Reply | None,
) -> list[str]:
    """What the row of the handler with these parameters does not describe."""
    route = _row(handler, params)
    if route is None:
        return []
    path = route.path.format(**dict.fromkeys(route.parameters, "id"))
    return whole_api().problems(
        route.method.value,
        path,
        status=status,
        headers=HEADERS,
        body=_in_envelope(route, params, body, reply),
    )


def _row(handler: Handler, params: Mapping[str, str]) -> Route | None:
    rows = [row for row in TABLE if row.handler is handler]
    fitting = [row for row in rows if set(row.parameters) == set(params)]
    return (fitting or rows or [None])[0]


def _in_envelope(
    route: Route, params: Mapping[str, str], body: dict[str, Any], reply: Reply | None
) -> Any:
    if route.plane is Plane.WORKER:
        return {**body, **WORKER_MEMBERS}
    if route.envelope is None:
        return body
    known = {name: params.get(name) or "id" for name in route.parameters}
    answer = reply.body if reply else body
    projected = reply.projected if reply else {}
    return orjson.loads(ControlEnvelope(route.envelope).wrap(answer, known, projected))
